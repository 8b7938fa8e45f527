"""Measurements with the mask they were made through, in the format of the benchmark's scenes.

A MATLAB file holds

    meas        H x W x K      K snapshots, white being 255: 0 .. 255 times the most frames a pixel sees
    mask        H x W x T      what each of the T frames of a snapshot was seen through
    orig        H x W x F      the clip, 0..255, K T frames of which were measured; colour H x W x 3 x F
    frame_rate  1 x 1          of the clip, where it has one
    colour      1 x 1          1: seen through an RGGB Bayer filter

``orig`` and the last two may be missing; without a mask it is a camera's capture, see ``mindrestore.data.captures``.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from mindrestore.data.captures import load_capture
from mindrestore.errors import UserError
from mindrestore.files import PathLike, replacing
from mindrestore.mat_files import pick, read_mat, time_first
from mindrestore.sensing.masks import MASK_KEYS, checked_mask, load_mask

WHITE = 255
LARGEST = 2 ** 31 - 1  # bytes of one array in a MATLAB file of version 5


@dataclass(frozen=True, eq=False)
class Measurements:
    """What a file of measurements holds.

    Attributes:
        path: of the file.
        measurements: (K, H, W) float32, in units of one frame's white.
        mask: (T, H, W) float32.
        rate: frames a second of the clip, None if the file does not say.
        colour: whether they were made through a Bayer filter, None if the file does not say.
    """

    path: Path
    measurements: np.ndarray
    mask: np.ndarray
    rate: float | None = None
    colour: bool | None = None


def load_measurements(path: PathLike, mask: PathLike | None = None) -> Measurements:
    """Read measurements and their mask.

    Args:
        path: .mat file with ``meas``.
        mask: file of the mask, needed where ``path`` holds none and used instead of the one it holds.

    Raises:
        UserError: no such file, nothing measured in it, no mask, or one that does not fit.
    """
    path = Path(path)
    arrays = read_mat(path)
    stored_mask = next((arrays[key] for key in MASK_KEYS if key in arrays), None)
    if stored_mask is None:
        if mask is None:
            raise UserError(f"{path}: holds no mask, so it is a camera's capture; give the camera's mask with --mask.")
        capture = load_capture(path)
        return _fitting(Measurements(path, capture.measurements, load_mask(mask, capture.frames)))
    planes = checked_mask(time_first(stored_mask), path) if mask is None else load_mask(mask, len(time_first(stored_mask)))
    stored = time_first(pick(arrays, ("meas",), path, "measurement"))
    if stored.ndim != 3 or not stored.size or not np.isfinite(stored).all():
        raise UserError(f"{path}: meas has shape H x W x K and finite values, got {' x '.join(map(str, stored.shape))}.")
    white = WHITE if stored.max() > planes.sum(0).max() else 1  # some files store frames of 0..1
    rate = float(arrays["frame_rate"].flat[0]) if "frame_rate" in arrays else None
    colour = bool(arrays["colour"].flat[0]) if "colour" in arrays else arrays["orig"].ndim == 4 if "orig" in arrays else None
    return _fitting(Measurements(path, np.ascontiguousarray(stored, np.float32) / np.float32(white), planes,
                                 rate=rate, colour=colour))


def save_measurements(path: PathLike, clip: np.ndarray, measurements: np.ndarray, mask: np.ndarray,
                      rate: float | None = None) -> None:
    """Write measurements, mask and the clip they were made of as a MATLAB file of version 5, whole or not at all.

    Args:
        path: .mat file.
        clip: (F, H, W) or, colour, (3, F, H, W), uint8.
        measurements: (K, H, W), in units of one frame's white.
        mask: (T, H, W).
        rate: frames a second of the clip.

    Raises:
        UserError: too large for the format, or a path that cannot be written.
    """
    colour = clip.ndim == 4
    arrays = {
        "orig": np.moveaxis(clip, (0, 1), (2, 3)) if colour else np.moveaxis(clip, 0, -1),
        "meas": np.moveaxis(np.asarray(measurements, np.float32) * WHITE, 0, -1),
        "mask": np.moveaxis(mask.astype(np.uint8) if np.isin(mask, (0, 1)).all() else mask, 0, -1),
        "colour": np.uint8(colour), **({} if rate is None else {"frame_rate": float(rate)}),
    }
    if max(array.nbytes for array in arrays.values() if isinstance(array, np.ndarray)) > LARGEST:
        raise UserError(f"{path}: the clip is too large for one MATLAB file of 2 GB; measure fewer frames at a time "
                        "(--frames).")
    with replacing(path) as scratch:
        scipy.io.savemat(scratch, arrays, do_compression=True)


def _fitting(file: Measurements) -> Measurements:
    """The file itself; ``UserError`` where mask and measurements differ in height or width."""
    (mask_height, mask_width), (height, width) = file.mask.shape[1:], file.measurements.shape[1:]
    if (mask_height, mask_width) != (height, width):
        raise UserError(f"{file.path}: measurements of {height} x {width} do not fit a mask of {mask_height} x {mask_width}; "
                        "give the mask they were made through.")
    return file
