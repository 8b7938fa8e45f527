"""RevSCI in compiled pieces: a head, one step that every block shares, and a tail.

The steps of all blocks have one shape, so one compiled function with the weights as arguments serves them all: it compiles
in seconds at any depth, and no graph ever holds more than one step. This is what makes reversible training flat in
memory: blocks run without recording, and on the way back each step rebuilds its input before its gradient is taken.
Source: RevSCI (arXiv 2103.03089), section 3.3.
"""
import mindspore as ms
from mindspore import Tensor, ops

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
        self._head = compiled(_head_function(network))
        self._tail = compiled(_tail_function(network))
        self._add = compiled(_add_function(self.blocks[0].residual))
        self._pull_back = compiled(_pull_back_function(self.blocks[0].residual))
        self._head_weights = network.conv1.trainable_params()
        self._tail_weights = network.conv2.trainable_params()
        self._head_gradient = compiled(_head_gradient_function(network, self._head_weights))
        if loss is not None:
            self._loss_gradient = compiled(_loss_gradient_function(network, loss, self._tail_weights))

    def __call__(self, measurement, mask, estimate=None):
        """Reconstruct a clip; arguments and result as ``RevSCI.construct``, for even height and width."""
        inputs = _given(measurement, mask, estimate)
        groups = self.run_blocks(self._head(*inputs))
        return self._tail(*_given(estimate), *groups)

    def run_blocks(self, groups):
        """Return the groups of features after all blocks."""
        groups = list(groups)
        for block in self.blocks:
            for index, (target, source) in enumerate(block.steps):
                groups[target] = self._add(groups[target], groups[source], *_values(block.weights_of(index)))
            if block.reverses:
                groups.reverse()
        return groups

    def value_and_gradients(self, target, measurement, mask, estimate=None):
        """Return (loss, gradients in the order of the network's trainable parameters).

        Holds the activations of one step only, whatever the number of blocks.
        """
        inputs = _given(measurement, mask, estimate)
        groups = self.run_blocks(self._head(*inputs))
        loss, (of_groups, of_tail) = self._loss_gradient(target, *_given(estimate), *groups)
        gradients = dict(zip(_names(self._tail_weights), of_tail))
        groups, of_groups = self._pull_back_blocks(groups, list(of_groups), gradients)
        del groups
        of_head = self._head_gradient(*of_groups, *inputs)
        gradients.update(zip(_names(self._head_weights), of_head))
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
                gradients.update(zip(_names(weights), of_weights))
        return groups, of_groups


def _add_function(residual):
    def add(target, source, *weights):
        return target + residual(source, *weights)
    return add


def _pull_back_function(residual):
    def pull_back(target, source, of_target, of_source, weight0, bias0, weight2, bias2):
        """Undo ``target += residual(source)``: (target before, gradient of source, gradients of the four weights)."""
        value, pull = ms.vjp(residual, source, weight0, bias0, weight2, bias2)
        to_source, to_weight0, to_bias0, to_weight2, to_bias2 = pull(of_target)
        return target - value, of_source + to_source, to_weight0, to_bias0, to_weight2, to_bias2
    return pull_back


def _head_function(network):
    def head(*inputs):
        return network.head(*inputs)
    return head


def _tail_function(network):
    if network.corrects_estimate:
        def tail(estimate, *groups):
            return network.tail(groups, estimate)
    else:
        def tail(*groups):
            return network.tail(groups)
    return tail


def _loss_gradient_function(network, loss, weights):
    tail = _tail_function(network)
    first = 2 if network.corrects_estimate else 1

    def of_clip(target, *inputs):
        return loss(tail(*inputs), target)
    return ms.value_and_grad(of_clip, tuple(range(first, first + network.groups)), weights)


def _head_gradient_function(network, weights):
    count = network.groups

    def projected(*arguments):
        total = 0.0
        for group, gradient in zip(network.head(*arguments[count:]), arguments[:count]):
            total = total + (group * gradient).sum()
        return total
    return ms.grad(projected, None, weights)


def _given(*tensors):
    return tuple(tensor for tensor in tensors if tensor is not None)


def _values(weights):
    """Return the parameters' values as plain tensors: a compiled function takes a Parameter for a constant."""
    return tuple(Tensor(weight) for weight in weights)


def _names(weights):
    return [weight.name for weight in weights]
