"""Training views of a clip: a window at a random scale, mirrored at random. The same for all its frames."""
import math

import cv2
import numpy as np

from mindrestore.errors import UserError


def random_view(clip, height, width, rng, scales=(0.8, 1.2), name="clip"):
    """Cut ``height`` x ``width`` out of a clip that is first scaled by a factor drawn from ``scales``, then mirror it
    left-right and top-bottom, each with probability 0.5: the published augmentation of RevSCI.

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
        raise UserError(f"{name}: frames of {columns} x {rows} pixels are too small for windows of {width} x {height} "
                        f"at a scale of at most {scales[1]}; choose a smaller window.")
    scale = max(rng.uniform(*scales), smallest)
    seen_rows, seen_columns = min(rows, math.ceil(height / scale)), min(columns, math.ceil(width / scale))
    top, left = rng.integers(rows - seen_rows + 1), rng.integers(columns - seen_columns + 1)
    window = clip[..., top:top + seen_rows, left:left + seen_columns]
    return np.ascontiguousarray(_mirrored(_resized(window, height, width), rng))


def _mirrored(clip, rng):
    left_right, top_bottom = rng.random(2) < 0.5
    return clip[..., ::-1 if top_bottom else 1, ::-1 if left_right else 1]


def _resized(clip, height, width):
    """Every frame, by area averaging where it shrinks and bilinearly where it grows."""
    if clip.shape[-2:] == (height, width):
        return clip
    method = cv2.INTER_AREA if clip.shape[-2] >= height else cv2.INTER_LINEAR
    frames = [cv2.resize(frame, (width, height), interpolation=method) for frame in clip.reshape(-1, *clip.shape[-2:])]
    return np.stack(frames).reshape(*clip.shape[:-2], height, width)
