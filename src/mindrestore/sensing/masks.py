"""Masks of coded snapshots: read from files, drawn at random, cropped, fingerprinted."""
from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing
from mindrestore.mat_files import pick, read_mat, time_first
from mindrestore.readers.numpy_files import read_npy, read_npz
from mindrestore.sensing.values import as_mask

MASK_KEYS = ("mask", "masks", "Mask", "MASK", "mask_test", "Phi", "phi")


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


def random_mask(frames: int, height: int, width: int, density: float = 0.5,
                rng: np.random.Generator | int | None = None) -> np.ndarray:
    """Draw a binary mask, every pixel of every plane open with probability ``density``.

    ``rng`` is a NumPy generator or a seed. Returns ``(T, H, W)`` float32 of 0 and 1; raises ``UserError`` for a size
    below 1 or a density outside 0..1.
    """
    if min(frames, height, width) < 1:
        raise UserError(f"a mask needs at least one plane of one pixel, got {frames} x {height} x {width}.")
    if not 0 < density <= 1:
        raise UserError(f"density must lie above 0 and at most at 1, got {density}.")
    rng = np.random.default_rng(rng)
    return (rng.random((frames, height, width), dtype=np.float32) < density).astype(np.float32)


def crop_mask(mask: np.ndarray, height: int, width: int, top: int = 0, left: int = 0) -> np.ndarray:
    """Crop a mask: ``(T, H, W)`` -> ``(T, height, width)``; raises ``UserError`` if it is too small."""
    if min(top, left) < 0 or min(height, width) < 1 or top + height > mask.shape[-2] or left + width > mask.shape[-1]:
        raise UserError(f"a mask of {mask.shape[-2]} x {mask.shape[-1]} pixels has no part of {height} x {width} "
                        f"at row {top}, column {left}; give a larger mask or smaller frames.")
    return mask[:, top:top + height, left:left + width]


def fingerprint(mask: np.ndarray) -> str:
    """Return 16 hexadecimal digits that identify a mask by its shape and its values as float32."""
    mask = np.ascontiguousarray(mask, "<f4") + np.float32(0)  # turns minus zero into zero
    digest = hashlib.sha256(repr(mask.shape).encode())
    digest.update(mask.tobytes())
    return digest.hexdigest()[:16]


def _array_in(path: Path) -> np.ndarray:
    """Read the array in a mask file, planes first."""
    suffix = path.suffix.lower()
    if suffix == ".mat":
        return time_first(pick(read_mat(path), MASK_KEYS, path, "mask"))
    if suffix not in (".npy", ".npz"):
        raise UserError(f"{path}: a mask file ends in .mat, .npz or .npy, got '{suffix}'.")
    return read_npy(path) if suffix == ".npy" else pick(read_npz(path), MASK_KEYS, path, "mask")
