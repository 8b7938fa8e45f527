"""Measurements that a real camera took. Their ground truth is unknown: reconstructions can be looked at, not scored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing
from mindrestore.mat_files import pick, read_mat, time_first
from mindrestore.sensing.values import finite, refuse


@dataclass(frozen=True, eq=False)
class Capture:
    """What one file of real measurements holds.

    Attributes:
        name: the file's, without suffix.
        measurements: ``(K, H, W)`` float32, in units of one frame's white: stored value / 255 * T / 2, the scale of a mask
            that is half open.
        frames: the compression ratio T. Its mask is the first T planes of the camera's, ``load_mask(path, frames=T)``.
    """

    name: str
    measurements: np.ndarray
    frames: int


def load_capture(path: PathLike, frames: int | None = None) -> Capture:
    """Read real measurements.

    Args:
        path: ``.mat`` with ``meas``, ``H x W`` or ``H x W x K``, values 0..255.
        frames: the compression ratio T; ``None`` takes it from the file's name, ``..._cr_10.mat``.

    Raises:
        UserError: no such file, no ``meas`` in it, values out of range, or no T to be found.
    """
    path = existing(path, "capture file")
    frames = _frames_by_name(path) if frames is None else frames
    if frames < 1:
        raise UserError(f"frames, the compression ratio, must be 1 or more, got {frames}.")
    stored = pick(read_mat(path), ("meas",), path, "measurement")
    return Capture(path.stem, as_captured(stored, frames, path), int(frames))


def as_captured(stored: np.ndarray, frames: int, path: PathLike) -> np.ndarray:
    """Convert what a camera of 8 bits wrote, ``H x W`` or ``H x W x K``, to the ``measurements`` of ``Capture``.

    Raises ``UserError`` that names ``path`` for another shape, or a value outside 0..255.
    """
    if stored.ndim not in (2, 3) or not stored.size:
        raise UserError(f"{path}: meas has shape H x W or H x W x K, got {' x '.join(map(str, stored.shape))}.")
    measured = time_first(stored)
    finite(measured, f"{path}: meas", "measurement")
    outside = (measured < 0) | (measured > 255)
    refuse(measured, outside, f"{path}: meas", "measurement", expected="0..255 as a camera writes them")
    return np.ascontiguousarray(measured.astype(np.float32) * np.float32(frames / 2 / 255))


def _frames_by_name(path: Path) -> int:
    ratio = re.search(r"(?:^|[^a-z])cr_?([0-9]{1,4})(?![0-9])", path.stem.lower())
    if not ratio:
        raise UserError(
            f"{path}: the name does not tell the compression ratio; name the file ..._cr_10.mat "
            "where 10 frames were measured at a time."
        )
    return int(ratio.group(1))
