"""Shifted windows over (frames, height, width): the rows of a feature map in each window, and the masks of attention.

Everything follows from shapes alone and is computed once for each shape, with NumPy; the device only gathers rows into windows
and back. Source: Swin (arXiv 2103.14030), section 3.2; VRT (arXiv 2201.12288).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from mindspore import Tensor, ops

MASKED = -100.0

Sizes = tuple[int, int, int]  # frames, height, width


class Windows(NamedTuple):
    """How a batch of feature maps of one size is cut into windows of N tokens. The maps, flattened, have R rows."""

    shape: tuple[int, int, int, int]  # of the batch: (maps, D, H, W)
    window: Sizes  # no larger than the map
    count: int  # of windows
    order: Tensor  # (windows · N,): the row of each token; R, one past the last, for tokens that pad a map to whole windows
    inverse: Tensor  # (R,): the token of each row
    real: Tensor | None  # (windows, N): 1 for rows, 0 for padding; None without padding
    masks: Tensor | None  # (kinds, N, N): 0 where two tokens attend to each other, else MASKED; None: all do
    kinds: Tensor | None  # (windows,): index of the mask of each window


def to_windows(rows: Tensor, order: Tensor, padded: bool) -> Tensor:
    """Gather rows (R, C) into the tokens of all windows (windows · N, C).

    order: of ``Windows``; padded: whether it has padding tokens, which become zeros.
    """
    if padded:
        rows = ops.cat((rows, ops.zeros((1, rows.shape[1]), rows.dtype)))
    return ops.gather(rows, order, 0)


def fitted(size: Sizes, window: Sizes, shifted: bool) -> tuple[Sizes, Sizes]:
    """Return (window, shift) for a map of ``size``.

    A window is no larger than the map, and is not shifted along an axis that it fills.
    """
    shift = tuple(w // 2 if shifted and s > w else 0 for s, w in zip(size, window))
    return tuple(min(s, w) for s, w in zip(size, window)), shift


@lru_cache(maxsize=64)
def windows(maps: int, size: Sizes, window: Sizes, shifted: bool) -> Windows:
    """Return the ``Windows`` that cut ``maps`` feature maps of ``size`` (D, H, W), shifted by half a window if ``shifted``."""
    window, shift = fitted(size, window, shifted)
    padded = tuple(n * w for n, w in zip(_along(size, window), window))
    count = math.prod(size)
    rows = np.full(padded, -1)
    rows[tuple(slice(s) for s in size)] = np.arange(count).reshape(size)
    order = partitioned(np.roll(rows, [-s for s in shift], (0, 1, 2)), window).reshape(-1)
    order = np.where(order < 0, maps * count, order + count * np.arange(maps)[:, None]).reshape(-1)
    real = order < maps * count
    inverse = np.empty(maps * count, np.int32)
    inverse[order[real]] = np.flatnonzero(real)
    masks, kinds = _masks(padded, window, shift) if any(shift) else (None, None)
    in_window = math.prod(window)
    return Windows(
        shape=(maps, *size),
        window=window,
        count=len(order) // in_window,
        order=Tensor(order.astype(np.int32)),
        inverse=Tensor(inverse),
        real=None if real.all() else Tensor(real.astype(np.float32).reshape(-1, in_window)),
        masks=None if masks is None else Tensor(masks),
        kinds=None if masks is None else Tensor(np.tile(kinds, maps)),
    )


def _along(size: Sizes, window: Sizes) -> Sizes:
    """Return the number of windows along each axis; the last one may be partly padding."""
    return tuple(-(-s // w) for s, w in zip(size, window))


def partitioned(array: np.ndarray, window: Sizes) -> np.ndarray:
    """Cut an array of (D, H, W), multiples of the window, into (windows, tokens a window)."""
    (d, h, w), (wd, wh, ww) = array.shape, window
    array = np.transpose(array.reshape(d // wd, wd, h // wh, wh, w // ww, ww), (0, 2, 4, 1, 3, 5))
    return array.reshape(-1, wd * wh * ww)


def _masks(padded: Sizes, window: Sizes, shift: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Return (masks, kinds), as of ``Windows``, of one map.

    Tokens that the cyclic shift brings together from opposite ends of the map do not attend to each other.
    """
    regions = np.zeros(padded, np.int32)
    for axis, (length, s) in enumerate(zip(padded, shift)):
        region = (np.arange(length) >= length - s).astype(np.int32)
        regions = 2 * regions + region.reshape([-1 if at == axis else 1 for at in range(3)])
    regions, kinds = np.unique(partitioned(regions, window), axis=0, return_inverse=True)
    masks = np.where(regions[:, :, None] == regions[:, None, :], 0, MASKED)
    return masks.astype(np.float32), kinds.reshape(-1).astype(np.int32)


@lru_cache(maxsize=64)
def relative_positions(window: Sizes, table_window: Sizes) -> np.ndarray:
    """Return the row of the bias table for each pair of tokens of ``window``: (N, N) int32.

    table_window: the window that the table was built for, at least as large.
    """
    positions = np.stack(np.meshgrid(*map(np.arange, window), indexing="ij")).reshape(3, -1).astype(np.int32)
    distance = positions[:, :, None] - positions[:, None, :]
    index = np.zeros(distance.shape[1:], np.int32)
    for along, length in zip(distance, table_window):
        index = index * (2 * length - 1) + along + length - 1
    return index


@lru_cache(maxsize=64)
def sine_positions(height: int, width: int, channels: int, temperature: float = 10000.0) -> np.ndarray:
    """Return the sine position encoding over (h, w): (height · width, channels), the first half for y (arXiv 2005.12872)."""
    features = channels // 2
    frequency = temperature ** (np.arange(features) // 2 * 2 / features)
    halves = []
    for length, axis in ((height, 0), (width, 1)):
        angle = np.arange(1, length + 1) / (length + 1e-6) * 2 * np.pi
        angle = angle[:, None] / frequency
        encoded = np.where(np.arange(features) % 2, np.cos(angle), np.sin(angle))
        shape = (height, width, features)
        halves.append(np.broadcast_to(encoded[:, None] if axis == 0 else encoded[None], shape))
    return np.concatenate(halves, -1).reshape(height * width, channels).astype(np.float32)
