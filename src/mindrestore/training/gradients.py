"""Loss and gradients of a network for one batch: in one graph, or piece by piece."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from mindrestore.errors import UserError, say_once
from mindrestore.executor import Tape
from mindrestore.models.piece import made_of_pieces
from mindrestore.runtime import cluster, device
from mindrestore.runtime.execution import compiled_to_one_tensor
from mindrestore.training.loss_scale import LossScale

Loss = Callable[[Tensor | tuple[Tensor, ...], Tensor], Tensor]  # (output, target) -> scalar
LossAndGradients = tuple[Tensor, Sequence[Tensor]]  # the gradients in the order of the parameters
Gradients = Callable[..., LossAndGradients]  # of (target, *inputs), tensors (B, ...)


def whole_gradients(
    network: nn.Cell, loss: Loss, parameters: Sequence[Parameter] | None = None, loss_scale: LossScale | None = None
) -> Gradients:
    """Return the gradients by ordinary backpropagation through one compiled graph; memory grows with depth.

    Args:
        network: ``network(*inputs)`` gives the output.
        loss: of output and target.
        parameters: to take gradients of, all trainable ones by default; nothing is computed for the others.
        loss_scale: multiplies the loss before its gradients are taken; they are divided by it afterwards.
    """
    parameters = network.trainable_params() if parameters is None else parameters
    shapes = [tuple(parameter.shape) for parameter in parameters]
    sizes = [1, *map(math.prod, shapes)]

    def scaled_loss(scale: Tensor, target: Tensor, *inputs: Tensor) -> Tensor:
        return scale * loss(network(*inputs), target)

    loss_and_gradients = compiled_to_one_tensor(ms.value_and_grad(scaled_loss, None, list(parameters)))

    def value_and_gradients(target: Tensor, *inputs: Tensor) -> LossAndGradients:
        scale = Tensor(loss_scale.value if loss_scale else 1.0, ms.float32)
        row = loss_and_gradients(scale, target, *inputs)
        value, *gradients = ops.split(row / scale if loss_scale else row, sizes)
        return value.reshape(()), tuple(gradient.reshape(shape) for gradient, shape in zip(gradients, shapes))

    return value_and_gradients


def piecewise_gradients(
    network: nn.Cell,
    loss: Loss,
    parameters: Sequence[Parameter] | None = None,
    loss_scale: LossScale | None = None,
    size: str | None = None,
) -> Gradients:
    """Return the gradients by backpropagation piece by piece (``mindrestore.executor``), each piece computed a second time.

    They equal those of ``whole_gradients``. Reversible blocks keep no activations, so memory does not grow with their number.
    Where several processes train, loss and gradients are means over all of them: the gradients of a piece are exchanged while
    those of the piece before it are computed.

    Args:
        network: made of pieces.
        loss, parameters, loss_scale: as of ``whole_gradients``.
        size: as of ``mindrestore.executor.Tape``.
    """
    tape = Tape(network, network.trainable_params() if parameters is None else parameters, cluster.start_mean, size=size)

    def value_and_gradients(target: Tensor, *inputs: Tensor) -> LossAndGradients:
        scale = loss_scale.value if loss_scale else 1.0
        value, gradients = tape.value_and_gradients(lambda result: scale * loss(result, target), *inputs)
        return (value / scale, tuple(gradient / scale for gradient in gradients)) if loss_scale else (value, gradients)

    return value_and_gradients


GRADIENTS: dict[str, Callable[..., Gradients]] = {
    "whole": whole_gradients,
    "pieces": piecewise_gradients,
    **{f"{size}s": partial(piecewise_gradients, size=size) for size in ("group", "stage")},
}
"""By ``training.execution``: what makes ``Gradients`` of a network and a loss."""
MEAN_OVER_RANKS = {"pieces", "groups", "stages"}
"""Keys of ``GRADIENTS`` whose loss and gradients are means over all processes."""
ERRS_ON_A_GPU = (
    "a video network trained in one graph had wrong losses now and then on an H200, and the cause is not known (docs/gpu.md); "
    "training.execution=pieces had none."
)


def executed(execution: str, network: nn.Cell) -> str:
    """Return the key of ``GRADIENTS`` by which a network is trained; for ``"auto"`` the best on this device.

    What is known to err there is told on standard error.

    Raises:
        UserError: the network is not made of pieces, and ``execution`` needs them.
    """
    in_pieces = made_of_pieces(network)
    if execution == "auto":
        execution = "pieces" if in_pieces and device.name() != "ascend" else "whole"
    if execution != "whole" and not in_pieces:
        raise UserError(
            f"training.execution={execution}: the network {type(network).__name__} is not made of pieces; leave it away."
        )
    if execution == "whole" and device.name() == "gpu" and cluster.is_main():
        say_once(ERRS_ON_A_GPU)
    return execution
