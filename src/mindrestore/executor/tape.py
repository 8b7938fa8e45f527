"""Gradients of a network executed piece by piece: what went into each piece is kept, nothing of what it computed inside.

On the way back each piece is computed a second time, some of its items at a time, and its gradients taken then: memory is that
of one piece, and of the tensors between pieces (arXiv 1604.06174). Of pieces that add to their first input not even that is
kept: it is had again by subtracting (arXiv 1707.04585).
"""
from typing import Callable, Iterable, NamedTuple, Optional, Tuple, Union

import mindspore as ms
from mindspore import Parameter, Tensor, nn

from mindrestore.executor.piecewise import Piecewise, run_of
from mindrestore.models.piece import Added, Piece, Rearrangement, Section

NUMBERS = 2 ** 22  # half of what is taken at a time forwards, as gradients are taken of as much


class Recorded:
    """A tensor that came out of a piece while it was recorded. Nothing but a piece can compute with it.

    Attributes:
        tensor: None once it follows from what comes after it (``mindrestore.models.piece.Added``).
        node: what it is known by, for as long as its gradient may be asked for.
    """

    def __init__(self, tensor: Tensor):
        self.tensor, self.node = tensor, object()
        self.shape, self.dtype = tensor.shape, tensor.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)


class Entry(NamedTuple):
    """One execution of a piece, as a tape keeps it.

    Attributes:
        inputs: as they went in, ``Recorded`` or not; None where they are not needed again.
        nodes: of the inputs, None for those that no gradient is wanted of.
        results: nodes; ``result_shape`` is the first one's.
        result: the ``Recorded`` of an ``Added``, of which its first input is had again.
        of_weights: for each weight whether its gradient is wanted.
    """

    piece: Union[Piece, Section]
    inputs: Optional[tuple]
    shapes: tuple
    nodes: tuple
    results: tuple
    result_shape: tuple
    result: Optional[Recorded]
    of_weights: tuple

    @property
    def wanted(self) -> Tuple[Tuple[bool, ...], Tuple[bool, ...]]:
        return tuple(node is not None for node in self.nodes), self.of_weights


class Tape(Piecewise):
    """Loss and gradients of a network, piece by piece.

    Args:
        network: see ``Piecewise``.
        parameters: to take gradients of; nothing is computed for the others.
        start_mean: ``start_mean(tensors)`` begins to average them over processes and returns a function that waits for it and
            gives the result; called with the gradients of each piece as soon as they are there.
        numbers: see ``Piecewise``.
        size: ``"stage"`` or ``"group"``: of such sections (``mindrestore.models.piece.Section``) nothing is kept but what goes
            in, so that less is kept and more computed a second time; None: so it is of single pieces.
    """

    def __init__(self, network: nn.Cell, parameters: Iterable[Parameter], start_mean: Optional[Callable] = None,
                 numbers: int = NUMBERS, size: Optional[str] = None):
        super().__init__(network, numbers)
        self.size = size
        self.parameters = list(parameters)
        self.wanted = {id(parameter) for parameter in self.parameters}
        self.start_mean = start_mean or _as_they_are
        self.entries = []

    def value_and_gradients(self, loss: Callable, *inputs: Tensor) -> Tuple[Tensor, Tuple[Tensor, ...]]:
        """Return (value, gradients in the order of the parameters) of ``loss(network(*inputs)) -> scalar``."""
        self.entries = []
        result = self(*inputs)
        gradients = _Gradients(self.start_mean)
        if not isinstance(result, Recorded):
            raise ValueError("no gradient is wanted of anything that the network computes")
        value, of_result = ms.value_and_grad(loss, 0)(result.tensor)
        mean = self.start_mean([value])
        of_results = {result.node: of_result}
        del result, of_result
        self._pull_back(of_results, gradients)
        return mean()[0], gradients.of(self.parameters)

    def execute(self, piece, inputs):
        """Return what a piece makes of its inputs; recorded where a gradient is wanted of any of it."""
        of_weights = tuple(id(weight) in self.wanted for weight in piece.weights)
        tensors = super().execute(piece, _tensors(piece, inputs))
        return self._recorded(piece, inputs, tensors, of_weights)

    def execute_section(self, section, inputs):
        """As ``execute``, for a section."""
        if section.size != self.size:
            return super().execute_section(section, inputs)
        with Piecewise(self.network, self.numbers).taking_over():
            tensors = section.inside(*_tensors(section, inputs))
        return self._recorded(section, inputs, tensors, tuple(id(weight) in self.wanted for weight in section.get_parameters()))

    def _recorded(self, piece, inputs, tensors, of_weights):
        """Return what came out of a piece or section, recorded where a gradient is wanted of any of it."""
        nodes = tuple(x.node if isinstance(x, Recorded) else None for x in inputs)
        if not any(of_weights) and all(node is None for node in nodes):
            return tensors
        several = isinstance(tensors, tuple)
        results = tuple(map(Recorded, tensors if several else (tensors,)))
        undone = isinstance(piece, Added) and nodes[0] is not None
        if undone:
            inputs[0].tensor = None
        shapes = tuple(getattr(x, "shape", None) for x in inputs)
        self.entries.append(Entry(
            piece, None if isinstance(piece, Rearrangement) else tuple(inputs), shapes, nodes,
            tuple(result.node for result in results), results[0].shape, results[0] if undone else None, of_weights))
        return results if several else results[0]

    def _pull_back(self, of_results, gradients):
        """Go back through the entries; ``of_results``: gradients of what was recorded, by node."""
        while self.entries:
            entry = self.entries.pop()
            of_entry = [of_results.pop(node, None) for node in entry.results]
            if all(gradient is None for gradient in of_entry):
                if entry.result is None:
                    continue
                of_entry = [ms.ops.zeros(entry.result_shape, ms.float32)]  # what was added to is needed all the same
            of_inputs = self._pulled_back(entry, of_entry, gradients)
            for node, gradient in zip(entry.nodes, of_inputs):
                if node is not None and gradient is not None:
                    former = of_results.get(node)
                    of_results[node] = gradient if former is None else former + gradient

    def _pulled_back(self, entry, of_entry, gradients):
        """Return gradients of the inputs of one entry, None for what is not wanted; add those of its weights."""
        piece = entry.piece
        if isinstance(piece, Rearrangement):
            return piece.adjoint(entry.shapes, *of_entry)
        if isinstance(piece, Section):
            return self._section_pulled_back(entry, of_entry[0], gradients)
        if entry.result is not None:
            first, *others = entry.inputs
            run = run_of(piece, [entry.result.tensor, *_tensors(piece, others)], self.numbers)
            first.tensor, of_inputs, of_weights = run.backward_undoing(of_entry[0], entry.wanted)
            entry.result.tensor = None
        else:
            run = run_of(piece, _tensors(piece, entry.inputs), self.numbers)
            of_inputs, of_weights = run.backward(of_entry[0] if len(of_entry) == 1 else tuple(of_entry), entry.wanted)
        gradients.add((weight, gradient) for weight, gradient in zip(piece.weights, of_weights) if gradient is not None)
        return of_inputs

    def _section_pulled_back(self, entry, gradient, gradients):
        """As ``_pulled_back``: the section is recorded now, piece by piece."""
        inputs = [tensor if node is None else Recorded(tensor)
                  for node, tensor in zip(entry.nodes, _tensors(entry.piece, entry.inputs))]
        outside, self.entries = self.entries, []
        with self.taking_over():
            of_results = {entry.piece.inside(*inputs).node: gradient}
        self._pull_back(of_results, gradients)
        self.entries = outside
        return [of_results.get(x.node) if isinstance(x, Recorded) else None for x in inputs]


def _tensors(piece, inputs):
    """Return inputs without the records around them."""
    tensors = [x.tensor if isinstance(x, Recorded) else x for x in inputs]
    if any(tensor is None and x is not None for tensor, x in zip(tensors, inputs)):
        raise ValueError(f"{type(piece).__name__}: what it takes was added to before, and is not kept")
    return tensors


class _Gradients:
    """Gradients of parameters; those of a piece are on their way to their means since they were added."""

    def __init__(self, start_mean):
        self.start_mean, self._coming = start_mean, []

    def add(self, pairs):
        """Add pairs of a parameter and its gradient."""
        pairs = list(pairs)
        if pairs:
            self._coming.append(([id(parameter) for parameter, _ in pairs], self.start_mean([each for _, each in pairs])))

    def of(self, parameters):
        """Wait for all; return the gradients of ``parameters``, zeros for those that played no part."""
        total = {}
        for names, finish in self._coming:
            for name, gradient in zip(names, finish()):
                total[name] = total[name] + gradient if name in total else gradient
        return tuple(total[id(each)] if id(each) in total else Tensor(ms.ops.zeros_like(each)) for each in parameters)


def _as_they_are(tensors):
    return lambda: tensors
