"""Measurements that a real camera took. Their ground truth is unknown: reconstructions can be looked at, not scored."""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing
from mindrestore.mat_files import pick, read_mat, time_first


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
    if stored.ndim not in (2, 3) or not stored.size:
        raise UserError(f"{path}: meas has shape H x W or H x W x K, got {' x '.join(map(str, stored.shape))}.")
    if not (0 <= stored.min() and stored.max() <= 255):
        raise UserError(f"{path}: meas holds values 0..255 as a camera writes them, "
                        f"got {stored.min():g}..{stored.max():g}.")
    measurements = time_first(stored).astype(np.float32) * np.float32(frames / 2 / 255)
    return Capture(path.stem, np.ascontiguousarray(measurements), int(frames))


def _frames_by_name(path: Path) -> int:
    ratio = re.search(r"(?:^|[^a-z])cr_?(\d+)", path.stem.lower())
    if not ratio:
        raise UserError(f"{path}: the name does not tell the compression ratio; name it ..._cr_10.mat or give frames.")
    return int(ratio.group(1))
