"""Masks of coded snapshots: read from files, drawn at random, cut to size, recognised again."""
import hashlib
from pathlib import Path

import numpy as np

from mindrestore.data.mat_file import read_mat
from mindrestore.errors import UserError
from mindrestore.files import existing

MASK_KEYS = ("mask", "masks", "Mask", "MASK", "mask_test", "mask_bayer", "Phi", "phi")


def load_mask(path, frames=None):
    """Read a mask from a file.

    Args:
        path: ``.mat`` (MATLAB v5 or v7.3; ``H x W x T`` under one of ``MASK_KEYS``), ``.npz`` (``T x H x W`` under one of them)
            or ``.npy`` (``T x H x W``).
        frames: keep only the first so many planes, as the real captures do; ``None`` keeps all.

    Returns:
        ``(T, H, W)`` float32. Whole numbers above 1 (a mask stored as 0 and 255) are divided by their largest; calibrated masks
        keep their own values.

    Raises:
        UserError: no such file, not one of these formats, no mask in it, or fewer planes than ``frames``.
    """
    path = existing(path, "mask file")
    mask = _planes_first(path)
    if mask.ndim != 3 or not mask.size or mask.dtype.kind not in "buif":
        raise UserError(f"{path}: the mask must hold numbers with three axes (planes, height, width), got shape {mask.shape}.")
    if mask.dtype.kind in "ui" and mask.max() > 1:
        mask = mask / mask.max()
    mask = np.ascontiguousarray(mask, np.float32)
    if not np.isfinite(mask).all() or mask.min() < 0:
        raise UserError(f"{path}: the mask must hold finite values of 0 or more, got others.")
    if frames is None:
        return mask
    if not 1 <= frames <= len(mask):
        raise UserError(f"{path}: the mask has {len(mask)} planes, {frames} were asked for; give 1 to {len(mask)}.")
    return mask[:frames]


def random_mask(frames, height, width, density=0.5, rng=None):
    """Draw a binary mask, every pixel of every plane open with probability ``density``.

    ``rng`` is a NumPy generator or a seed. Returns ``(T, H, W)`` float32 of 0 and 1; raises ``UserError`` for a size below 1
    or a density outside 0..1.
    """
    if min(frames, height, width) < 1:
        raise UserError(f"a mask needs at least one plane of one pixel, got {frames} x {height} x {width}.")
    if not 0 < density <= 1:
        raise UserError(f"density must lie above 0 and at most at 1, got {density}.")
    rng = np.random.default_rng(rng)
    return (rng.random((frames, height, width), dtype=np.float32) < density).astype(np.float32)


def crop_mask(mask, height, width, top=0, left=0):
    """Cut a mask to ``height`` x ``width``: ``(T, H, W)`` -> ``(T, height, width)``; ``UserError`` if it is too small."""
    if top < 0 or left < 0 or top + height > mask.shape[-2] or left + width > mask.shape[-1]:
        raise UserError(f"a mask of {mask.shape[-2]} x {mask.shape[-1]} pixels has no part of {height} x {width} "
                        f"at row {top}, column {left}; give a larger mask or smaller frames.")
    return mask[:, top:top + height, left:left + width]


def fingerprint(mask):
    """16 hexadecimal digits that tell masks apart: equal for equal shape and float32 values, whatever the dtype."""
    mask = np.ascontiguousarray(mask, "<f4") + np.float32(0)  # minus zero is zero
    digest = hashlib.sha256(repr(mask.shape).encode())
    digest.update(mask.tobytes())
    return digest.hexdigest()[:16]


def _planes_first(path):
    """The array in a mask file as ``(T, H, W)``, unchecked."""
    suffix = Path(path).suffix.lower()
    if suffix == ".mat":
        return np.moveaxis(np.atleast_3d(_named(read_mat(path), path)), -1, 0)
    if suffix not in (".npy", ".npz"):
        raise UserError(f"{path}: a mask file ends in .mat, .npz or .npy, got '{suffix}'.")
    try:
        stored = np.load(path, allow_pickle=False)
        return stored if suffix == ".npy" else np.asarray(_named(dict(stored), path))
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: not a NumPy file that can be read ({error}); save the mask with numpy.save.") from error


def _named(arrays, path):
    for key in MASK_KEYS:
        if key in arrays:
            return arrays[key]
    raise UserError(f"{path}: no mask in it, it holds {', '.join(sorted(arrays)) or 'nothing'}; expected the key 'mask'.")
