"""Masks of coded snapshots: read, drawn at random, cut to size, recognised again."""
import hashlib

import numpy as np

from mindrestore.data.mask_file import load_mask
from mindrestore.errors import UserError

__all__ = ["crop_mask", "fingerprint", "load_mask", "random_mask"]


def random_mask(frames, height, width, density=0.5, rng=None):
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


def crop_mask(mask, height, width, top=0, left=0):
    """Cut a mask to size: ``(T, H, W)`` -> ``(T, height, width)``; ``UserError`` where it does not reach."""
    if min(top, left) < 0 or min(height, width) < 1 or top + height > mask.shape[-2] or left + width > mask.shape[-1]:
        raise UserError(f"a mask of {mask.shape[-2]} x {mask.shape[-1]} pixels has no part of {height} x {width} "
                        f"at row {top}, column {left}; give a larger mask or smaller frames.")
    return mask[:, top:top + height, left:left + width]


def fingerprint(mask):
    """16 hexadecimal digits that tell masks apart, the same for equal shapes and equal values as float32."""
    mask = np.ascontiguousarray(mask, "<f4") + np.float32(0)  # turns minus zero into zero
    digest = hashlib.sha256(repr(mask.shape).encode())
    digest.update(mask.tobytes())
    return digest.hexdigest()[:16]
