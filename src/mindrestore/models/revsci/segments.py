"""RevSCI in compiled pieces: head, tail, and one step that all reversible blocks share.

The steps of all blocks have one shape, so one compiled function with the weights as arguments serves them all: it compiles
in seconds at any depth, and no graph ever holds more than one step, or one band of head or tail. This is what makes
reversible training flat in memory: blocks run without recording, and on the way back each step rebuilds its input before
its gradient is taken.
Source: RevSCI (arXiv 2103.03089), section 3.3.
"""
import mindspore as ms
from mindspore import Tensor, ops

from mindrestore.models.revsci.bands import BandedChain
from mindrestore.runtime.execution import compiled


class Segments:
    """A RevSCI network that runs piece by piece.

    Args:
        network: ``RevSCI``; its parameters are read at every call, so training it is seen here.
        loss: ``loss(clip, target) -> scalar``; needed for ``value_and_gradients`` only.
        start_mean: ``start_mean(tensors)`` begins to average them over processes and returns a function that waits for it
            and gives the result.
    """

    def __init__(self, network, loss=None, start_mean=None):
        self.network = network
        self.start_mean = start_mean or _as_they_are
        self.blocks = list(network.layers)
        frames_axis = 3 - network.channel_axis
        self._input = compiled(_input_function(network))
        self._head = BandedChain(network.conv1, rows_in=2, rows_out=1, frames_axis=frames_axis)
        self._split = compiled(_split_function(network))
        self._join = compiled(_join_function(network))
        self._tail = BandedChain(network.conv2, rows_in=1, rows_out=2, frames_axis=frames_axis)
        self._output = compiled(_output_function(network))
        self._output_gradient = compiled(_output_gradient_function(network, loss)) if loss else None
        residual = self.blocks[0].residual
        self._add = compiled(_add_function(residual))
        self._pull_back = compiled(_pull_back_function(residual))

    def __call__(self, measurement, mask, estimate=None):
        """Reconstruct a clip; arguments and result as ``RevSCI.construct``, for even height and width."""
        inputs = _given(measurement, mask, estimate)
        groups = self.run_blocks(self._split(self._head(self._input(*inputs))))
        return self._output(self._tail(self._join(*groups)), *inputs)

    def run_blocks(self, groups):
        """Return the groups of features after all blocks."""
        groups = list(groups)
        for block in self.blocks:
            for index, (target, source) in enumerate(block.steps):
                groups[target] = self._add(groups[target], groups[source], *_values(block.weights_of(index)))
            if block.reverses:
                groups.reverse()
        return groups

    def undo_blocks(self, groups):
        """Return the groups of features that ``run_blocks`` made ``groups`` from."""
        return self._pull_back_blocks(groups, [ops.zeros_like(group) for group in groups], {})[0]

    def value_and_gradients(self, target, measurement, mask, estimate=None, scale=None):
        """Return (loss, gradients in the order of the network's trainable parameters).

        Holds the activations of one step only, whatever the number of blocks; those of head and tail are a band's. Each
        block's gradients go into ``start_mean`` as soon as they are there. Gradients are ``scale`` times as large on their way,
        a power of two that they come back without.
        """
        inputs = _given(measurement, mask, estimate)
        network_input = self._input(*inputs)
        groups = self.run_blocks(self._split(self._head(network_input)))
        features = self._join(*groups)
        gradients = _Means(self.start_mean)
        loss, gradient = self._output_gradient(self._tail(features), target, *inputs)
        gradient = gradient if scale is None else gradient * scale
        mean_loss = self.start_mean([loss])
        gradient = self._tail.pull_back(features, gradient, gradients)
        of_groups = list(self._split(gradient))
        del features, gradient
        of_groups = self._pull_back_blocks(groups, of_groups, gradients)[1]
        del groups
        self._head.pull_back(network_input, self._join(*of_groups), gradients)
        found = gradients.finished()
        gradients = [found[p.name] if p.name in found else ops.zeros_like(p) for p in self.network.trainable_params()]
        return mean_loss()[0], tuple(gradients if scale is None else [gradient / scale for gradient in gradients])

    def _pull_back_blocks(self, groups, of_groups, gradients):
        """Undo the blocks from last to first; put their weights' gradients into ``gradients`` by name."""
        for block in reversed(self.blocks):
            if block.reverses:
                groups.reverse()
                of_groups.reverse()
            found = {}
            for index, (target, source) in reversed(list(enumerate(block.steps))):
                weights = block.weights_of(index)
                groups[target], of_groups[source], *of_weights = self._pull_back(
                    groups[target], groups[source], of_groups[target], of_groups[source], *_values(weights))
                found.update(zip((weight.name for weight in weights), of_weights))
            gradients.update(found)
        return groups, of_groups


class _Means:
    """Tensors by name, each group of them on its way to its mean since it was put in."""

    def __init__(self, start_mean):
        self.start_mean, self._groups = start_mean, []

    def update(self, tensors):
        """Put a group in."""
        tensors = dict(tensors)
        self._groups.append((tensors, self.start_mean(list(tensors.values()))))

    def finished(self):
        """Wait for all of them; return the means by name."""
        return {name: mean for names, finish in self._groups for name, mean in zip(names, finish())}


def _as_they_are(tensors):
    return lambda: tensors


def _add_function(residual):
    def add(target, source, weight0, bias0, weight2, bias2):
        return target + residual(source, weight0, bias0, weight2, bias2)
    return add


def _pull_back_function(residual):
    def pull_back(target, source, of_target, of_source, weight0, bias0, weight2, bias2):
        """Undo ``target += residual(source)``: (target before, gradient of source, gradients of the four weights)."""
        value, pull = ms.vjp(residual, source, weight0, bias0, weight2, bias2)
        to_source, to_weight0, to_bias0, to_weight2, to_bias2 = pull(of_target)
        return target - value, of_source + to_source, to_weight0, to_bias0, to_weight2, to_bias2
    return pull_back


def _input_function(network):
    def features(*inputs):
        return network.input_features(*inputs)
    return features


def _split_function(network):
    def split(features):
        return network.split(features)
    return split


def _join_function(network):
    def join(*groups):
        return network.join(*groups)
    return join


def _output_function(network):
    def clip(features, *inputs):
        return network.output_clip(features, *inputs)
    return clip


def _output_gradient_function(network, loss):
    def of_features(features, target, *inputs):
        return loss(network.output_clip(features, *inputs), target)
    return ms.value_and_grad(of_features, 0)


def _given(*tensors):
    return tuple(tensor for tensor in tensors if tensor is not None)


def _values(weights):
    """Return the parameters' values as plain tensors: a compiled function takes a Parameter for a constant."""
    return tuple(Tensor(weight) for weight in weights)
