"""Networks executed piece by piece: each piece by functions that all pieces of its kind share, a few of its items at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from mindrestore import native
from mindrestore.executor import functions
from mindrestore.models.piece import Itemwise, Piece, Results, Section, executor, named
from mindrestore.native.operator import Gradients, Operator, Wanted
from mindrestore.ops.margins import with_zeros
from mindrestore.runtime import device

NUMBERS = 2**23  # values, by ``Itemwise.cost``, of the items executed at a time on a CPU, whose caches are small
NUMBERS_OF_ACCELERATOR = 2**28  # the same where a part must compute for longer than its launch takes
LEAST = 2**16  # values in the first input below which a piece is not compiled: compiling would take longer than it saves


class Piecewise:
    """A network that is executed piece by piece.

    Memory does not grow with its depth; with the size of its input only the tensors between pieces grow.

    Args:
        network: a cell made of pieces; its weights are read at every call.
        numbers: how many values, by ``Itemwise.cost``, a piece may work on at a time; at least one item is executed. By
            default as many as suit the device.
    """

    def __init__(self, network: nn.Cell, numbers: int | None = None) -> None:
        self.network = network
        self.numbers = numbers or numbers_of_device()

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the network by name."""
        return self.network.settings

    def __call__(self, *inputs: Tensor) -> Results:
        """Return the result of the network."""
        with self.taking_over():
            return self.network(*inputs)

    @contextlib.contextmanager
    def taking_over(self) -> Iterator[None]:
        """While the context lasts, this executes the pieces that are called."""
        token = executor.set(self)
        try:
            yield
        finally:
            executor.reset(token)

    def execute(self, piece: Piece, inputs: Sequence[Tensor]) -> Results:
        """Return the result of a piece; see ``mindrestore.models.piece.Executor``."""
        return run_of(piece, inputs, self.numbers * functions.forward_room(piece)).forward()

    def execute_section(self, section: Section, inputs: Sequence[Tensor]) -> Tensor:
        """Return the result of a section, executed piece by piece."""
        return section.inside(*inputs)


def numbers_of_device() -> int:
    """Return how many values a piece works on at a time on the selected device, where nothing else is said."""
    return NUMBERS if device.name() == "cpu" else NUMBERS_OF_ACCELERATOR


def run_of(piece: Piece, inputs: Sequence[Tensor], numbers: int) -> Operator | Run | Whole:
    """Return one execution of a piece, forwards and backwards: by its native operator, a few items at a time, or at once."""
    run = piece.native(*inputs) if native.available() else None
    if run is None:
        run = Run(piece, inputs, numbers) if isinstance(piece, Itemwise) else Whole(piece, inputs)
    return run


class Whole:
    """One execution of a piece at once, without compiling it; see ``Run``."""

    def __init__(self, piece: Piece, inputs: Sequence[Tensor]) -> None:
        self.piece, self.inputs, self.weights = piece, inputs, values(piece.weights)

    def forward(self) -> Results:
        """Return the result, or several in a tuple."""
        return self.piece.compute(named(self.piece.names, self.weights), *self.inputs)

    def backward(self, gradient: Results, wanted: Wanted) -> Gradients:
        """As ``Run.backward``. ``gradient`` of several results is a tuple, None for those that the loss does not depend on."""
        of_inputs, of_weights = wanted
        arguments = [*self.inputs, *self.weights]
        places = [place for place, each in enumerate((*of_inputs, *of_weights)) if each]
        count = len(self.inputs)

        def of_wanted(*differentiated: Tensor) -> Results:
            tensors = list(arguments)
            for place, tensor in zip(places, differentiated):
                tensors[place] = tensor
            results = self.piece.compute(named(self.piece.names, tensors[count:]), *tensors[:count])
            if not isinstance(gradient, tuple):
                return results
            return tuple(result for result, each in zip(results, gradient) if each is not None)

        _, pull_back = ms.vjp(of_wanted, *(arguments[place] for place in places))
        if isinstance(gradient, tuple):
            gradient = tuple(each for each in gradient if each is not None)
        gradients = pull_back(gradient)
        remaining = iter(gradients if isinstance(gradients, tuple) else (gradients,))
        of_arguments = [next(remaining) if place in places else None for place in range(len(arguments))]
        return of_arguments[:count], of_arguments[count:]


class Run:
    """One execution of an itemwise piece, forwards and backwards.

    Args:
        piece: ``Itemwise``.
        inputs: tensors; for ``backward_undoing`` the result of the piece instead of the first.
        numbers: as for ``Piecewise``.
    """

    def __init__(self, piece: Itemwise, inputs: Sequence[Tensor], numbers: int) -> None:
        self.piece, self.layout = piece, piece.layout(*inputs)
        self.items = [piece.enter(self.layout, x) for x in inputs]
        self.constants = piece.constants(self.layout, *inputs)
        self.tables = piece.tables(self.layout)
        self.weights = values(piece.weights)
        first = self.items[0]
        count, most = first.shape[piece.axis] // piece.sizes[0], max(1, numbers // piece.cost(*self.items))
        self.images = first.shape[0] if piece.axis else 1  # each has items of its own
        self.images_at_once = max(divisors(self.images, most // count), default=1)
        self.at_once = portion(count, most, piece.halo)
        self.parts = parts(count, self.at_once, piece.halo)
        self.compiles = piece.compiled and first.size * self.at_once // count >= LEAST
        self.shared = self._shared()

    def forward(self) -> Tensor:
        """Return the result."""
        present, constants = _present(self.constants)
        function = functions.forward(
            self.piece, compiles=self.compiles, items=len(self.items), present=present, shared=len(self.shared)
        )
        results = []
        for image in range(0, self.images, self.images_at_once):
            of_parts = []
            for part in self.parts:
                result = function(
                    *self._items_of(image, part, self.items),
                    *self._items_of(image, part, constants),
                    *self.shared,
                    *self.weights,
                )
                of_parts.append(self._cut(result, part.first - part.start, part.last - part.start, 1))
            results.append(_joined(of_parts, self.piece.axis))
        return self.piece.leave(self.layout, _joined(results, 0))

    def backward(self, gradient: Tensor, wanted: Wanted) -> Gradients:
        """Return (gradients of the inputs, of the weights), given that of the result; None for those not ``wanted``."""
        of_inputs, of_weights = wanted
        _, of_inputs, of_weights = self._pulled_back(
            functions.backward, gradient, self.items, of_items=of_inputs, of_weights=of_weights
        )
        return of_inputs, of_weights

    def backward_undoing(self, gradient: Tensor, wanted: Wanted) -> tuple[Tensor, list, list]:
        """As ``backward``, for an ``Added``, given its result; return (its first input, gradients as ``backward``)."""
        (of_first, *of_others), of_weights = wanted
        first, of_others, of_weights = self._pulled_back(
            functions.backward_undoing, gradient, self.items[1:], of_items=of_others, of_weights=of_weights, undoes=True
        )
        return first, [gradient if of_first else None, *of_others], of_weights

    def _pulled_back(
        self,
        function_for: Callable[..., Callable[..., tuple[Tensor, ...]]],
        gradient: Tensor,
        differentiated: Sequence[Tensor],
        *,
        of_items: Sequence[bool],
        of_weights: Sequence[bool],
        undoes: bool = False,
    ) -> tuple[Tensor | None, list[Tensor | None], list[Tensor | None]]:
        """Return (the first input if the piece is undone, else None; gradients of ``differentiated``; of the weights).

        function_for: ``functions.backward`` or ``functions.backward_undoing``.
        """
        present, constants = _present(self.constants)
        function = function_for(
            self.piece,
            compiles=self.compiles,
            items=len(self.items),
            present=present,
            shared=len(self.shared),
            wanted=self._places(of_items, len(differentiated) + len(constants), of_weights),
        )
        undone = int(undoes)
        gradient = self.piece.enter(self.layout, gradient)
        firsts, results, totals = [], [[] for each in of_items if each], None
        for image in range(0, self.images, self.images_at_once):
            of_parts = []
            for part in self.parts:
                of_result = self._framed(self._of_images(image, gradient), part)
                gradients_of_part = function(
                    of_result,
                    *self._items_of(image, part, self.items),
                    *self._items_of(image, part, constants),
                    *self.shared,
                    *self.weights,
                )
                of_parts.append(gradients_of_part[: undone + len(results)])
                rest = gradients_of_part[undone + len(results) :]
                totals = rest if totals is None else [total + each for total, each in zip(totals, rest)]
            of_parts = list(zip(*of_parts))
            if undone:
                firsts.append(self._inner(of_parts.pop(0)))
            for each, gradients in zip(results, of_parts):
                each.append(self._overlapped(gradients))
        first = self.piece.leave(self.layout, _joined(firsts, 0)) if undone else None
        of_wanted = iter([self.piece.leave(self.layout, _joined(each, 0)) for each in results])
        return first, [next(of_wanted) if each else None for each in of_items], self._of_weights(list(totals), of_weights)

    def _places(self, of_items: Sequence[bool], first_shared: int, of_weights: Sequence[bool]) -> functions.Places:
        """Return the places, among the arguments of the differentiated function, of those whose gradients are taken."""
        items = [place for place, wanted in enumerate(of_items) if wanted]
        shared = [first_shared + place for place in range(len(self.shared)) if any(of_weights)]
        first = first_shared + len(self.shared)
        return tuple(items + shared + [first + place for place, wanted in enumerate(of_weights) if wanted])

    def _shared(self) -> Sequence[Tensor]:
        if not self.tables:
            return ()
        present, tables = _present(self.tables)
        return functions.shared(self.piece, compiles=False, items=self.at_once, present=present)(*tables, *self.weights)

    def _of_weights(self, totals: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
        """Return gradients of the weights: the direct ones plus those through the shared tensors.

        totals: gradients of the shared tensors, then the direct ones of the weights that are ``wanted``.
        """
        if not any(wanted):
            return [None] * len(wanted)
        count = len(self.shared)
        direct = iter(totals[count:])
        gradients = [next(direct) if each else None for each in wanted]
        if count:
            present, tables = _present(self.tables)
            places = tuple(len(tables) + place for place, each in enumerate(wanted) if each)
            function = functions.shared_backward(
                self.piece, compiles=False, items=self.at_once, present=present, count=count, wanted=places
            )
            for place, indirect in zip(places, function(*totals[:count], *tables, *self.weights)):
                gradients[place - len(tables)] = gradients[place - len(tables)] + indirect
        return gradients

    def _items_of(self, image: int, part: Part, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the items, or constants, of one part of the images from ``image`` on."""
        return [self._cut(self._of_images(image, x), part.start, part.start + self.at_once, 0) for x in tensors]

    def _of_images(self, image: int, x: Tensor) -> Tensor:
        return x if self.images_at_once == self.images else x[image : image + self.images_at_once]

    def _cut(self, x: Tensor, first: int, last: int, side: int) -> Tensor:
        """Return items ``first`` to before ``last`` of ``x``; side: 0 for an input, 1 for the result."""
        size, axis = self.piece.sizes[side], self.piece.axis
        first, last = first * size, last * size
        return x if (first, last) == (0, x.shape[axis]) else x[_along(axis, slice(first, last))]

    def _framed(self, gradient: Tensor, part: Part) -> Tensor:
        """Return the gradient of the result of a part, zero for the halo, which is dropped."""
        inner = self._cut(gradient, part.first, part.last, 1)
        return with_zeros(
            inner,
            self.piece.axis,
            (part.first - part.start) * self.piece.sizes[1],
            (part.start + self.at_once - part.last) * self.piece.sizes[1],
        )

    def _inner(self, results: Sequence[Tensor]) -> Tensor:
        """Join the results of parts without their halos."""
        return _joined(
            [
                self._cut(result, part.first - part.start, part.last - part.start, 0)
                for result, part in zip(results, self.parts)
            ],
            self.piece.axis,
        )

    def _overlapped(self, gradients: Sequence[Tensor]) -> Tensor:
        """Return the gradients of the items, summed over parts, which overlap by their halos."""
        if not self.piece.halo:
            return self._inner(gradients)
        axis, size = self.piece.axis, self.piece.sizes[0]
        length = self.parts[-1].last * size
        total = 0
        for part, gradient in zip(self.parts, gradients):
            above = part.start * size
            total = total + with_zeros(gradient, axis, above, length - above - gradient.shape[axis])
        return total


class Part(NamedTuple):
    """Items that are executed at once, from ``start`` on; their results without halo, from ``first`` to before ``last``."""

    start: int
    first: int
    last: int


def portion(count: int, most: int, halo: int = 0) -> int:
    """Return how many of ``count`` items to execute at a time: at most ``most``, chosen so that parts overlap little.

    That includes the halo on both sides; with a halo it is at least four halos, whatever ``most``.
    """
    most = min(count, max(most, 4 * halo))
    if halo:
        inner = most - 2 * halo
        return count if most == count else -(-(count - 2 * halo) // -(-(count - 2 * halo) // inner)) + 2 * halo
    divisor = divisors(count, most)[-1]
    return divisor if 2 * divisor >= most else -(-count // -(-count // most))


def parts(count: int, at_once: int, halo: int = 0) -> list[Part]:
    """Return the parts of ``at_once`` items each that cover ``count`` items; there is no halo at the ends of the axis."""
    if at_once >= count:
        return [Part(0, 0, count)]
    result = [Part(0, 0, at_once - halo)]
    while result[-1].last < count:
        first = result[-1].last
        start = min(first - halo, count - at_once)
        result.append(Part(start, first, count if start == count - at_once else start + at_once - halo))
    return result


def divisors(count: int, most: int) -> list[int]:
    """Return the divisors of ``count`` that are no more than ``most``."""
    return [size for size in range(1, min(count, most) + 1) if count % size == 0]


def _joined(tensors: Sequence[Tensor], axis: int) -> Tensor:
    return tensors[0] if len(tensors) == 1 else ops.cat(tensors, axis)


def _along(axis: int, selected: slice) -> tuple:
    """Return the index of a slice along an axis, which may be negative."""
    return (slice(None),) * axis + (selected,) if axis >= 0 else (..., selected) + (slice(None),) * (-1 - axis)


def values(weights: Sequence[Parameter]) -> list[Tensor]:
    """Return parameters as plain tensors, as a compiled function takes a Parameter for a constant.

    The tensors are views: a parameter whose own gradient was taken cannot be set any more.
    """
    return [weight.reshape(weight.shape) for weight in weights]


def _present(tensors: Sequence[Tensor | None]) -> tuple[functions.Present, list[Tensor]]:
    """Return (for each whether it is not None, those that are not)."""
    return tuple(tensor is not None for tensor in tensors), [tensor for tensor in tensors if tensor is not None]
