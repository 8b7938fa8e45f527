"""Gradients of a network executed piece by piece: a tape stores the inputs of each piece, and nothing computed inside it.

On the way back each piece is computed a second time, a few of its items at a time, and its gradients are taken then. Memory is
that of one piece and of the tensors between pieces (arXiv 1604.06174). For pieces that add to their first input not even the
input is stored: it is the result minus what was added (arXiv 1707.04585).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import mindspore as ms
from mindspore import Parameter, Tensor, nn

from mindrestore import native
from mindrestore.executor.piecewise import Piecewise, numbers_of_device, run_of
from mindrestore.models.piece import Added, Piece, Rearrangement, Results, Section
from mindrestore.native.operator import Wanted

StartMean = Callable[[Sequence[Tensor]], Callable[[], Sequence[Tensor]]]


class Recorded:
    """The result of a piece while a tape records. Only pieces can compute with it.

    Attributes:
        tensor: None while it can be recomputed from a later result (``mindrestore.models.piece.Added``).
        node: the key of its gradient.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.node = tensor, object()
        self.shape, self.dtype = tensor.shape, tensor.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)


class Entry(NamedTuple):
    """One execution of a piece on a tape.

    Attributes:
        inputs: ``Recorded`` or not; None if the gradients do not depend on them.
        shapes: of the inputs, None for an input that is no tensor.
        nodes: of the inputs, None for those whose gradient is not wanted.
        results: nodes of the results.
        result_shape: of the first result.
        result: the ``Recorded`` result of an ``Added``, from which its first input is recomputed; else None.
        of_weights: for each weight whether its gradient is wanted.
    """

    piece: Piece | Section
    inputs: tuple | None
    shapes: tuple
    nodes: tuple
    results: tuple
    result_shape: tuple
    result: Recorded | None
    of_weights: tuple

    @property
    def wanted(self) -> Wanted:
        return tuple(node is not None for node in self.nodes), self.of_weights


class Tape(Piecewise):
    """Loss and gradients of a network, piece by piece.

    Args:
        network: see ``Piecewise``.
        parameters: whose gradients are taken; nothing is computed for the others.
        start_mean: ``start_mean(tensors)`` starts to average tensors over processes and returns a function that waits for the
            means and returns them. It is called with the gradients of each piece as soon as they are computed.
        numbers: see ``Piecewise``; by default half as many, as the gradients need as much memory again.
        size: ``"stage"`` or ``"group"``: the tape stores the inputs of such sections (``mindrestore.models.piece.Section``)
            instead of those of pieces, so that it stores less and computes more a second time; None: those of pieces.
    """

    def __init__(
        self,
        network: nn.Cell,
        parameters: Iterable[Parameter],
        start_mean: StartMean | None = None,
        numbers: int | None = None,
        size: str | None = None,
    ) -> None:
        super().__init__(network, numbers or numbers_of_device() // 2)
        self.size = size
        self.parameters = list(parameters)
        self.wanted = {id(parameter) for parameter in self.parameters}
        self.start_mean = start_mean or _as_they_are
        self.entries: list[Entry] = []

    def value_and_gradients(self, loss: Callable, *inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return (value, gradients in the order of the parameters) of ``loss(network(*inputs)) -> scalar``.

        Where the network returns a tuple, ``loss`` is given that tuple.
        """
        self.entries = []
        results = self(*inputs)
        several = isinstance(results, tuple)
        results = results if several else (results,)
        gradients = _Gradients(self.start_mean)
        if not any(isinstance(result, Recorded) for result in results):
            raise ValueError("no gradient is wanted of anything that the network computes")
        tensors = [result.tensor if isinstance(result, Recorded) else result for result in results]
        if several:
            value, of_each = ms.value_and_grad(lambda *given: loss(given), tuple(range(len(tensors))))(*tensors)
        else:  # of one position MindSpore gives no tuple
            value, *of_each = ms.value_and_grad(loss, 0)(*tensors)
        mean = self.start_mean([value])
        of_results = {result.node: gradient for result, gradient in zip(results, of_each) if isinstance(result, Recorded)}
        del results, tensors, of_each
        self._pull_back(of_results, gradients)
        return mean()[0], gradients.of(self.parameters)

    def execute(self, piece: Piece, inputs: Sequence[Recorded | Tensor]) -> Recorded | tuple[Recorded, ...] | Results:
        """Return the result of a piece; ``Recorded`` if any gradient of it is wanted."""
        of_weights = tuple(id(weight) in self.wanted for weight in piece.weights)
        tensors = super().execute(piece, _tensors(piece, inputs))
        return self._recorded(piece, inputs, tensors, of_weights)

    def execute_section(self, section: Section, inputs: Sequence[Recorded | Tensor]) -> Recorded | Tensor:
        """As ``execute``, for a section."""
        if section.size != self.size:
            return super().execute_section(section, inputs)
        with Piecewise(self.network, self.numbers).taking_over():
            tensors = section.inside(*_tensors(section, inputs))
        return self._recorded(section, inputs, tensors, tuple(id(weight) in self.wanted for weight in section.get_parameters()))

    def _recorded(
        self, piece: Piece | Section, inputs: Sequence[Recorded | Tensor], tensors: Results, of_weights: tuple[bool, ...]
    ) -> Recorded | tuple[Recorded, ...] | Results:
        """Return the result of a piece or section, ``Recorded`` if any gradient of it is wanted."""
        nodes = tuple(x.node if isinstance(x, Recorded) else None for x in inputs)
        if not any(of_weights) and all(node is None for node in nodes):
            return tensors
        several = isinstance(tensors, tuple)
        results = tuple(map(Recorded, tensors if several else (tensors,)))
        undone = isinstance(piece, Added) and nodes[0] is not None
        if undone:
            inputs[0].tensor = None
        shapes = tuple(getattr(x, "shape", None) for x in inputs)
        self.entries.append(
            Entry(
                piece=piece,
                inputs=None if isinstance(piece, Rearrangement) else tuple(inputs),
                shapes=shapes,
                nodes=nodes,
                results=tuple(result.node for result in results),
                result_shape=results[0].shape,
                result=results[0] if undone else None,
                of_weights=of_weights,
            )
        )
        return results if several else results[0]

    def _pull_back(self, of_results: dict[object, Tensor], gradients: _Gradients) -> None:
        """Backpropagate through the entries, last first; of_results: gradients of recorded results, by node."""
        while self.entries:
            entry = self.entries.pop()
            of_entry = [of_results.pop(node, None) for node in entry.results]
            if all(gradient is None for gradient in of_entry):
                if entry.result is None:
                    continue
                of_entry = [ms.ops.zeros(entry.result_shape, ms.float32)]  # its first input must be recomputed all the same
            of_inputs = self._pulled_back(entry, of_entry, gradients)
            for node, gradient in zip(entry.nodes, of_inputs):
                if node is not None and gradient is not None:
                    former = of_results.get(node)
                    of_results[node] = gradient if former is None else former + gradient

    def _pulled_back(self, entry: Entry, of_entry: Sequence[Tensor | None], gradients: _Gradients) -> Sequence[Tensor | None]:
        """Return gradients of the inputs of one entry, None for those not wanted; add those of its weights."""
        piece = entry.piece
        if isinstance(piece, Rearrangement):
            operator = piece.native_adjoint(entry.shapes, *of_entry) if native.available() else None
            return (operator.forward(),) if operator else piece.adjoint(entry.shapes, *of_entry)
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

    def _section_pulled_back(self, entry: Entry, gradient: Tensor, gradients: _Gradients) -> list[Tensor | None]:
        """As ``_pulled_back``, for a section: record it piece by piece now, and backpropagate through that."""
        inputs = [
            tensor if node is None else Recorded(tensor)
            for node, tensor in zip(entry.nodes, _tensors(entry.piece, entry.inputs))
        ]
        outside, self.entries = self.entries, []
        with self.taking_over():
            of_results = {entry.piece.inside(*inputs).node: gradient}
        self._pull_back(of_results, gradients)
        self.entries = outside
        return [of_results.get(x.node) if isinstance(x, Recorded) else None for x in inputs]


def _tensors(piece: Piece | Section, inputs: Sequence[Recorded | Tensor]) -> list[Tensor]:
    """Return the tensors of inputs that may be ``Recorded``."""
    tensors = [x.tensor if isinstance(x, Recorded) else x for x in inputs]
    if any(tensor is None and x is not None for tensor, x in zip(tensors, inputs)):
        raise ValueError(f"{type(piece).__name__}: an input was added to by an earlier piece and is no longer stored")
    return tensors


class _Gradients:
    """Gradients of parameters; averaging over processes starts when those of a piece are added."""

    def __init__(self, start_mean: StartMean) -> None:
        self.start_mean, self._pending = start_mean, []

    def add(self, pairs: Iterable[tuple[Parameter, Tensor]]) -> None:
        """Add pairs of a parameter and its gradient."""
        pairs = list(pairs)
        if pairs:
            self._pending.append(([id(parameter) for parameter, _ in pairs], self.start_mean([each for _, each in pairs])))

    def of(self, parameters: Iterable[Parameter]) -> tuple[Tensor, ...]:
        """Wait for all means; return the gradients of ``parameters``, zeros for those without any."""
        total = {}
        for names, finish in self._pending:
            for name, gradient in zip(names, finish()):
                total[name] = total[name] + gradient if name in total else gradient
        return tuple(total[id(each)] if id(each) in total else Tensor(ms.ops.zeros_like(each)) for each in parameters)


def _as_they_are(tensors: Sequence[Tensor]) -> Callable[[], Sequence[Tensor]]:
    return lambda: tensors
