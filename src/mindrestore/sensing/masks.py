"""Masks of coded snapshots: read from files, written, drawn at random, cropped, fingerprinted."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import scipy.io

from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing, replacing
from mindrestore.mat_files import pick, read_mat, time_first
from mindrestore.readers.numpy_files import read_npy, read_npz
from mindrestore.sensing.values import as_mask

MASK_KEYS = ("mask", "masks", "Mask", "MASK", "mask_test", "Phi", "phi")
SUFFIXES = (".mat", ".npz", ".npy")


def load_mask(path: PathLike, frames: int | None = None) -> np.ndarray:
    """Read a mask from a file.

    Args:
        path: ``.mat`` (MATLAB v5 or v7.3; ``H x W x T`` under one of ``MASK_KEYS``), ``.npz`` (``(T, H, W)`` under one
            of them) or ``.npy`` (``(T, H, W)``).
        frames: use only the first ``frames`` planes, as real captures do; ``None``: all.

    Returns:
        ``(T, H, W)`` float32, see ``mindrestore.sensing.values.as_mask``.

    Raises:
        UserError: no such file, not one of these formats, no mask in it, one that ``as_mask`` refuses, or fewer planes than
            ``frames``.
    """
    path = existing(path, "mask file")
    mask = as_mask(_array_in(path), path)
    if frames is None:
        return mask
    if not 1 <= frames <= len(mask):
        raise UserError(f"{path}: the mask has {len(mask)} planes, {frames} were asked for; ask for 1 to {len(mask)}.")
    return mask[:frames]


def save_mask(path: PathLike, mask: np.ndarray) -> None:
    """Write a mask ``(T, H, W)``, whole or not at all, as ``load_mask`` reads it.

    The suffix of ``path`` says how: ``.mat`` (MATLAB v5, ``H x W x T`` under ``mask``), ``.npz`` or ``.npy``. Masks of 0 and 1
    are stored as bytes, others as float32. Raises ``UserError`` for another suffix, or a path that cannot be written.
    """
    check_suffix(path)
    stored = mask.astype(np.uint8) if np.isin(mask, (0, 1)).all() else np.asarray(mask, np.float32)
    with replacing(path) as scratch:
        if scratch.suffix.lower() == ".mat":
            scipy.io.savemat(scratch, {"mask": np.moveaxis(stored, 0, -1)}, do_compression=True)
        elif scratch.suffix.lower() == ".npz":
            np.savez_compressed(scratch, mask=stored)
        else:
            np.save(scratch, stored)


def check_suffix(path: PathLike) -> None:
    """Raise ``UserError`` if no mask file ends like ``path``."""
    suffix = Path(path).suffix
    if suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: a mask file ends in .mat, .npz or .npy, got '{suffix}'.")


def random_mask(
    frames: int, height: int, width: int, density: float = 0.5, rng: np.random.Generator | int | None = None
) -> np.ndarray:
    """Draw a binary mask, every pixel of every plane open with probability ``density``.

    ``rng`` is a NumPy generator or a seed. Returns ``(T, H, W)`` float32 of 0 and 1; raises ``UserError`` for a size
    below 1 or a density outside 0..1.
    """
    check_drawing(frames, height, width, density)
    rng = np.random.default_rng(rng)
    return (rng.random((frames, height, width), dtype=np.float32) < density).astype(np.float32)


def check_drawing(frames: int, height: int, width: int, density: float) -> None:
    """Raise ``UserError`` if no mask can be of this size and density."""
    if min(frames, height, width) < 1:
        raise UserError(f"a mask needs at least one plane of one pixel, got {frames} x {height} x {width}.")
    if not 0 < density <= 1:
        raise UserError(f"density must lie above 0 and at most at 1, got {density}.")


def crop_mask(mask: np.ndarray, height: int, width: int, top: int = 0, left: int = 0) -> np.ndarray:
    """Crop a mask: ``(T, H, W)`` -> ``(T, height, width)``; raises ``UserError`` if it is too small."""
    if min(top, left) < 0 or min(height, width) < 1 or top + height > mask.shape[-2] or left + width > mask.shape[-1]:
        raise UserError(
            f"a mask of {mask.shape[-2]} x {mask.shape[-1]} pixels has no part of {height} x {width} "
            f"at row {top}, column {left}; give a larger mask or smaller frames."
        )
    return mask[:, top : top + height, left : left + width]


def fingerprint(mask: np.ndarray) -> str:
    """Return 16 hexadecimal digits that identify a mask by its shape and its values as float32."""
    mask = np.ascontiguousarray(mask, "<f4") + np.float32(0)  # turns minus zero into zero
    digest = hashlib.sha256(repr(mask.shape).encode())
    digest.update(mask.tobytes())
    return digest.hexdigest()[:16]


def _array_in(path: Path) -> np.ndarray:
    """Read the array in a mask file, planes first."""
    check_suffix(path)
    if path.suffix.lower() == ".mat":
        return time_first(pick(read_mat(path), MASK_KEYS, path, "mask"))
    return read_npy(path) if path.suffix.lower() == ".npy" else pick(read_npz(path), MASK_KEYS, path, "mask")
