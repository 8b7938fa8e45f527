"""Self-ensemble: what a network says of a clip, averaged over the clip's mirror images and its reversal in time.

A mirrored or reversed clip is as good a clip, and a network's errors differ from one to the next, so that their mean is
smaller. The field writes it as + behind a network's name; it takes as many times as long as there are views, eight.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

TIME, HEIGHT, WIDTH = 1, 3, 4  # axes of (N, D, C, H, W)
TIME_OF_MASK = -3  # axis of (T, H, W) and (3, T, H, W)


class ClipEnsemble:
    """As ``network``, a function of arrays, (N, D, C, H, W) -> (N, D', C', sH, sW), the mean over eight views."""

    def __init__(self, network: Callable[[np.ndarray], np.ndarray]) -> None:
        self._network = network

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        axes = (TIME, HEIGHT, WIDTH) if clip.shape[TIME] > 1 else (HEIGHT, WIDTH)
        return _mean(np.flip(self._network(np.flip(clip, view)), view) for view in _views(axes))


class SnapshotEnsemble:
    """As ``reconstruct``, from a measurement (H, W) and its mask (T, H, W) to a clip (T, H, W) or (3, T, H, W), the mean over
    eight views. In colour only time is reversed: a mirrored Bayer filter is another one.
    """

    def __init__(self, reconstruct: Callable[[np.ndarray, np.ndarray], np.ndarray], colour: bool) -> None:
        self._reconstruct, self._axes = reconstruct, (TIME_OF_MASK,) if colour else (TIME_OF_MASK, -2, -1)

    def __call__(self, measurement: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return _mean(np.flip(self._of_view(measurement, mask, view), view) for view in _views(self._axes))

    def _of_view(self, measurement: np.ndarray, mask: np.ndarray, view: tuple[int, ...]) -> np.ndarray:
        spatial = tuple(axis for axis in view if axis != TIME_OF_MASK)
        return self._reconstruct(np.ascontiguousarray(np.flip(measurement, spatial)), np.ascontiguousarray(np.flip(mask, view)))


def _views(axes: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the axes to turn round of each view: every choice of ``axes``, none first."""
    for count in range(len(axes) + 1):
        yield from itertools.combinations(axes, count)


def _mean(arrays: Iterator[np.ndarray]) -> np.ndarray:
    """Return the mean as float32, one array in memory at a time, and a contiguous one."""
    total, count = np.array(next(arrays), np.float32), 1
    for array in arrays:
        total += array
        count += 1
    return total / np.float32(count)
