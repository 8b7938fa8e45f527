"""The camera model before and after the convolutions: the input of the head from the measurement, the clip from the tail.

A mask is (T, H, W), or (B, T, H, W), one for each measurement; a measurement (B, H, W); an estimate, of the GAP-TV start, is
shaped like the clip: (B, T, H, W), in colour (B, 3, T, H, W).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mindspore import Tensor, ops
from mindspore.ops import constexpr

from mindrestore.models.piece import Piece, Weights


class NetworkInput(Piece):
    """Measurement, mask and, with a GAP-TV start, estimate -> the input of the head, in the layout of ``ops.convolution``."""

    def __init__(self, colour: bool, to_features: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.colour, self.to_features = colour, to_features

    def compute(self, w: Weights, measurement: Tensor, mask: Tensor, estimate: Tensor | None = None) -> Tensor:
        return self.to_features(network_input(self.colour, measurement, mask, estimate))


class OutputClip(Piece):
    """The output of the tail and the inputs of ``NetworkInput`` -> the clip."""

    def __init__(self, colour: bool, from_features: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.colour, self.from_features = colour, from_features

    def compute(
        self, w: Weights, features: Tensor, measurement: Tensor, mask: Tensor, estimate: Tensor | None = None
    ) -> Tensor:
        return output_clip(self.colour, self.from_features(features), measurement, mask, estimate=estimate)


class Crop(Piece):
    """A clip and ``size`` -> its first ``size`` (height, width)."""

    def compute(self, w: Weights, clip: Tensor, size: tuple[int, int]) -> Tensor:
        return clip[..., : size[0], : size[1]]


def network_input(colour: bool, measurement: Tensor, mask: Tensor, estimate: Tensor | None = None) -> Tensor:
    """Return the input of the head, (B, channels, T, H, W).

    Normalised start, as published: with y the measurement over the mask sum, grey y + mask · y, in colour two channels, mask
    and y. GAP-TV start: the estimate (3 channels in colour), r and mask · r, with r its residual over the mask sum, which is
    the correction wherever nothing moves.
    """
    mask = _batched(mask)
    frames = (measurement.shape[0], *mask.shape[1:])
    if estimate is not None:
        remainder = residual(colour, estimate, measurement, mask)
        residuals = ops.stack((ops.broadcast_to(remainder, frames), mask * remainder), 1)
        return ops.cat((estimate if colour else estimate.unsqueeze(1), residuals), 1)
    normalised = measurement.unsqueeze(1) / _mask_sum(mask)  # (B, 1, H, W)
    if colour:
        return ops.stack((ops.broadcast_to(mask, frames), ops.broadcast_to(normalised, frames)), 1)
    return (normalised + mask * normalised).unsqueeze(1)


def output_clip(colour: bool, clip: Tensor, measurement: Tensor, mask: Tensor, estimate: Tensor | None = None) -> Tensor:
    """Return the clip, given the output of the tail (B, 1 or 3, T, H, W).

    Normalised start: the clip is the output. GAP-TV start: it is the estimate + the output, plus the back-projected residual of
    that sum.
    """
    if not colour:
        clip = clip[:, 0]
    if estimate is None:
        return clip
    clip = estimate + clip
    mask = _batched(mask)
    unexplained = mask * residual(colour, clip, measurement, mask)  # (B, T, H, W)
    if colour:
        unexplained = unexplained.unsqueeze(1) * bayer(clip.shape[-2], clip.shape[-1])
    return clip + unexplained


def residual(colour: bool, clip: Tensor, measurement: Tensor, mask: Tensor) -> Tensor:
    """Return (measurement - camera(clip)) / mask sum, for a mask (B, T, H, W): (B, 1, H, W)."""
    if colour:
        clip = (clip * bayer(clip.shape[-2], clip.shape[-1])).sum(1)
    return (measurement.unsqueeze(1) - (mask * clip).sum(1, keepdim=True)) / _mask_sum(mask)


def bayer(height: int, width: int) -> Tensor:
    """Return the RGGB pattern (3, 1, H, W): 1 where a pixel sees the colour."""
    return ops.tile(_bayer_tile(), (1, 1, height // 2, width // 2))


def to_even(x: Tensor, odd_height: int, odd_width: int) -> Tensor:
    """Pad (..., H, W) to even height and width by repeating the last row and column.

    In colour the padding does not follow the Bayer pattern; it is cropped from the result.
    """
    if odd_height:
        x = ops.cat((x, x[..., -1:, :]), -2)
    if odd_width:
        x = ops.cat((x, x[..., -1:]), -1)
    return x


@constexpr
def _bayer_tile() -> Tensor:
    return Tensor(np.array([[[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]], np.float32)[:, None])


def _batched(mask: Tensor) -> Tensor:
    """(T, H, W) -> (1, T, H, W); (B, T, H, W), one mask for each measurement, as it is."""
    return mask.unsqueeze(0) if mask.ndim == 3 else mask


def _mask_sum(mask: Tensor) -> Tensor:
    """Return the sum of a mask over its planes, 1 where that is 0: (B, T, H, W) -> (B, 1, H, W)."""
    total = mask.sum(1, keepdim=True)
    return ops.where(total == 0, ops.ones_like(total), total)
