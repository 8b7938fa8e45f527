"""Training views of a clip, the same for all its frames.

    scaled     ours: a part at nearly its own size, its sides kept in proportion
    stretched  published for simulated snapshots: a part of any height and width, stretched to the window
    whole      published for a camera's captures: the whole frame, stretched to the window

Published: by the toolbox that reproduces RevSCI. The paper's own code prepared its clips beforehand.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from mindrestore.errors import UserError

SCALES = (0.8, 1.2)


def scaled_view(
    clip: np.ndarray,
    height: int,
    width: int,
    rng: np.random.Generator,
    name: str = "clip",
    scales: tuple[float, float] = SCALES,
) -> np.ndarray:
    """Cut ``height`` x ``width`` out of a clip that is first scaled by a factor drawn from ``scales``, then mirror it
    left-right and top-bottom, each with probability 0.5.

    A clip too small for the factor drawn is scaled as much as it needs, up to the largest.

    Args:
        clip: ``(..., T, H, W)`` float32 in 0..1.
        rng: NumPy generator.
        name: of the clip, for errors.

    Returns:
        ``(..., T, height, width)`` float32 in 0..1, contiguous.

    Raises:
        UserError: the clip is too small even at the largest scale.
    """
    rows, columns = clip.shape[-2:]
    smallest = max(height / rows, width / columns)
    if smallest > scales[1]:
        raise UserError(
            f"{name}: frames of {columns} x {rows} pixels are too small for windows of {width} x {height} "
            f"at a scale of at most {scales[1]}; choose a smaller window."
        )
    scale = max(rng.uniform(*scales), smallest)
    seen_rows, seen_columns = min(rows, math.ceil(height / scale)), min(columns, math.ceil(width / scale))
    top, left = rng.integers(rows - seen_rows + 1), rng.integers(columns - seen_columns + 1)
    window = clip[..., top : top + seen_rows, left : left + seen_columns]
    method = cv2.INTER_AREA if seen_rows >= height else cv2.INTER_LINEAR
    left_right, top_bottom = rng.random(2) < 0.5
    return _mirrored(_resized(window, height, width, method), left_right, top_bottom)


def stretched_view(clip: np.ndarray, height: int, width: int, rng: np.random.Generator, name: str = "clip") -> np.ndarray:
    """With probability 0.5 scale a clip by 0.8 to 1.2; with probability 0.5 cut a part out, its height and width drawn each by
    itself, from half of the window's side to nearly the clip's; stretch to ``height`` x ``width``; with probability 0.5 mirror
    left-right; with probability 0.5 turn upside down (mirror both ways). All resizing is bilinear.

    Arguments and result as for ``scaled_view``; no clip is too small.
    """
    if rng.random() < 0.5:
        scale = rng.uniform(*SCALES)
        clip = _resized(clip, *(max(1, round(scale * extent)) for extent in clip.shape[-2:]))
    if rng.random() < 0.5:
        (top, bottom), (left, right) = (
            _random_range(extent, side // 2, rng) for extent, side in zip(clip.shape[-2:], (height, width))
        )
        clip = clip[..., top:bottom, left:right]
    left_right, turned = rng.random(2) < 0.5
    return _mirrored(_resized(clip, height, width), left_right ^ turned, turned)


def whole_view(clip: np.ndarray, height: int, width: int, rng: np.random.Generator, name: str = "clip") -> np.ndarray:
    """Stretch the whole frames to ``height`` x ``width``, bilinearly, and with probability 0.5 mirror them left-right.

    Arguments and result as for ``scaled_view``; no clip is too small.
    """
    return _mirrored(_resized(clip, height, width), rng.random() < 0.5, False)


VIEWS = {"scaled": scaled_view, "stretched": stretched_view, "whole": whole_view}


def _random_range(extent: int, least: int, rng: np.random.Generator) -> tuple[int, int]:
    """Begin and end of a random range of ``least`` to ``extent`` - 1 out of ``extent`` pixels; all if ``least`` is more."""
    length = int(rng.integers(least, extent)) if least < extent else extent
    first = int(rng.integers(extent - length + 1))
    return first, first + length


def _mirrored(clip: np.ndarray, left_right: bool, top_bottom: bool) -> np.ndarray:
    return np.ascontiguousarray(clip[..., :: -1 if top_bottom else 1, :: -1 if left_right else 1])


def _resized(clip: np.ndarray, height: int, width: int, method: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Resize every frame to (height, width); ``method`` is OpenCV's interpolation."""
    if clip.shape[-2:] == (height, width):
        return clip
    frames = [cv2.resize(frame, (width, height), interpolation=method) for frame in clip.reshape(-1, *clip.shape[-2:])]
    return np.stack(frames).reshape(*clip.shape[:-2], height, width)
