"""The convolutions of RevSCI as pieces: chains of layers in bands of rows, and the steps of reversible blocks.

Features are (B, T, C, H, W) or (B, C, T, H, W), as ``mindrestore.ops.convolution`` prefers on the device in use.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mindspore import Parameter, Tensor, nn, ops

from mindrestore.models.piece import Added, Itemwise, Rearrangement, Shape, Weights
from mindrestore.native.coupling import CouplingStep
from mindrestore.ops.activations import LEAKY_SLOPE, LeakyReLU, leaky_relu

ROWS = -2  # the axis of rows
HALO = 2  # rows of half the resolution: head 2 + 1 + 0 + 1 whole ones, tail 2 (one of half resolution) + 1 + 0 + 1
WIDTH = 32  # values that a pixel becomes inside head or tail, about


class Convolutions(Itemwise):
    """The convolutions of a ``SequentialCell`` and their activations. An item is a row of half the resolution.

    Args:
        cells: the ``SequentialCell``.
        sizes: rows of input and result for each row of half the resolution.
        axis: of the channels.
    """

    compiled = True
    axis, halo = ROWS, HALO

    def __init__(self, cells: nn.SequentialCell, sizes: tuple[int, int], axis: int) -> None:
        in_order = list(cells)
        layers = [cell for cell in in_order if not isinstance(cell, LeakyReLU)]
        names = [f"layer{index}" for index in range(len(layers))]
        followers = dict(zip(in_order, in_order[1:]))
        activated = [isinstance(followers.get(layer), LeakyReLU) for layer in layers]
        plan = tuple((type(layer).__name__, getattr(layer, "stride", 2), active) for layer, active in zip(layers, activated))
        super().__init__((sizes, axis, plan), **dict(zip(names, layers)))
        self.plan = tuple(zip(names, (layer.function for layer in layers), activated))
        self.sizes, self.channel_axis = sizes, axis

    def cost(self, x: Tensor) -> int:
        _, *outer, _, width = x.shape
        pixels = math.prod(outer) // x.shape[self.channel_axis] * width * self.sizes[0]  # of an item in all frames
        return WIDTH * pixels * 4 // self.sizes[0] ** 2  # whose full resolution has twice the rows and columns

    def compute(self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], x: Tensor) -> Tensor:
        for name, function, activated in self.plan:
            x = function(x, w[name + ".weight"], w[name + ".bias"])
            x = leaky_relu(x) if activated else x
        return x


class Step(Added):
    """A step of a reversible block: target + convolution(LeakyReLU(convolution(source))). An item is a clip."""

    compiled = True

    def __init__(self, conv3d: Callable[..., Tensor], axis: int, weight0: Parameter, bias0: Parameter, weight2: Parameter,
                 bias2: Parameter) -> None:
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
