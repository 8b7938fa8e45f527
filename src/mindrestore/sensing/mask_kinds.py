"""Kinds of masks that cameras have, drawn at random.

random    every pixel of every plane open or closed by itself: a mirror array or a liquid crystal that is switched
shifted   one such plane, moved left by a pixel from frame to frame: a printed mask on a stage
grey      every pixel of every plane lets any part of the light through
"""

from __future__ import annotations

import numpy as np

from mindrestore.errors import UserError
from mindrestore.sensing.masks import check_drawing, random_mask

KINDS = ("random", "shifted", "grey")


def draw_mask(
    kind: str, frames: int, height: int, width: int, density: float = 0.5, rng: np.random.Generator | int | None = None
) -> np.ndarray:
    """Draw a mask of one of ``KINDS``.

    Args:
        kind: what it is like, see above.
        frames, height, width: of the mask.
        density: the mean transmission, above 0 and at most 1.
        rng: NumPy generator or seed.

    Returns:
        ``(T, H, W)`` float32 of 0..1; grey values are evenly spread at density 0.5, and leant by a power to another.

    Raises:
        UserError: no such kind, a size below 1, or a density out of range.
    """
    check_kind(kind)
    rng = np.random.default_rng(rng)
    if kind == "random":
        return random_mask(frames, height, width, density, rng=rng)
    check_drawing(frames, height, width, density)
    if kind == "shifted":
        strip = random_mask(1, height, width + frames - 1, density, rng=rng)[0]
        return np.stack([strip[:, start : start + width] for start in range(frames)])
    return rng.random((frames, height, width), dtype=np.float32) ** np.float32(1 / density - 1)  # E u^p = 1 / (p + 1)


def check_kind(kind: str) -> None:
    """Raise ``UserError`` if there is no such kind of mask."""
    if kind not in KINDS:
        raise UserError(f"'{kind}': no such kind of mask; masks that are drawn are {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
