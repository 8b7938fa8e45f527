"""What lies before and after the body of VRT: clip to features, features to restored frames.

Clips are (N, D, C, H, W), features channels last: (N, D, H, W, C).
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.ops import constexpr

from mindrestore.models.piece import Itemwise, Piece, Rearrangement, Shape, Weights, named
from mindrestore.models.vrt.flows import with_neighbours
from mindrestore.models.vrt.layers import Conv, channels_last, conv, pixels_last
from mindrestore.ops.activations import leaky_relu
from mindrestore.ops.margins import with_zeros

LAST_KERNEL = 7  # of interpolation's last convolution


class Embedding(Piece):
    """A clip, the noise level its last channel if it has one, and the flows between neighbouring frames -> features.

    distances: how far flows reach, in frames; 0 without flows.
    """

    def __init__(self, conv_first: Conv, colours: int, distances: int) -> None:
        super().__init__((colours, distances > 0), conv_first=conv_first)
        self.colours, self.warps = colours, distances > 0

    def compute(self, w: Weights, x: Tensor, *flows: Tensor) -> Tensor:
        if self.warps:
            x = ops.cat((with_neighbours(x[:, :, :self.colours], *flows), x[:, :, self.colours:]), 2)
        y = conv(w, "conv_first", x.reshape(-1, *x.shape[2:]), 1)
        return channels_last(y.reshape(*x.shape[:2], *y.shape[1:]))


class PixelsLast(Rearrangement):
    """Features (N, D, H, W, C) -> (N, D, C, H, W)."""

    def compute(self, w: Weights, features: Tensor) -> Tensor:
        return pixels_last(features)

    def adjoint(self, shapes: Sequence[Shape | None], gradient: Tensor) -> tuple[Tensor]:
        return (channels_last(gradient),)


class Framewise(Itemwise):
    """A piece whose items are frames.

    Features (N, D, channels, H, W) and the clip (N, D, C, H, W) -> (N, D, C, sH, sW).
    """

    def layout(self, features: Tensor, clip: Tensor) -> tuple[int, int]:
        return clip.shape[:2]

    def enter(self, layout: tuple[int, int], x: Tensor) -> Tensor:
        return x.reshape(-1, *x.shape[2:])

    def leave(self, layout: tuple[int, int], frames: Tensor) -> Tensor:
        return frames.reshape(*layout, *frames.shape[1:])

    def construct(self, features: Tensor, clip: Tensor) -> Tensor:
        layout = self.layout(features, clip)
        w = named(self.names, self.weights)
        return self.leave(layout, self.compute(w, (), (), self.enter(layout, features), self.enter(layout, clip)))


class Details(Framewise):
    """frames + convolution of the features: restoration at the same size."""

    def __init__(self, conv_last: Conv) -> None:
        super().__init__(conv_last=conv_last)

    def compute(self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], features: Tensor,
                frames: Tensor) -> Tensor:
        return frames + conv(w, "conv_last", features, 1)


class EnlargedDetails(Framewise):
    """Frames enlarged bilinearly + convolutions and pixel shuffles of the features: super-resolution. An item is a row."""

    compiled = True
    axis = -2
    halo = 3  # rows: one for each of the first two convolutions, less than one for all after them together

    def __init__(self, before: nn.SequentialCell, upsample: nn.SequentialCell, conv_last: Conv, upscale: int) -> None:
        super().__init__(upscale, before=before, upsample=upsample, conv_last=conv_last)
        self.upscale, self.sizes = upscale, (1, upscale)
        self.steps = tuple((f"upsample.{5 * index}", factor) for index, factor in enumerate(upscale_steps(upscale)))
        self.last_step = f"upsample.{5 * len(self.steps)}"
        self.channels = conv_last.weight.shape[1]

    def cost(self, features: Tensor, frames: Tensor) -> int:
        return 4 * self.upscale ** 2 * self.channels * frames.shape[-1]

    def compute(self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], features: Tensor,
                frames: Tensor) -> Tensor:
        y = leaky_relu(conv(w, "before.0", features, 1), 0.01)
        for name, factor in self.steps:
            y = leaky_relu(ops.pixel_shuffle(conv(w, name, y, 1), factor), 0.1)
        y = conv(w, "conv_last", conv(w, self.last_step, y, 1), 1)
        return y + ops.interpolate(frames, size=y.shape[2:], mode="bilinear", align_corners=False)


class MiddleFrame(Piece):
    """Features of four frames and the mean of the clip -> the frame in the middle, (N, 1, C, H, W)."""

    def __init__(self, linear_fuse: Conv, conv_last: Conv) -> None:
        super().__init__(linear_fuse=linear_fuse, conv_last=conv_last)

    def compute(self, w: Weights, features: Tensor, mean: Tensor) -> Tensor:
        features = pixels_last(features)
        fused = features.reshape(features.shape[0], -1, *features.shape[3:])  # (N, 4 · channels, H, W)
        fused = leaky_relu(conv(w, "linear_fuse", fused, 0), 0.2)
        height, width = fused.shape[2:]
        for axis, length in ((2, height), (3, width)):
            fused = ops.gather(fused, _margins(length, LAST_KERNEL // 2), axis)
        return conv(w, "conv_last", fused, 0).unsqueeze(1) + mean


class Crop(Rearrangement):
    """A clip and ``size`` -> its first ``size`` (frames, height, width)."""

    def compute(self, w: Weights, clip: Tensor, size: tuple[int, int, int]) -> Tensor:
        return clip[:, :size[0], :, :size[1], :size[2]]

    def adjoint(self, shapes: Sequence[Shape], gradient: Tensor) -> tuple[Tensor, None]:
        for axis, length in enumerate(shapes[0]):
            gradient = with_zeros(gradient, axis, 0, length - gradient.shape[axis])
        return gradient, None


def upscale_steps(upscale: int) -> tuple[int, ...]:
    """Return the factors of ``upscale``: (3,) or (2, 2, ...)."""
    return (3,) if upscale == 3 else (2,) * int(math.log2(upscale))


@constexpr
def _margins(length: int, margin: int) -> Tensor:
    """Return the positions 0 ... length - 1 with ``margin`` reflected ones at both ends."""
    return Tensor(np.pad(np.arange(length, dtype=np.int32), margin, "reflect"))
