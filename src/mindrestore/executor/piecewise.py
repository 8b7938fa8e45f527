"""Networks executed piece by piece: each piece by functions that all of its kind share, some of its items at a time."""
import contextlib
import math

from mindspore import Tensor, ops

from mindrestore import native
from mindrestore.executor import functions
from mindrestore.models.piece import Itemwise, executor

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
        run = run_of(piece, inputs, self.numbers)
        return whole(piece, inputs) if run is None else run.forward()


def run_of(piece, inputs, numbers):
    """Return what executes a piece forwards and backwards: its native operator, or ``Run``; None for a piece as a whole."""
    run = piece.native(*inputs) if native.available() else None
    return Run(piece, inputs, numbers) if run is None and isinstance(piece, Itemwise) else run


def whole(piece, inputs):
    """Return what a piece makes of its inputs at once."""
    return piece.compute(dict(zip(piece.names, values(piece.weights))), *inputs)


class Run:
    """One execution of an itemwise piece, forwards and backwards.

    Args:
        piece: ``Itemwise``.
        inputs: tensors.
        numbers: as for ``Piecewise``.
    """

    def __init__(self, piece, inputs, numbers):
        self.piece, self.layout = piece, piece.layout(*inputs)
        self.items = [piece.enter(self.layout, x) for x in inputs]
        self.constants = piece.constants(self.layout, *inputs)
        self.tables = piece.tables(self.layout)
        self.weights = values(piece.weights)
        self.count = self.items[0].shape[0]
        cost = piece.cost(*self.items)
        self.at_once = portion(self.count, max(1, numbers // cost))
        self.compiles = piece.compiled and self.at_once * math.prod(self.items[0].shape[1:]) >= LEAST
        self.shared = self._shared()

    def forward(self):
        present, given = _there(self.constants)
        function = functions.forward(self.piece, self.compiles, len(self.items), present, len(self.shared))
        parts = []
        for start, skipped in self._starts():
            part = function(*self._part(start, given), *self.shared, *self.weights)
            parts.append(part[skipped:] if skipped else part)
        return self.piece.leave(self.layout, parts[0] if len(parts) == 1 else ops.cat(parts))

    def _shared(self):
        if not self.tables:
            return ()
        present, given = _there(self.tables)
        return functions.shared(self.piece, False, self.at_once, present)(*given, *self.weights)

    def backward(self, gradient, wanted):
        """Return (gradients of the inputs, of the weights), given that of the result; None for what is not ``wanted``.

        wanted: for each input and for each weight, a tuple of tuples of bool.
        """
        of_inputs, of_weights = wanted
        present, constants = _there(self.constants)
        places = self._places(of_inputs, len(constants), of_weights)
        function = functions.backward(self.piece, self.compiles, len(self.items), present, len(self.shared), places)
        gradient = self.piece.enter(self.layout, gradient)
        of_items, totals = [[] for wanted in of_inputs if wanted], None
        for start, skipped in self._starts():
            part = gradient if self.at_once == self.count else gradient[start:start + self.at_once]
            if skipped:  # they were in the part before
                part = ops.cat((ops.zeros_like(part[:skipped]), part[skipped:]))
            found = function(part, *self._part(start, constants), *self.shared, *self.weights)
            for parts, each in zip(of_items, found):
                parts.append(each[skipped:] if skipped else each)
            rest = found[len(of_items):]
            totals = rest if totals is None else [total + each for total, each in zip(totals, rest)]
        of_items = iter([self.piece.leave(self.layout, parts[0] if len(parts) == 1 else ops.cat(parts)) for parts in of_items])
        return [next(of_items) if wanted else None for wanted in of_inputs], self._of_weights(list(totals), of_weights)

    def _places(self, of_inputs, constants, of_weights):
        """Return the places of what gradients are taken of among the arguments of ``functions.forward``."""
        items = [place for place, wanted in enumerate(of_inputs) if wanted]
        first = len(self.items) + constants
        shared = [first + place for place in range(len(self.shared)) if any(of_weights)]
        first += len(self.shared)
        return tuple(items + shared + [first + place for place, wanted in enumerate(of_weights) if wanted])

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

    def _part(self, start, given):
        """Return items and constants of one part."""
        if self.at_once == self.count:
            return (*self.items, *given)
        return tuple(x[start:start + self.at_once] for x in (*self.items, *given))

    def _starts(self):
        """Yield where each part starts and how many of its items were in the one before: the last part may overlap it."""
        for start in range(0, self.count, self.at_once):
            last = min(start, self.count - self.at_once)
            yield last, start - last


def portion(count, most):
    """Return how many of ``count`` items to take at a time: at most ``most``, so that few or none are taken twice."""
    most = min(count, most)
    divisor = next(size for size in range(most, 0, -1) if count % size == 0)
    return divisor if 2 * divisor >= most else -(-count // -(-count // most))


def values(weights):
    """Return parameters as plain tensors: a compiled function takes a Parameter for a constant."""
    return [Tensor(weight) for weight in weights]


def _there(tensors):
    """Return (of each whether it is there, those that are)."""
    return tuple(tensor is not None for tensor in tensors), [tensor for tensor in tensors if tensor is not None]
