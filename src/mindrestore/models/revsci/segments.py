"""RevSCI in compiled pieces: the layers of head and tail, and one step that all reversible blocks share.

The steps of all blocks have one shape, so one compiled function with the weights as arguments serves them all: it compiles
in seconds at any depth, and no graph ever holds more than one layer or step. This is what makes reversible training flat
in memory: blocks run without recording, and on the way back each step rebuilds its input before its gradient is taken.
Source: RevSCI (arXiv 2103.03089), section 3.3.
"""
import mindspore as ms
from mindspore import Tensor, ops

from mindrestore.ops.convolution import LeakyReLU, leaky_relu
from mindrestore.runtime.execution import compiled


class Segments:
    """A RevSCI network that runs piece by piece.

    Args:
        network: ``RevSCI``; its parameters are read at every call, so training it is seen here.
        loss: ``loss(clip, target) -> scalar``; needed for ``value_and_gradients`` only.
    """

    def __init__(self, network, loss=None):
        self.network = network
        self.blocks = list(network.layers)
        self._input = compiled(_input_function(network))
        self._head = LayerChain(network.conv1)
        self._split = compiled(_split_function(network))
        self._join = compiled(_join_function(network))
        self._tail = LayerChain(network.conv2)
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

    def value_and_gradients(self, target, measurement, mask, estimate=None):
        """Return (loss, gradients in the order of the network's trainable parameters).

        Holds the activations of one step only, whatever the number of blocks; those of head and tail are a layer's each.
        """
        inputs = _given(measurement, mask, estimate)
        groups = self.run_blocks(self._split(self._head(self._input(*inputs))))
        gradients = {}
        tail_inputs, features = self._tail.run_keeping_inputs(self._join(*groups))
        loss, gradient = self._output_gradient(features, target, *inputs)
        del features
        gradient = self._tail.pull_back(tail_inputs, gradient, gradients)
        of_groups = self._pull_back_blocks(groups, list(self._split(gradient)), gradients)[1]
        del groups, gradient, tail_inputs
        head_inputs, _ = self._head.run_keeping_inputs(self._input(*inputs))
        self._head.pull_back(head_inputs, self._join(*of_groups), gradients)
        return loss, tuple(gradients[p.name] if p.name in gradients else ops.zeros_like(p)
                           for p in self.network.trainable_params())

    def _pull_back_blocks(self, groups, of_groups, gradients):
        """Undo the blocks from last to first; put their weights' gradients into ``gradients`` by name."""
        for block in reversed(self.blocks):
            if block.reverses:
                groups.reverse()
                of_groups.reverse()
            for index, (target, source) in reversed(list(enumerate(block.steps))):
                weights = block.weights_of(index)
                groups[target], of_groups[source], *of_weights = self._pull_back(
                    groups[target], groups[source], of_groups[target], of_groups[source], *_values(weights))
                _record(gradients, weights, of_weights)
        return groups, of_groups


class LayerChain:
    """The convolutions of a ``SequentialCell``, each with the activation that follows it, compiled one by one."""

    def __init__(self, cells):
        cells = list(cells)
        self.layers = [cell for cell in cells if not isinstance(cell, LeakyReLU)]
        followers = dict(zip(cells, cells[1:]))
        functions = [_activated(cell.function) if isinstance(followers.get(cell), LeakyReLU) else cell.function
                     for cell in self.layers]
        self._run = [compiled(_layer_function(function)) for function in functions]
        self._pull = [compiled(_layer_gradient_function(function)) for function in functions]

    def __call__(self, x):
        for layer, run in zip(self.layers, self._run):
            x = run(x, *_values((layer.weight, layer.bias)))
        return x

    def run_keeping_inputs(self, x):
        """Return (the input of every layer, the output of the last)."""
        inputs = []
        for layer, run in zip(self.layers, self._run):
            inputs.append(x)
            x = run(x, *_values((layer.weight, layer.bias)))
        return inputs, x

    def pull_back(self, inputs, gradient, gradients):
        """Return the gradient of the first layer's input; record the weights' gradients by name. Empties ``inputs``."""
        for layer, pull in zip(self.layers[::-1], self._pull[::-1]):
            weights = (layer.weight, layer.bias)
            gradient, *of_weights = pull(inputs.pop(), gradient, *_values(weights))
            _record(gradients, weights, of_weights)
        return gradient


def _activated(function):
    def activated(x, weight, bias):
        return leaky_relu(function(x, weight, bias))
    return activated


def _layer_function(function):
    def layer(x, weight, bias):
        return function(x, weight, bias)
    return layer


def _layer_gradient_function(function):
    def pull(x, gradient, weight, bias):
        _, pull_back = ms.vjp(function, x, weight, bias)
        return pull_back(gradient)
    return pull


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


def _record(gradients, weights, of_weights):
    gradients.update(zip((weight.name for weight in weights), of_weights))
