"""What lies before and after the body of VRT: clip to features, features to restored frames.

Clips are (N, D, C, H, W), features channels last: (N, D, H, W, C).
"""
import math

import numpy as np
from mindspore import Tensor, ops
from mindspore.ops import constexpr

from mindrestore.models.piece import Piece, Rearrangement
from mindrestore.models.vrt.flows import joined_by_neighbours
from mindrestore.models.vrt.layers import channels_last, pixels_last
from mindrestore.ops.activations import leaky_relu
from mindrestore.ops.convolution_images import conv2d
from mindrestore.ops.margins import with_zeros

LAST_KERNEL = 7  # of interpolation's last convolution


class NeighboursJoined(Piece):
    """A clip, its noise level behind its colours if it has one, and the flows between its neighbouring frames -> the clip with
    each frame joined by its neighbours, warped to it. Without flows there is nothing to join.
    """

    def __init__(self, colours):
        super().__init__(colours)
        self.colours = colours

    def compute(self, w, x, backward, forward):
        return ops.cat((joined_by_neighbours(x[:, :, :self.colours], backward, forward), x[:, :, self.colours:]), 2)


class PixelsLast(Rearrangement):
    """Features (N, D, H, W, C) -> (N, D, C, H, W)."""

    def compute(self, w, features):
        return pixels_last(features)

    def adjoint(self, shapes, gradient):
        return (channels_last(gradient),)


class ChannelsLast(Rearrangement):
    """The inverse of ``PixelsLast``."""

    def compute(self, w, features):
        return channels_last(features)

    def adjoint(self, shapes, gradient):
        return (pixels_last(gradient),)


class EnlargedClip(Piece):
    """A clip (N, D, C, H, W), bilinearly enlarged."""

    def __init__(self, upscale):
        super().__init__(upscale)
        self.upscale = upscale

    def compute(self, w, clip):
        batch, frames, channels, height, width = clip.shape
        size = self.upscale * height, self.upscale * width
        enlarged = ops.interpolate(clip.reshape(-1, channels, height, width), size=size, mode="bilinear", align_corners=False)
        return enlarged.reshape(batch, frames, channels, *size)


class MiddleFrame(Piece):
    """Features of four frames and the mean of the clip -> the frame in their middle, (N, 1, C, H, W)."""

    def __init__(self, linear_fuse, conv_last):
        super().__init__(linear_fuse=linear_fuse, conv_last=conv_last)

    def compute(self, w, features, mean):
        features = pixels_last(features)
        fused = features.reshape(features.shape[0], -1, *features.shape[3:])  # (N, 4 · channels, H, W)
        fused = leaky_relu(conv2d(fused, _image_kernel(w["linear_fuse.weight"]), w["linear_fuse.bias"]), 0.2)
        height, width = fused.shape[2:]
        for axis, length in ((2, height), (3, width)):
            fused = ops.gather(fused, _margins(length, LAST_KERNEL // 2), axis)
        return conv2d(fused, _image_kernel(w["conv_last.weight"]), w["conv_last.bias"]).unsqueeze(1) + mean


def _image_kernel(weight):
    return weight.reshape(*weight.shape[:2], *weight.shape[-2:])


class Crop(Rearrangement):
    """A clip and ``size`` -> its first ``size`` (frames, height, width)."""

    def compute(self, w, clip, size):
        return clip[:, :size[0], :, :size[1], :size[2]]

    def adjoint(self, shapes, gradient):
        for axis, length in enumerate(shapes[0]):
            gradient = with_zeros(gradient, axis, 0, length - gradient.shape[axis])
        return gradient, None


def upscale_steps(upscale):
    """Return the factors that ``upscale`` is made of: 3 once or 2 as often as needed."""
    return (3,) if upscale == 3 else (2,) * int(math.log2(upscale))


@constexpr
def _margins(length, margin):
    """Return the positions of a length with reflected margins at both ends."""
    return Tensor(np.pad(np.arange(length, dtype=np.int32), margin, "reflect"))
