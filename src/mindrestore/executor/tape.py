"""Gradients of a network executed piece by piece: what went into each piece is kept, nothing of what it computed inside.

On the way back each piece is computed a second time, some of its items at a time, and its gradients taken then: memory is that
of one piece, and of the tensors between pieces (arXiv 1604.06174).
"""
import mindspore as ms
from mindspore import Tensor

from mindrestore.executor.piecewise import Piecewise, run_of, values


NUMBERS = 2 ** 22  # half of what is taken at a time forwards, as gradients are taken of as much


class Recorded:
    """A tensor that came out of a piece while it was recorded. Nothing but a piece can compute with it."""

    def __init__(self, tensor):
        self.tensor = tensor

    @property
    def shape(self):
        return self.tensor.shape

    @property
    def ndim(self):
        return self.tensor.ndim

    @property
    def dtype(self):
        return self.tensor.dtype


class Tape(Piecewise):
    """Loss and gradients of a network, piece by piece.

    Args:
        network: see ``Piecewise``.
        parameters: to take gradients of; nothing is computed for the others.
        start_mean: ``start_mean(tensors)`` begins to average them over processes and returns a function that waits for it and
            gives the result; called with the gradients of each piece as soon as they are there.
        numbers: see ``Piecewise``.
    """

    def __init__(self, network, parameters, start_mean=None, numbers=NUMBERS):
        super().__init__(network, numbers)
        self.parameters = list(parameters)
        self.wanted = {id(parameter) for parameter in self.parameters}
        self.start_mean = start_mean or _as_they_are
        self.entries = []

    def value_and_gradients(self, loss, *inputs):
        """Return (value, gradients in the order of the parameters) of ``loss(network(*inputs)) -> scalar``."""
        self.entries = []
        result = self(*inputs)
        gradients = _Gradients(self.start_mean)
        if not isinstance(result, Recorded):
            raise ValueError("no gradient is wanted of anything that the network computes")
        value, of_result = ms.value_and_grad(loss, 0)(result.tensor)
        mean = self.start_mean([value])
        self._pull_back({id(result): of_result}, gradients)
        return mean()[0], gradients.of(self.parameters)

    def execute(self, piece, inputs):
        """Return what a piece makes of its inputs; recorded where a gradient is wanted of any of it."""
        of_inputs = tuple(isinstance(x, Recorded) for x in inputs)
        of_weights = tuple(id(weight) in self.wanted for weight in piece.weights)
        tensors = [x.tensor if isinstance(x, Recorded) else x for x in inputs]
        results = super().execute(piece, tensors)
        if not any(of_inputs + of_weights):
            return results
        recorded = [Recorded(tensor) for tensor in (results if isinstance(results, tuple) else (results,))]
        self.entries.append((piece, inputs, recorded, (of_inputs, of_weights)))
        return tuple(recorded) if isinstance(results, tuple) else recorded[0]

    def _pull_back(self, of_results, gradients):
        """Go back through the entries; ``of_results``: gradients of what was recorded, by identity."""
        while self.entries:
            piece, inputs, results, wanted = self.entries.pop()
            found = [of_results.pop(id(result), None) for result in results]
            if all(gradient is None for gradient in found):
                continue
            tensors = [x.tensor if isinstance(x, Recorded) else x for x in inputs]
            run = run_of(piece, tensors, self.numbers)
            if run is None:
                of_inputs, of_weights = _whole_backward(piece, tensors, results, found, wanted)
            else:
                of_inputs, of_weights = run.backward(found[0], wanted)
            for x, gradient in zip(inputs, of_inputs):
                if gradient is not None:
                    former = of_results.get(id(x))
                    of_results[id(x)] = gradient if former is None else former + gradient
            gradients.add((weight, gradient) for weight, gradient in zip(piece.weights, of_weights) if gradient is not None)


def _whole_backward(piece, tensors, results, gradients, wanted):
    """As ``Run.backward``, for a piece that is executed at once, without compiling it."""
    of_inputs, of_weights = wanted
    weights = values(piece.weights)
    places = [place for place, each in enumerate(of_inputs) if each]
    weight_places = [place for place, each in enumerate(of_weights) if each]

    def of_wanted(*arguments):
        inputs, given = list(tensors), list(weights)
        for place, argument in zip(places, arguments):
            inputs[place] = argument
        for place, argument in zip(weight_places, arguments[len(places):]):
            given[place] = argument
        return piece.compute(dict(zip(piece.names, given)), *inputs)

    gradients = [ms.ops.zeros_like(result.tensor) if gradient is None else gradient
                 for result, gradient in zip(results, gradients)]
    _, pull_back = ms.vjp(of_wanted, *(tensors[place] for place in places), *(weights[place] for place in weight_places))
    found = pull_back(*gradients) if len(gradients) == 1 else pull_back(tuple(gradients))
    found = iter(found if isinstance(found, tuple) else (found,))
    return [next(found) if each else None for each in of_inputs], [next(found) if each else None for each in of_weights]


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
