"""The pieces of RevSCI: the convolutions of head and tail, and the steps of reversible blocks.

Features are (B, T, C, H, W) or (B, C, T, H, W), as ``mindrestore.ops.convolution`` prefers on the device in use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mindspore import Parameter, Tensor, nn, ops

from mindrestore.models.convolutions import Convolution, Convolutions
from mindrestore.models.piece import Added, Rearrangement, Shape, Weights
from mindrestore.native.convolutions import Layer
from mindrestore.native.coupling import CouplingStep
from mindrestore.ops.activations import LEAKY_SLOPE, LeakyReLU, leaky_relu
from mindrestore.ops.convolution import Conv3d, Conv3dTranspose


def convolutions(cells: nn.SequentialCell, axis: int) -> Convolutions:
    """Return the convolutions and activations of a ``SequentialCell`` as one piece; axis: of the channels."""
    in_order = list(cells)
    followers = dict(zip(in_order, in_order[1:]))
    return Convolutions(
        [
            Convolution(cell, cell.function, _layer(cell, isinstance(followers.get(cell), LeakyReLU)))
            for cell in in_order
            if not isinstance(cell, LeakyReLU)
        ],
        channel_axis=axis,
        over_time=True,
    )


def _layer(cell: Conv3d | Conv3dTranspose, activated: bool) -> Layer:
    transposed = isinstance(cell, Conv3dTranspose)
    change = "doubled" if transposed else "halved" if cell.stride == 2 else "same"
    return Layer(change, slope=LEAKY_SLOPE if activated else 1.0)


class Step(Added):
    """A step of a reversible block: target + convolution(LeakyReLU(convolution(source))). An item is a clip."""

    compiled = True

    def __init__(
        self,
        conv3d: Callable[..., Tensor],
        axis: int,
        weight0: Parameter,
        bias0: Parameter,
        weight2: Parameter,
        bias2: Parameter,
    ) -> None:
        super().__init__(axis, weight0=weight0, bias0=bias0, weight2=weight2, bias2=bias2)
        self.conv3d, self.frames_first = conv3d, axis == 2

    def native(self, target: Tensor, source: Tensor) -> CouplingStep | None:
        return CouplingStep(target, source, self.weights, LEAKY_SLOPE) if self.frames_first else None

    def change(self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], source: Tensor) -> Tensor:
        inner = leaky_relu(self.conv3d(source, w["weight0"], w["bias0"]))
        return self.conv3d(inner, w["weight2"], w["bias2"])


class Split(Rearrangement):
    """Features -> their groups of channels."""

    def __init__(self, groups: int, axis: int) -> None:
        super().__init__((groups, axis))
        self.groups, self.channel_axis = groups, axis

    def compute(self, w: Weights, features: Tensor) -> tuple[Tensor, ...]:
        return ops.split(features, features.shape[self.channel_axis] // self.groups, self.channel_axis)

    def adjoint(self, shapes: Sequence[Shape | None], *groups: Tensor) -> tuple[Tensor]:
        return (ops.cat(groups, self.channel_axis),)


class Join(Rearrangement):
    """The inverse of ``Split``."""

    def __init__(self, groups: int, axis: int) -> None:
        super().__init__((groups, axis))
        self.groups, self.channel_axis = groups, axis

    def compute(self, w: Weights, *groups: Tensor) -> Tensor:
        return ops.cat(groups, self.channel_axis)

    def adjoint(self, shapes: Sequence[Shape | None], features: Tensor) -> tuple[Tensor, ...]:
        return ops.split(features, features.shape[self.channel_axis] // self.groups, self.channel_axis)
