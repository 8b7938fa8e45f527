"""Networks executed piece by piece: each piece by functions that all of its kind share, some of its items at a time."""
import contextlib
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from mindrestore import native
from mindrestore.executor import functions
from mindrestore.models.piece import Itemwise, Piece, Section, executor, named
from mindrestore.ops.margins import with_zeros

NUMBERS = 2 ** 23  # that all items taken at a time are on their way through a piece, about
LEAST = 2 ** 16  # of fewer numbers going in a piece is not compiled: that takes longer, and more memory, than it saves

Results = Union[Tensor, Tuple[Tensor, ...]]  # of a piece that has one, or several
Wanted = Tuple[Sequence[bool], Sequence[bool]]  # of each input and of each weight whether its gradient is
Gradients = Tuple[List[Optional[Tensor]], List[Optional[Tensor]]]  # of inputs and of weights, None for what is not wanted


class Piecewise:
    """A network that is executed piece by piece.

    Its memory does not grow with its depth nor, but for what goes from one piece to the next, with the size of its input.

    Args:
        network: a cell made of pieces; its weights are read at every call.
        numbers: most numbers that are taken at a time, at least one item.
    """

    def __init__(self, network: nn.Cell, numbers: int = NUMBERS):
        self.network = network
        self.numbers = numbers

    @property
    def settings(self) -> dict:
        return self.network.settings

    def __call__(self, *inputs):
        """Return what the network makes of its inputs."""
        with self.taking_over():
            return self.network(*inputs)

    @contextlib.contextmanager
    def taking_over(self):
        """While the context lasts, pieces that are called are executed here."""
        former = executor.set(self)
        try:
            yield
        finally:
            executor.reset(former)

    def execute(self, piece: Piece, inputs: Sequence[Tensor]) -> Results:
        """Return what a piece makes of its inputs: its call, as long as the context lasts."""
        return run_of(piece, inputs, self.numbers).forward()

    def execute_section(self, section: Section, inputs: Sequence[Tensor]) -> Tensor:
        """Return what a section makes of its inputs, as ``execute`` does."""
        return section.inside(*inputs)


def run_of(piece: Piece, inputs: Sequence[Tensor], numbers: int):
    """Return one execution of a piece, forwards and backwards: by its native operator, item by item, or whole."""
    run = piece.native(*inputs) if native.available() else None
    if run is None:
        run = Run(piece, inputs, numbers) if isinstance(piece, Itemwise) else Whole(piece, inputs)
    return run


class Whole:
    """One execution of a piece at once, without compiling it; see ``Run``."""

    def __init__(self, piece: Piece, inputs: Sequence[Tensor]):
        self.piece, self.inputs, self.weights = piece, inputs, values(piece.weights)

    def forward(self) -> Results:
        """Return the result, or several in a tuple."""
        return self.piece.compute(named(self.piece.names, self.weights), *self.inputs)

    def backward(self, gradient: Results, wanted: Wanted) -> Gradients:
        """As ``Run.backward``; of several results a tuple of gradients, None for those that the loss does not depend on."""
        of_inputs, of_weights = wanted
        arguments = [*self.inputs, *self.weights]
        places = [place for place, each in enumerate((*of_inputs, *of_weights)) if each]
        count = len(self.inputs)

        def of_wanted(*differentiated):
            tensors = list(arguments)
            for place, tensor in zip(places, differentiated):
                tensors[place] = tensor
            results = self.piece.compute(named(self.piece.names, tensors[count:]), *tensors[:count])
            if not isinstance(gradient, tuple):
                return results
            return tuple(result for result, each in zip(results, gradient) if each is not None)

        _, pull_back = ms.vjp(of_wanted, *(arguments[place] for place in places))
        gradients = pull_back(tuple(each for each in gradient if each is not None) if isinstance(gradient, tuple) else gradient)
        gradients = iter(gradients if isinstance(gradients, tuple) else (gradients,))
        of_arguments = [next(gradients) if place in places else None for place in range(len(arguments))]
        return of_arguments[:count], of_arguments[count:]


class Run:
    """One execution of an itemwise piece, forwards and backwards.

    Args:
        piece: ``Itemwise``.
        inputs: tensors; for ``backward_undoing`` the result in the place of the first.
        numbers: as for ``Piecewise``.
    """

    def __init__(self, piece: Itemwise, inputs: Sequence[Tensor], numbers: int):
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
        present, constants = _there(self.constants)
        function = functions.forward(self.piece, self.compiles, len(self.items), present, len(self.shared))
        results = []
        for image in range(0, self.images, self.images_at_once):
            of_parts = []
            for part in self.parts:
                result = function(*self._taken(image, part, self.items), *self._taken(image, part, constants), *self.shared,
                                  *self.weights)
                of_parts.append(self._cut(result, part.first - part.start, part.last - part.start, 1))
            results.append(_joined(of_parts, self.piece.axis))
        return self.piece.leave(self.layout, _joined(results, 0))

    def backward(self, gradient: Tensor, wanted: Wanted) -> Gradients:
        """Return (gradients of the inputs, of the weights), given that of the result; None for what is not ``wanted``.

        wanted: for each input and for each weight, a tuple of tuples of bool.
        """
        of_inputs, of_weights = wanted
        _, *gradients = self._pulled_back(functions.backward, gradient, self.items, of_inputs, of_weights, 0)
        return gradients

    def backward_undoing(self, gradient: Tensor, wanted: Wanted) -> Tuple[Tensor, list, list]:
        """As ``backward`` of an ``Added``; return its first input before these."""
        (of_first, *of_others), of_weights = wanted
        first, of_others, of_weights = self._pulled_back(functions.backward_undoing, gradient, self.items[1:], of_others,
                                                         of_weights, 1)
        return first, [gradient if of_first else None, *of_others], of_weights

    def _pulled_back(self, make, gradient, differentiated, of_items, of_weights, undone):
        """Return (the first input where it is ``undone``, gradients of the items ``differentiated``, of the weights)."""
        present, constants = _there(self.constants)
        function = make(self.piece, self.compiles, len(self.items), present, len(self.shared),
                        self._places(of_items, len(differentiated) + len(constants), of_weights))
        gradient = self.piece.enter(self.layout, gradient)
        firsts, results, totals = [], [[] for each in of_items if each], None
        for image in range(0, self.images, self.images_at_once):
            of_parts = []
            for part in self.parts:
                of_result = self._framed(self._of_images(image, gradient), part)
                gradients_of_part = function(of_result, *self._taken(image, part, self.items),
                                             *self._taken(image, part, constants), *self.shared, *self.weights)
                of_parts.append(gradients_of_part[:undone + len(results)])
                rest = gradients_of_part[undone + len(results):]
                totals = rest if totals is None else [total + each for total, each in zip(totals, rest)]
            of_parts = list(zip(*of_parts))
            if undone:
                firsts.append(self._inner(of_parts.pop(0)))
            for each, gradients in zip(results, of_parts):
                each.append(self._overlapped(gradients))
        first = self.piece.leave(self.layout, _joined(firsts, 0)) if undone else None
        of_wanted = iter([self.piece.leave(self.layout, _joined(each, 0)) for each in results])
        return first, [next(of_wanted) if each else None for each in of_items], self._of_weights(list(totals), of_weights)

    def _places(self, of_items, first_shared, of_weights):
        """Return the places of what gradients are taken of among the arguments of the function that is differentiated."""
        items = [place for place, wanted in enumerate(of_items) if wanted]
        shared = [first_shared + place for place in range(len(self.shared)) if any(of_weights)]
        first = first_shared + len(self.shared)
        return tuple(items + shared + [first + place for place, wanted in enumerate(of_weights) if wanted])

    def _shared(self):
        if not self.tables:
            return ()
        present, tables = _there(self.tables)
        return functions.shared(self.piece, False, self.at_once, present)(*tables, *self.weights)

    def _of_weights(self, totals, wanted):
        """Return gradients of the weights: those taken directly, and those of what is shared, taken further to the weights."""
        if not any(wanted):
            return [None] * len(wanted)
        through = len(self.shared)
        direct = iter(totals[through:])
        gradients = [next(direct) if each else None for each in wanted]
        if through:
            present, tables = _there(self.tables)
            places = tuple(len(tables) + place for place, each in enumerate(wanted) if each)
            function = functions.shared_backward(self.piece, False, self.at_once, present, through, places)
            for place, further in zip(places, function(*totals[:through], *tables, *self.weights)):
                gradients[place - len(tables)] = gradients[place - len(tables)] + further
        return gradients

    def _taken(self, image, part, tensors):
        """Return what a part of some images has of items or constants."""
        return [self._cut(self._of_images(image, x), part.start, part.start + self.at_once, 0) for x in tensors]

    def _of_images(self, image, x):
        return x if self.images_at_once == self.images else x[image:image + self.images_at_once]

    def _cut(self, x, first, last, side):
        """Return items of ``x``; side: 0, an input's, or 1, the result's."""
        size, axis = self.piece.sizes[side], self.piece.axis
        first, last = first * size, last * size
        return x if (first, last) == (0, x.shape[axis]) else x[_along(axis, slice(first, last))]

    def _framed(self, gradient, part):
        """Return the gradient of what is kept of a part's result, zeros around it for what is dropped."""
        inner = self._cut(gradient, part.first, part.last, 1)
        return with_zeros(inner, self.piece.axis, (part.first - part.start) * self.piece.sizes[1],
                           (part.start + self.at_once - part.last) * self.piece.sizes[1])

    def _inner(self, results):
        """Return the items of parts together, what they compute twice once."""
        return _joined([self._cut(result, part.first - part.start, part.last - part.start, 0)
                        for result, part in zip(results, self.parts)], self.piece.axis)

    def _overlapped(self, gradients):
        """Return the gradients of items, of which several parts may each have a share."""
        if not self.piece.halo:  # nothing that is kept depends on what is dropped
            return self._inner(gradients)
        axis, size = self.piece.axis, self.piece.sizes[0]
        whole = self.parts[-1].last * size
        total = 0
        for part, gradient in zip(self.parts, gradients):
            above = part.start * size
            total = total + with_zeros(gradient, axis, above, whole - above - gradient.shape[axis])
        return total


class Part(NamedTuple):
    """Items that are executed at once, from ``start`` on; those from ``first`` to before ``last`` are kept."""

    start: int
    first: int
    last: int


def portion(count: int, most: int, halo: int = 0) -> int:
    """Return how many of ``count`` items to take at a time: at most ``most``, so that few or none are taken twice.

    With a halo, which is part of them, it is twice that on each side at least.
    """
    most = min(count, max(most, 4 * halo))
    if halo:
        inner = most - 2 * halo
        return count if most == count else -(-(count - 2 * halo) // -(-(count - 2 * halo) // inner)) + 2 * halo
    divisor = divisors(count, most)[-1]
    return divisor if 2 * divisor >= most else -(-count // -(-count // most))


def parts(count: int, at_once: int, halo: int = 0) -> List[Part]:
    """Return the parts that make up ``count`` items, each of ``at_once``; at the ends of the axis there is no halo."""
    if at_once >= count:
        return [Part(0, 0, count)]
    result = [Part(0, 0, at_once - halo)]
    while result[-1].last < count:
        first = result[-1].last
        start = min(first - halo, count - at_once)
        result.append(Part(start, first, count if start == count - at_once else start + at_once - halo))
    return result


def divisors(count: int, most: int) -> List[int]:
    """Return the divisors of ``count`` that are no more than ``most``."""
    return [size for size in range(1, min(count, most) + 1) if count % size == 0]


def _joined(tensors, axis):
    return tensors[0] if len(tensors) == 1 else ops.cat(tensors, axis)


def _along(axis, selected):
    """Return the index that selects along an axis, counted from either end."""
    return (slice(None),) * axis + (selected,) if axis >= 0 else (..., selected) + (slice(None),) * (-1 - axis)


def values(weights: Sequence[Parameter]) -> List[Tensor]:
    """Return parameters as plain tensors: a compiled function takes a Parameter for a constant.

    Views, as a parameter itself cannot be set any more once a gradient was taken of it.
    """
    return [weight.reshape(weight.shape) for weight in weights]


def _there(tensors):
    """Return (of each whether it is there, those that are)."""
    return tuple(tensor is not None for tensor in tensors), [tensor for tensor in tensors if tensor is not None]
