"""Loss and gradients of a network for one batch: in one graph, or piece by piece.

Both give callables ``(target, *inputs) -> (loss, gradients in the order of the parameters)``.
"""
import math
from functools import partial

import mindspore as ms
from mindspore import Tensor, ops

from mindrestore.errors import UserError
from mindrestore.executor import Tape
from mindrestore.models.piece import made_of_pieces
from mindrestore.runtime import cluster, device, many
from mindrestore.runtime.execution import compiled


def whole_gradients(network, loss, parameters=None, loss_scale=None):
    """Ordinary backpropagation through one compiled graph; memory grows with depth.

    Args:
        network: ``network(*inputs)`` is what is trained.
        loss: ``loss(output, target) -> scalar``.
        parameters: to take gradients of, all trainable ones by default; nothing is computed for the others.
        loss_scale: ``LossScale`` that the gradients are taken with, which come back without it; or None.
    """
    parameters = network.trainable_params() if parameters is None else parameters
    shapes = [tuple(parameter.shape) for parameter in parameters]
    sizes = [1, *map(math.prod, shapes)]

    def of_output(scale, target, *inputs):
        return scale * loss(network(*inputs), target)
    recorded = ms.value_and_grad(of_output, None, list(parameters))

    def in_a_row(scale, target, *inputs):
        value, gradients = recorded(scale, target, *inputs)
        return ops.cat((value.reshape(1), *many.flat(gradients)))
    function = compiled(in_a_row)

    def value_and_gradients(target, *inputs):
        # One tensor: who waits for a compiled function's only result sleeps, who waits for several keeps a core busy.
        scale = Tensor(loss_scale.value if loss_scale else 1.0, ms.float32)
        row = function(scale, target, *inputs)
        value, *gradients = ops.split(row / scale if loss_scale else row, sizes)
        return value.reshape(()), tuple(gradient.reshape(shape) for gradient, shape in zip(gradients, shapes))
    return value_and_gradients


def piecewise_gradients(network, loss, parameters=None, loss_scale=None, size=None):
    """Backpropagation piece by piece (``mindrestore.executor``), inside of which everything is computed a second time.

    Equal gradients; of reversible blocks nothing is kept, so that memory does not grow with their number. Arguments as above;
    ``size`` as of ``mindrestore.executor.Tape``. Where several processes train, loss and gradients are means over all of them:
    those of a piece are on their way while the next one is pulled back.
    """
    tape = Tape(network, network.trainable_params() if parameters is None else parameters, cluster.start_mean, size=size)

    def value_and_gradients(target, *inputs):
        scale = loss_scale.value if loss_scale else 1.0
        value, gradients = tape.value_and_gradients(lambda result: scale * loss(result, target), *inputs)
        return (value / scale, tuple(gradient / scale for gradient in gradients)) if loss_scale else (value, gradients)
    return value_and_gradients


GRADIENTS = {"whole": whole_gradients, "pieces": piecewise_gradients,
             **{f"{size}s": partial(piecewise_gradients, size=size) for size in ("group", "stage")}}
"""By how a step is executed."""
MEAN_OVER_RANKS = {"pieces", "groups", "stages"}
"""Those that give means over all processes."""


def executed(execution, network):
    """Return which of ``GRADIENTS`` a network is trained by, ``"auto"`` standing for what serves it best on this device.

    Raises:
        UserError: one that it cannot be trained by.
    """
    in_pieces = made_of_pieces(network)
    if execution == "auto":
        return "pieces" if in_pieces and device.name() == "cpu" else "whole"
    if execution != "whole" and not in_pieces:
        raise UserError(f"training.execution={execution}: the network {type(network).__name__} is not made of pieces; leave it "
                        "away.")
    return execution
