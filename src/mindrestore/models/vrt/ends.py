"""What lies before and after the body of VRT: clip to features, features to restored frames.

Clips are (N, D, C, H, W), features channels last: (N, D, H, W, C).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, ops
from mindspore.ops import constexpr

from mindrestore.models.piece import Piece, Rearrangement, Shape, Weights
from mindrestore.models.vrt.flows import with_neighbours
from mindrestore.models.vrt.layers import Axes, Conv, Reordering, channels_last_axes, pixels_last, pixels_last_axes
from mindrestore.ops.activations import leaky_relu
from mindrestore.ops.convolution_images import conv2d
from mindrestore.ops.margins import with_zeros

LAST_KERNEL = 7  # of interpolation's last convolution
FUSED_SLOPE = 0.2  # of LeakyReLU behind the fusion of its frames


class NeighboursJoined(Piece):
    """A clip, the noise level its last channel if it has one, and the flows between neighbouring frames -> each frame joined by
    its neighbours, warped to it, and the noise level.
    """

    def __init__(self, colours: int) -> None:
        super().__init__(colours)
        self.colours = colours

    def compute(self, w: Weights, x: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        return ops.cat((with_neighbours(x[:, :, : self.colours], backward, forward), x[:, :, self.colours :]), 2)


class PixelsLast(Reordering):
    """Features (N, D, H, W, C) -> (N, D, C, H, W)."""

    def axes(self, shape: Shape) -> Axes:
        return pixels_last_axes(shape)


class ChannelsLast(Reordering):
    """The inverse of ``PixelsLast``."""

    def axes(self, shape: Shape) -> Axes:
        return channels_last_axes(shape)


class EnlargedClip(Piece):
    """A clip (N, D, C, H, W), bilinearly enlarged."""

    def __init__(self, upscale: int) -> None:
        super().__init__(upscale)
        self.upscale = upscale

    def compute(self, w: Weights, clip: Tensor) -> Tensor:
        batch, frames, channels, height, width = clip.shape
        size = self.upscale * height, self.upscale * width
        enlarged = ops.interpolate(clip.reshape(-1, channels, height, width), size=size, mode="bilinear", align_corners=False)
        return enlarged.reshape(batch, frames, channels, *size)


class MiddleFrame(Piece):
    """Features of four frames and the mean of the clip -> the frame in the middle, (N, 1, C, H, W)."""

    def __init__(self, linear_fuse: Conv, conv_last: Conv) -> None:
        super().__init__(linear_fuse=linear_fuse, conv_last=conv_last)

    def compute(self, w: Weights, features: Tensor, mean: Tensor) -> Tensor:
        features = pixels_last(features)
        fused = features.reshape(features.shape[0], -1, *features.shape[3:])  # (N, 4 · channels, H, W)
        fused = leaky_relu(conv2d(fused, _image_kernel(w["linear_fuse.weight"]), w["linear_fuse.bias"]), FUSED_SLOPE)
        height, width = fused.shape[2:]
        for axis, length in ((2, height), (3, width)):
            fused = ops.gather(fused, _margins(length, LAST_KERNEL // 2), axis)
        return conv2d(fused, _image_kernel(w["conv_last.weight"]), w["conv_last.bias"]).unsqueeze(1) + mean


def _image_kernel(weight: Tensor) -> Tensor:
    return weight.reshape(*weight.shape[:2], *weight.shape[-2:])


class Crop(Rearrangement):
    """A clip and ``size`` -> its first ``size`` (frames, height, width)."""

    def compute(self, w: Weights, clip: Tensor, size: tuple[int, int, int]) -> Tensor:
        return clip[:, : size[0], :, : size[1], : size[2]]

    def adjoint(self, shapes: Sequence[Shape], gradient: Tensor) -> tuple[Tensor, None]:
        for axis, length in enumerate(shapes[0]):
            gradient = with_zeros(gradient, axis, 0, length - gradient.shape[axis])
        return gradient, None


def upscale_steps(upscale: int) -> tuple[int, ...]:
    """Return the factors of ``upscale``: (3,) or (2, 2, ...)."""
    return (3,) if upscale == 3 else (2,) * int(math.log2(upscale))


def with_margins(length: int, margin: int) -> np.ndarray:
    """Return the positions 0 ... length - 1 with ``margin`` reflected ones at both ends: int32."""
    return np.pad(np.arange(length, dtype=np.int32), margin, "reflect")


@constexpr
def _margins(length: int, margin: int) -> Tensor:
    return Tensor(with_margins(length, margin))
