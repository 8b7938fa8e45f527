"""Modulated deformable convolution (DCNv2, arXiv 1811.11168): 3×3 taps, each sampled at an offset of its own.

Samples are gathered as rows of channels and multiplied by the weights as one matrix: on a CPU several times as fast as
MindSpore's operator, and differentiable in input, offset, mask, weight and bias on every device.
"""

from __future__ import annotations

import numpy as np
from mindspore import Tensor, ops
from mindspore.ops import constexpr

from mindrestore.ops.half_precision import product
from mindrestore.ops.rows import repeated, scaled, spread
from mindrestore.ops.warp import bilinear, pixel_positions

KERNEL = 3
TAPS = KERNEL * KERNEL


def deformable_conv2d_features(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve features, channels last, with kernel 3, stride 1, zero padding 1; samples outside of the image are zero.

    x: (N, H, W, C); offset: (N, 2 · G · 9, H, W), (y, x) in pixels for each of G deformable groups and each tap;
    mask: (N, G · 9, H, W), factor of each sample; weight: (outputs, C / groups, 3, 3), which decides the number of
    groups of the convolution; bias: (outputs,). Returns (N, H, W, outputs).
    """
    batch, height, width, channels = x.shape
    outputs, group_channels = weight.shape[:2]
    groups = channels // group_channels
    sampled = mask.shape[1] // TAPS // groups  # deformable groups in each group of the convolution
    weight = weight.reshape(groups, outputs // groups, sampled, group_channels // sampled, TAPS)
    weight = weight.permute(0, 1, 4, 2, 3).reshape(groups, outputs // groups, TAPS * group_channels)
    rows = x.reshape(batch * height * width * groups * sampled, group_channels // sampled)
    positions = pixel_positions(height, width)
    pixel_x, pixel_y = (repeated(positions[0, axis].reshape(-1), batch) for axis in (0, 1))
    results = []
    for group in range(groups):
        starts = _starts(batch, height * width, groups, group, sampled=sampled)
        y = _positions(ops.gather(offset, _planes(group, sampled, 2, 0), 1), pixel_y, _steps(sampled, 0))
        x = _positions(ops.gather(offset, _planes(group, sampled, 2, 1), 1), pixel_x, _steps(sampled, 1))
        factors = _pixels_first(ops.gather(mask, _planes(group, sampled, 1, 0), 1)).reshape(-1)
        samples = scaled(bilinear(rows, starts, x, y, height=height, width=width, step=groups * sampled), factors)
        results.append(product(ops.MatMul(transpose_b=True), samples.reshape(-1, TAPS * group_channels), weight[group]))
    y = results[0] if groups == 1 else ops.cat(results, -1)
    return ops.BiasAdd()(y.reshape(-1, outputs), bias).reshape(batch, height, width, outputs)


def _positions(offset: Tensor, position: Tensor, steps: Tensor) -> Tensor:
    """Return the sampled positions, pixel + step of the tap + offset, in the order (N, H, W, tap, group)."""
    offset = _pixels_first(offset)
    return (ops.BiasAdd()(spread(position, offset.shape[1]), steps) + offset).reshape(-1)


def _pixels_first(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N · H · W, C)"""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _starts(batch: int, pixels: int, groups: int, group: int, sampled: int) -> Tensor:
    """Return for each sample the row of the first pixel of its image, for its channels: (N · H · W · 9 · sampled,) int32."""
    of_image = ops.tile(_multiples(batch, pixels * groups * sampled), (1, pixels * TAPS * sampled))
    of_channels = ops.tile(_channel_rows(group, sampled), (batch * pixels, 1))
    return of_image.reshape(-1) + of_channels.reshape(-1)


@constexpr
def _multiples(count: int, step: int) -> Tensor:
    """Return 0, step, 2 step ...: (count, 1)."""
    return Tensor(np.arange(count, dtype=np.int32)[:, None] * step)


@constexpr
def _channel_rows(group: int, sampled: int) -> Tensor:
    """Return the row within its pixel of each (tap, deformable group): (1, 9 · sampled)."""
    return Tensor(np.tile(group * sampled + np.arange(sampled, dtype=np.int32), TAPS)[None])


@constexpr
def _planes(group: int, sampled: int, coordinates: int, coordinate: int) -> Tensor:
    """Return the planes of (G, 9, coordinates) of a group of the convolution and a coordinate, in the order (tap, G)."""
    planes = np.arange(group * sampled, (group + 1) * sampled) * TAPS + np.arange(TAPS)[:, None]
    return Tensor((planes.reshape(-1) * coordinates + coordinate).astype(np.int32))


@constexpr
def _steps(sampled: int, axis: int) -> Tensor:
    """Return the step from the centre to each tap in y (axis 0) or x (1), for each (tap, G): (9 · sampled,)."""
    steps = np.divmod(np.arange(TAPS), KERNEL)[axis] - KERNEL // 2
    return Tensor(np.repeat(steps, sampled).astype(np.float32))
