"""Measurements with the mask they were made through, in the format of the benchmark's scenes.

A MATLAB file holds

    meas        H x W x K      K snapshots: 0 .. white times the most frames a pixel sees
    white       1 x 1          of meas, what one frame's white adds where the mask is open: 255, in some files 1
    mask        H x W x T      what each of the T frames of a snapshot was seen through
    orig        H x W x F      the clip, 0..255, K T frames of which were measured; colour H x W x 3 x F
    frame_rate  1 x 1          of the clip, where it has one
    colour      1 x 1          1: seen through an RGGB Bayer filter

All but ``meas`` may be missing. Without ``white`` it is found from ``orig`` or guessed, which is said; so is that ``meas`` of
8 bits is a camera's, as it is without a mask, see ``mindrestore.data.captures``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from mindrestore.data.captures import as_captured, load_capture
from mindrestore.errors import UserError, say_once, some_of
from mindrestore.files import PathLike, replacing
from mindrestore.mat_files import MatArrays, find, pick, read_mat, time_first
from mindrestore.sensing.masks import MASK_KEYS, load_mask
from mindrestore.sensing.values import as_mask, finite

WHITE = 255
WHITES = (WHITE, 1)  # of measurements in files that do not say theirs
FASTEST = 1000  # frames a second
EXCESS = 4  # times the largest value that its unit allows: measurements beyond, noise included, are in another unit
LARGEST = 2**31 - 1  # bytes of one array in a MATLAB file of version 5


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
    stored_mask = find(arrays, MASK_KEYS, path)
    if stored_mask is None:
        if mask is None:
            raise UserError(
                f"{path}: holds no mask{_unread(arrays)}, so it is a camera's capture; give the camera's mask with --mask."
            )
        capture = load_capture(path)
        return _fitting(Measurements(path, capture.measurements, load_mask(mask, capture.frames)))
    planes = as_mask(time_first(stored_mask), path) if mask is None else load_mask(mask, len(time_first(stored_mask)))
    measurements = _in_units_of_white(arrays, planes, path)
    colour = _number(arrays, "colour", path)
    if colour is None and "orig" in arrays:
        colour = arrays["orig"].ndim == 4
    rate = _number(arrays, "frame_rate", path)
    if rate is not None and not 0 < rate <= FASTEST:
        raise UserError(f"{path}: frame_rate is {rate:g}; expected more than 0 and at most {FASTEST} frames a second.")
    return _fitting(Measurements(path, measurements, planes, rate=rate, colour=None if colour is None else bool(colour)))


def save_measurements(
    path: PathLike, clip: np.ndarray, measurements: np.ndarray, mask: np.ndarray, rate: float | None = None
) -> None:
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
        "white": float(WHITE),
        "mask": np.moveaxis(mask.astype(np.uint8) if np.isin(mask, (0, 1)).all() else mask, 0, -1),
        "colour": np.uint8(colour),
        **({} if rate is None else {"frame_rate": float(rate)}),
    }
    if max(array.nbytes for array in arrays.values() if isinstance(array, np.ndarray)) > LARGEST:
        raise UserError(
            f"{path}: the clip is too large for one MATLAB file of 2 GB; measure fewer frames at a time (--frames)."
        )
    with replacing(path) as scratch:
        scipy.io.savemat(scratch, arrays, do_compression=True)


def _in_units_of_white(arrays: MatArrays, mask: np.ndarray, path: Path) -> np.ndarray:
    """Return ``meas`` of a file, (K, H, W) float32, in units of one frame's white; ``UserError`` for what is no measurement.

    mask: (T, H, W), that they were made through.
    """
    stored = pick(arrays, ("meas",), path, "measurement")
    if stored.ndim not in (2, 3) or not stored.size:
        raise UserError(f"{path}: meas has shape H x W or H x W x K, got {' x '.join(map(str, stored.shape))}.")
    measured = finite(time_first(stored), f"{path}: meas", "measurement")
    white, why = _number(arrays, "white", path), "its white says"
    if white is None and stored.dtype == np.uint8:
        say_once(
            f"{path}: meas has 8 bits and the file does not say its white; it is taken for what a camera wrote, white "
            f"being {2 * WHITE / len(mask):g} (255 for half of {len(mask)} frames)."
        )
        return as_captured(stored, len(mask), path)
    if white is None:
        white, why = _found_white(arrays, measured, mask, path)
    if not 0 < white < np.inf:
        raise UserError(f"{path}: white is {white:g}; expected what one frame's white adds to a measurement, such as 255.")
    largest, smallest = float(measured.max()), float(measured.min())
    allowed = EXCESS * white * float(mask.sum(0).max())
    if largest > allowed or -smallest > min(allowed, EXCESS * max(largest, 0)):
        raise UserError(
            f"{path}: meas holds {smallest:g} to {largest:g}, where white {white:g}, as {why}, allows 0 to "
            f"{allowed / EXCESS:g} and noise; expected measurements in that unit, or another white in the file."
        )
    if smallest < 0:
        say_once(f"{path}: meas holds numbers down to {smallest:g}, which are taken for noise.")
    return np.ascontiguousarray(measured, np.float32) / np.float32(white)


def _found_white(arrays: MatArrays, measured: np.ndarray, mask: np.ndarray, path: Path) -> tuple[float, str]:
    """Return (white, where it is from) of measurements (K, H, W) in a file that does not say it."""
    expected = _light_of_original(arrays, mask)
    ratio = _light(measured) / expected if expected else 0
    if ratio > 0:  # measured light over that of the clip behind it, 255 being the clip's white
        white = min(WHITES, key=lambda white: abs(np.log(WHITE * ratio / white)))
        return white, "its clip orig tells"
    white = WHITE if measured.max() > mask.sum(0).max() else 1
    relation = "more" if white == WHITE else "no more"
    say_once(
        f"{path}: does not say the white of its measurements; it is taken to be {white}, as the largest, "
        f"{measured.max():g}, is {relation} than the {mask.sum(0).max():g} frames that a pixel sees. Store white in the "
        "file to say so."
    )
    return white, "is guessed"


def _light(measured: np.ndarray) -> float:
    return float(measured.astype(np.float64).mean())


def _light_of_original(arrays: MatArrays, mask: np.ndarray) -> float:
    """Return the mean measurement that the clip ``orig`` makes through a mask, white being 255; 0 where it is not known."""
    orig = arrays.get("orig")
    if orig is None or not orig.size or orig.dtype.kind == "f" and not orig.max() > 1:
        return 0.0
    light = _light(orig)
    return light * float(mask.mean()) * len(mask) if np.isfinite(light) else 0.0


def _number(arrays: MatArrays, key: str, path: Path) -> float | None:
    """Return the number that a file holds under ``key``, None if it holds none; ``UserError`` for anything else."""
    array = find(arrays, (key,), path)
    if array is None:
        return None
    if not array.size:
        say_once(f"{path}: {key} is empty, as if it were not there.")
        return None
    if array.size > 1 or not np.isfinite(array).all():
        raise UserError(
            f"{path}: {key} is {' x '.join(map(str, array.shape))} of {array.flat[0]:g}; expected one finite number."
        )
    return float(array.flat[0])


def _unread(arrays: MatArrays) -> str:
    found = [key for key in arrays if "mask" in key.lower()] + [f"{key}, {kind}" for key, kind in arrays.others.items()]
    return f" that is read (but {some_of(found)})" if found else ""


def _fitting(file: Measurements) -> Measurements:
    """Return the file itself; ``UserError`` where mask and measurements differ in height or width."""
    mask, measured = file.mask.shape[1:], file.measurements.shape[1:]
    if mask != measured:
        raise UserError(
            f"{file.path}: measurements of {measured[0]} x {measured[1]} do not fit a mask of {mask[0]} x "
            f"{mask[1]}; give the mask they were made through."
        )
    return file
