"""Networks executed piece by piece: each piece by functions that all of its kind share, some of its items at a time."""
import contextlib
from typing import NamedTuple

import mindspore as ms
from mindspore import ops

from mindrestore import native
from mindrestore.executor import functions
from mindrestore.models.piece import Itemwise, executor, named

NUMBERS = 2 ** 23  # that all items taken at a time are on their way through a piece, about
LEAST = 2 ** 16  # of fewer numbers going in a piece is not compiled: that takes longer, and more memory, than it saves


class Piecewise:
    """A network that is executed piece by piece.

    Its memory does not grow with its depth nor, but for what goes from one piece to the next, with the size of its input.

    Args:
        network: a cell made of pieces; its weights are read at every call.
        numbers: most numbers that are taken at a time, at least one item.
    """

    def __init__(self, network, numbers=NUMBERS):
        self.network = network
        self.numbers = numbers

    @property
    def settings(self):
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

    def execute(self, piece, inputs):
        """Return what a piece makes of its inputs: its call, as long as the context lasts."""
        return run_of(piece, inputs, self.numbers).forward()


def run_of(piece, inputs, numbers):
    """Return one execution of a piece, forwards and backwards: by its native operator, item by item, or whole."""
    run = piece.native(*inputs) if native.available() else None
    if run is None:
        run = Run(piece, inputs, numbers) if isinstance(piece, Itemwise) else Whole(piece, inputs)
    return run


class Whole:
    """One execution of a piece at once, without compiling it; see ``Run``."""

    def __init__(self, piece, inputs):
        self.piece, self.inputs, self.weights = piece, inputs, values(piece.weights)

    def forward(self):
        """Return the result, or several in a tuple."""
        return self.piece.compute(named(self.piece.names, self.weights), *self.inputs)

    def backward(self, gradient, wanted):
        """As ``Run.backward``; of several results a tuple of gradients, None for those that the loss does not depend on."""
        of_inputs, of_weights = wanted
        given = [*self.inputs, *self.weights]
        places = [place for place, each in enumerate((*of_inputs, *of_weights)) if each]
        count = len(self.inputs)

        def of_wanted(*arguments):
            tensors = list(given)
            for place, argument in zip(places, arguments):
                tensors[place] = argument
            results = self.piece.compute(named(self.piece.names, tensors[count:]), *tensors[:count])
            if not isinstance(gradient, tuple):
                return results
            return tuple(result for result, each in zip(results, gradient) if each is not None)

        _, pull_back = ms.vjp(of_wanted, *(given[place] for place in places))
        found = pull_back(tuple(each for each in gradient if each is not None) if isinstance(gradient, tuple) else gradient)
        found = iter(found if isinstance(found, tuple) else (found,))
        found = [next(found) if place in places else None for place in range(len(given))]
        return found[:count], found[count:]


class Run:
    """One execution of an itemwise piece, forwards and backwards.

    Args:
        piece: ``Itemwise``.
        inputs: tensors; for ``backward_undoing`` the result in the place of the first.
        numbers: as for ``Piecewise``.
    """

    def __init__(self, piece, inputs, numbers):
        self.piece, self.layout = piece, piece.layout(*inputs)
        self.items = [piece.enter(self.layout, x) for x in inputs]
        self.constants = piece.constants(self.layout, *inputs)
        self.tables = piece.tables(self.layout)
        self.weights = values(piece.weights)
        count = self.items[0].shape[piece.axis] // piece.sizes[0]
        self.at_once = portion(count, max(1, numbers // piece.cost(*self.items)), piece.halo)
        self.parts = parts(count, self.at_once, piece.halo)
        self.compiles = piece.compiled and self.items[0].size * self.at_once // count >= LEAST
        self.shared = self._shared()

    def forward(self):
        present, given = _there(self.constants)
        function = functions.forward(self.piece, self.compiles, len(self.items), present, len(self.shared))
        results = []
        for part in self.parts:
            result = function(*self._taken(part, self.items), *self._taken(part, given), *self.shared, *self.weights)
            results.append(self._cut(result, part.first - part.start, part.last - part.start, 1))
        return self.piece.leave(self.layout, self._joined(results))

    def backward(self, gradient, wanted):
        """Return (gradients of the inputs, of the weights), given that of the result; None for what is not ``wanted``.

        wanted: for each input and for each weight, a tuple of tuples of bool.
        """
        of_inputs, of_weights = wanted
        _, *found = self._pulled_back(functions.backward, gradient, self.items, of_inputs, of_weights, 0)
        return found

    def backward_undoing(self, gradient, wanted):
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
        results = [[] for _ in range(undone + sum(of_items))]
        totals = None
        for part in self.parts:
            found = function(self._framed(gradient, part), *self._taken(part, self.items), *self._taken(part, constants),
                             *self.shared, *self.weights)
            for each, result in zip(results, found):
                each.append(result)
            rest = found[len(results):]
            totals = rest if totals is None else [total + each for total, each in zip(totals, rest)]
        first = self.piece.leave(self.layout, self._inner(results.pop(0))) if undone else None
        overlapped = iter([self.piece.leave(self.layout, self._overlapped(each)) for each in results])
        return first, [next(overlapped) if each else None for each in of_items], self._of_weights(list(totals), of_weights)

    def _places(self, of_items, first_shared, of_weights):
        """Return the places of what gradients are taken of among the arguments of the function that is differentiated."""
        items = [place for place, wanted in enumerate(of_items) if wanted]
        shared = [first_shared + place for place in range(len(self.shared)) if any(of_weights)]
        first = first_shared + len(self.shared)
        return tuple(items + shared + [first + place for place, wanted in enumerate(of_weights) if wanted])

    def _shared(self):
        if not self.tables:
            return ()
        present, given = _there(self.tables)
        return functions.shared(self.piece, False, self.at_once, present)(*given, *self.weights)

    def _of_weights(self, totals, wanted):
        """Return gradients of the weights: those taken directly, and those of what is shared, taken further to the weights."""
        if not any(wanted):
            return [None] * len(wanted)
        through = len(self.shared)
        found = iter(totals[through:])
        gradients = [next(found) if each else None for each in wanted]
        if through:
            present, tables = _there(self.tables)
            places = tuple(len(tables) + place for place, each in enumerate(wanted) if each)
            function = functions.shared_backward(self.piece, False, self.at_once, present, through, places)
            for place, further in zip(places, function(*totals[:through], *tables, *self.weights)):
                gradients[place - len(tables)] = gradients[place - len(tables)] + further
        return gradients

    def _taken(self, part, tensors):
        """Return what a part has of items or constants."""
        return [self._cut(x, part.start, part.start + self.at_once, 0) for x in tensors]

    def _cut(self, x, first, last, side):
        """Return items of ``x``; side: 0, an input's, or 1, the result's."""
        size, axis = self.piece.sizes[side], self.piece.axis
        first, last = first * size, last * size
        return x if (first, last) == (0, x.shape[axis]) else x[_along(axis, slice(first, last))]

    def _framed(self, gradient, part):
        """Return the gradient of what is kept of a part's result, zeros around it for what is dropped."""
        inner = self._cut(gradient, part.first, part.last, 1)
        return _with_zeros(inner, self.piece.axis, (part.first - part.start) * self.piece.sizes[1],
                           (part.start + self.at_once - part.last) * self.piece.sizes[1])

    def _inner(self, results):
        """Return the items of parts together, what they compute twice once."""
        return self._joined([self._cut(result, part.first - part.start, part.last - part.start, 0)
                             for result, part in zip(results, self.parts)])

    def _overlapped(self, gradients):
        """Return the gradients of items, of which several parts may each have a share."""
        if not self.piece.halo:  # nothing that is kept depends on what is dropped
            return self._inner(gradients)
        axis, size = self.piece.axis, self.piece.sizes[0]
        whole = self.parts[-1].last * size
        total = 0
        for part, gradient in zip(self.parts, gradients):
            above = part.start * size
            total = total + _with_zeros(gradient, axis, above, whole - above - gradient.shape[axis])
        return total

    def _joined(self, results):
        return results[0] if len(results) == 1 else ops.cat(results, self.piece.axis)


class Part(NamedTuple):
    """Items that are executed at once, from ``start`` on; those from ``first`` to before ``last`` are kept."""

    start: int
    first: int
    last: int


def portion(count, most, halo=0):
    """Return how many of ``count`` items to take at a time: at most ``most``, so that few or none are taken twice.

    With a halo, which is part of them, it is twice that on each side at least.
    """
    most = min(count, max(most, 4 * halo))
    if halo:
        inner = most - 2 * halo
        return count if most == count else -(-(count - 2 * halo) // -(-(count - 2 * halo) // inner)) + 2 * halo
    divisor = next(size for size in range(most, 0, -1) if count % size == 0)
    return divisor if 2 * divisor >= most else -(-count // -(-count // most))


def parts(count, at_once, halo=0):
    """Return the parts that make up ``count`` items, each of ``at_once``; at the ends of the axis there is no halo."""
    if at_once >= count:
        return [Part(0, 0, count)]
    found = [Part(0, 0, at_once - halo)]
    while found[-1].last < count:
        first = found[-1].last
        start = min(first - halo, count - at_once)
        found.append(Part(start, first, count if start == count - at_once else start + at_once - halo))
    return found


def _along(axis, selected):
    """Return the index that selects along an axis, counted from either end."""
    return (slice(None),) * axis + (selected,) if axis >= 0 else (..., selected) + (slice(None),) * (-1 - axis)


def _with_zeros(x, axis, before, after):
    """Return ``x`` with entries of zeros before and after it on an axis."""
    shape = list(x.shape)
    pieces = []
    for length in (before, after):
        shape[axis] = length
        pieces.append(ops.zeros(tuple(shape), x.dtype) if length else None)
    pieces = [piece for piece in (pieces[0], x, pieces[1]) if piece is not None]
    return ops.cat(pieces, axis) if len(pieces) > 1 else x


def values(weights):
    """Return parameters as plain tensors: a compiled function takes a Parameter for a constant.

    Views, as a parameter itself cannot be set any more once a gradient was taken of it.
    """
    return [weight.reshape(weight.shape) for weight in weights]


def _there(tensors):
    """Return (of each whether it is there, those that are)."""
    return tuple(tensor is not None for tensor in tensors), [tensor for tensor in tensors if tensor is not None]
