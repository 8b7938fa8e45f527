"""Loss and gradients of a network for one batch: recorded as a whole, or rebuilt block by block.

Both are callables ``(clip, *inputs) -> (loss, gradients in the order of the trainable parameters)``.
"""
import mindspore as ms

from mindrestore.models.revsci.segments import Segments
from mindrestore.runtime.execution import compiled


def plain_gradients(network, loss):
    """Ordinary backpropagation through one compiled graph; memory grows with depth."""
    def of_output(clip, *inputs):
        return loss(network(*inputs), clip)
    return compiled(ms.value_and_grad(of_output, None, network.trainable_params()))


def reversible_gradients(network, loss):
    """Reversible backpropagation: equal gradients, memory that does not grow with depth."""
    return Segments(network, loss).value_and_gradients


GRADIENTS = {"plain": plain_gradients, "reversible": reversible_gradients}
