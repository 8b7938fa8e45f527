"""Convolutions one after the other as one piece, of images or over the frames of clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from mindspore import Tensor, nn, ops

from mindrestore.models.piece import Itemwise, Shape, Weights
from mindrestore.native.convolutions import ConvolutionChain, Layer
from mindrestore.ops.activations import leaky_relu

ROWS = -2  # the axis of rows


class Convolution(NamedTuple):
    """One convolution, with zeros around of half its kernel.

    Attributes:
        cell: holds ``weight`` and ``bias``.
        function: (x, weight, bias) -> result, before ``layer.shuffle`` and LeakyReLU.
        layer: what it is beside its weights.
    """

    cell: nn.Cell
    function: Callable[[Tensor, Tensor, Tensor], Tensor]
    layer: Layer = Layer()


class Convolutions(Itemwise):
    """Convolutions one after the other: images (..., C, H, W), or clips of five axes where they are over time.

    An item is a row at the lowest resolution that there is on the way.

    Args:
        convolutions: first to last.
        over_time: whether they are of clips.
        channel_axis: of clips.
        settings: hashable; what else their functions depend on.
    """

    compiled = True
    axis = ROWS

    def __init__(
        self, convolutions: Sequence[Convolution], over_time: bool = False, channel_axis: int = 2, settings: Hashable = ()
    ) -> None:
        names = [f"layer{index}" for index in range(len(convolutions))]
        layers = tuple(convolution.layer for convolution in convolutions)
        super().__init__(
            (settings, over_time, channel_axis, layers), **{name: each.cell for name, each in zip(names, convolutions)}
        )
        self.plan = tuple((name, each.function, each.layer) for name, each in zip(names, convolutions))
        self.over_time = over_time
        self.widths = [_widths(each) for each in convolutions]
        kernels = [each.cell.weight.shape[-1] for each in convolutions]
        self.resolutions = _resolutions(layers)
        self.sizes = self.resolutions[0], self.resolutions[-1]
        self.halo = -(-_reach(layers, kernels) // self.sizes[0])
        self.operator = ConvolutionChain(layers) if channel_axis == 2 else None

    def layout(self, x: Tensor) -> Shape:
        return x.shape[:-3]

    def enter(self, layout: Shape, x: Tensor) -> Tensor:
        return x if self.over_time else x.reshape(-1, *x.shape[-3:])

    def leave(self, layout: Shape, items: Tensor) -> Tensor:
        return items if self.over_time else items.reshape(*layout, *items.shape[-3:])

    def cost(self, x: Tensor) -> int:
        """Count what goes in and what each layer makes of it, all of which the way back needs at once."""
        pixels = x.shape[-1] / self.sizes[0]  # of a row at the lowest resolution
        frames = math.prod(x.shape[1:-2]) // self.widths[0][0]
        channels = (self.widths[0][0], *(outputs for _, outputs in self.widths))
        return math.ceil(frames * pixels * sum(count * rows**2 for count, rows in zip(channels, self.resolutions)))

    def construct(self, x: Tensor) -> Tensor:
        layout = self.layout(x)
        return self.leave(layout, super().construct(self.enter(layout, x)))

    def compute(self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], x: Tensor) -> Tensor:
        for name, function, layer in self.plan:
            x = function(x, w[name + ".weight"], w[name + ".bias"])
            if layer.shuffle > 1:
                x = ops.pixel_shuffle(x, layer.shuffle)
            if layer.slope == 0:
                x = ops.relu(x)
            elif layer.slope != 1:
                x = leaky_relu(x, layer.slope)
        return x


def _widths(convolution: Convolution) -> tuple[int, int]:
    """Return the channels (in, out, after pixel shuffle) of a ``Convolution``."""
    first, second = convolution.cell.weight.shape[:2]
    inputs, outputs = (first, second) if convolution.layer.change == "doubled" else (second, first)
    return inputs, outputs // convolution.layer.shuffle**2


def _resolutions(layers: Sequence[Layer]) -> tuple[int, ...]:
    """Return how many rows there are for each at the lowest resolution: before the first layer and behind each."""
    rows = [1]
    for layer in layers:
        factor = {"same": layer.shuffle, "halved": 0.5, "doubled": 2}[layer.change]
        rows.append(rows[-1] * factor)
    return tuple(int(each / min(rows)) for each in rows)


def _reach(layers: Sequence[Layer], kernels: Sequence[int]) -> int:
    """Return how many rows of the input beside it a row of the result depends on."""
    rows = 0
    for layer, kernel in zip(reversed(layers), reversed(kernels)):
        if layer.change == "halved":
            rows = 2 * rows + kernel // 2
        elif layer.change == "doubled":
            rows = -(-(rows + kernel // 2) // 2)
        else:
            rows = -(-rows // layer.shuffle) + kernel // 2
    return rows
