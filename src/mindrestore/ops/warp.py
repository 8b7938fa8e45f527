"""Backward warping: every pixel of the result is sampled at pixel + flow.

A flow is (x, y) in pixels, (N, 2, H, W). Samples are gathered as rows of channels, which is fast on every device and
differentiable in image and flow alike.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from mindspore.ops import constexpr

from mindrestore.ops.rows import repeated, scaled


def warp(x: Tensor, flow: Tensor, padding: str = "zeros") -> Tensor:
    """Sample x bilinearly at pixel + flow.

    x: (N, C, H, W); flow: (N, 2, H, W); padding: outside of the image are zeros (``"zeros"``) or the nearest pixel of its
    border (``"border"``). Returns (N, C, H, W).
    """
    return warp_features(x.permute(0, 2, 3, 1), flow, padding).permute(0, 3, 1, 2)


def warp_features(x: Tensor, flow: Tensor, padding: str = "zeros") -> Tensor:
    """As ``warp``, for channels last: (N, H, W, C) -> (N, H, W, C)."""
    batch, height, width, channels = x.shape
    at_x, at_y = targets(flow)
    at_x, at_y = _rounded(at_x, width), _rounded(at_y, height)
    if padding == "border":
        at_x, at_y = within(at_x, width), within(at_y, height)
    starts = image_starts(batch, height, width)
    return bilinear(x.reshape(-1, channels), starts, at_x, at_y, height=height, width=width).reshape(x.shape)


def warp_nearest4(x: Tensor, flow: Tensor) -> Tensor:
    """Sample x at the four pixels around pixel + flow, zeros outside of the image. The flow gets no gradient.

    x: (N, C, H, W); flow: (N, 2, H, W). Returns (N, 4 C, H, W): x at (floor x, floor y), (floor x, ceil y),
    (ceil x, floor y) and (ceil x, ceil y) of the target.
    """
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
    starts = image_starts(batch, height, width)
    at_x, at_y = targets(ops.stop_gradient(flow))
    copies = []
    for column in (ops.floor(at_x), ops.ceil(at_x)):
        for row in (ops.floor(at_y), ops.ceil(at_y)):
            weight = inside(column, width) * inside(row, height)
            copies.append(weighted_rows(rows, starts, column, row, height=height, width=width, weight=weight))
    return ops.cat(copies, -1).reshape(batch, height, width, 4 * channels).permute(0, 3, 1, 2)


def targets(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Return x and y of every pixel plus its flow: (N, 2, H, W) -> two of (N · H · W,)."""
    batch, _, height, width = flow.shape
    target = flow + repeated(pixel_positions(height, width), batch)
    return target[:, 0].reshape(-1), target[:, 1].reshape(-1)


def bilinear(rows: Tensor, starts: Tensor, at_x: Tensor, at_y: Tensor, *, height: int, width: int, step: int = 1) -> Tensor:
    """Sample images of height × width pixels, laid out as rows of channels; zeros outside of the image.

    rows: (R, C); starts: (S,), for each sample the row of the first pixel of its image; at_x, at_y: (S,); step: rows from one
    pixel to the next. Returns (S, C).
    """
    left, top = ops.stop_gradient(ops.floor(at_x)), ops.stop_gradient(ops.floor(at_y))
    right_part, lower_part = at_x - left, at_y - top
    across = ((left, inside(left, width) * (1 - right_part)), (left + 1, inside(left + 1, width) * right_part))
    down = ((top, inside(top, height) * (1 - lower_part)), (top + 1, inside(top + 1, height) * lower_part))
    total = None
    for row, vertical in down:
        for column, horizontal in across:
            if total is not None:
                row = ops.depend(row, total)  # one corner after the other: a graph would hold all four in memory
            corner = weighted_rows(
                rows, starts, column, row, height=height, width=width, weight=horizontal * vertical, step=step
            )
            total = corner if total is None else total + corner
    return total


def weighted_rows(
    rows: Tensor, starts: Tensor, column: Tensor, row: Tensor, *, height: int, width: int, weight: Tensor, step: int = 1
) -> Tensor:
    """Return weight times the row of each whole-numbered position; positions outside must have weight 0."""
    pixel = within(row, height).to(ms.int32) * width + within(column, width).to(ms.int32)
    return scaled(ops.gather(rows, pixel * step + starts, 0), weight)


def _rounded(position: Tensor, size: int) -> Tensor:
    """Convert the position to -1 ... 1 and back, as the published networks do.

    Its rounding, 1e-5 pixels, is far above that of all other steps, and alignment over many stages multiplies it.
    """
    largest = max(size - 1, 1)
    return (2.0 * position / largest - 1.0 + 1.0) * (largest / 2)


def inside(position: Tensor, size: int) -> Tensor:
    """Return 1 where 0 <= position <= size - 1, else 0."""
    return ops.logical_and(position >= 0, position <= size - 1).to(ms.float32)


def within(position: Tensor, size: int) -> Tensor:
    """Return the position in 0 ... size - 1 nearest to ``position``."""
    return ops.clamp(position, 0, size - 1)


@constexpr
def pixel_positions(height: int, width: int) -> Tensor:
    """Return x and y of every pixel: (1, 2, H, W)."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return Tensor(np.stack((x, y))[None])


@constexpr
def image_starts(images: int, height: int, width: int) -> Tensor:
    """Return for every pixel the row of the first pixel of its image: (images · H · W,)."""
    return Tensor(np.repeat(np.arange(images, dtype=np.int32) * (height * width), height * width))
