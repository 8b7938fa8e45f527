"""Bicubic resizing as MATLAB's ``imresize`` does it, antialiased: what "bicubic" means in super-resolution papers.

The kernel is Keys' cubic convolution with a = -1/2 (IEEE Trans. ASSP 1981, equation 15). Where an axis shrinks the
kernel is widened by the factor, so that it also filters; at the borders the image is mirrored, its edge pixel repeated.
OpenCV's and Pillow's bicubic differ in one of the three.
"""

import math
from fractions import Fraction

import numpy as np

from mindrestore.errors import UserError

KERNEL_WIDTH = 4


def imresize(image: np.ndarray, scale: float) -> np.ndarray:
    """Resize the last two axes.

    Args:
        image: (..., H, W), any real dtype.
        scale: above 0, such as 4 or 1/4.

    Returns:
        (..., ceil(scale H), ceil(scale W)), float32 unless ``image`` is float64. Values may overshoot those of the
        image, as a cubic's do: rounding to 8 bits clamps.

    Raises:
        UserError: a scale that is not above 0.
    """
    if not scale > 0:
        raise UserError(f"scale must be above 0, got {scale}.")
    image = np.asarray(image)
    image = image if image.dtype == np.float64 else image.astype(np.float32)
    return _along_rows(_along_rows(image.swapaxes(-1, -2), scale).swapaxes(-1, -2), scale)


def cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel at distances ``x``, zero from 2 on."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def contributions(length: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The weighted sum of inputs that each output of an axis is.

    Args:
        length: inputs of the axis.
        scale: outputs / inputs, as for ``imresize``.

    Returns:
        (weights, places), both (outputs, taps): float64 rows that sum to 1, and the indices of their inputs.
    """
    outputs = math.ceil(Fraction(scale).limit_denominator(10**6) * length)
    stretch = max(1.0, 1 / scale)
    centres = (np.arange(outputs) + 0.5) / scale - 0.5
    first = np.floor(centres - KERNEL_WIDTH * stretch / 2).astype(int)
    places = first[:, None] + np.arange(math.ceil(KERNEL_WIDTH * stretch) + 2)
    weights = cubic((centres[:, None] - places) / stretch)
    weights /= weights.sum(1, keepdims=True)
    mirrored = places % (2 * length)
    mirrored = np.where(mirrored < length, mirrored, 2 * length - 1 - mirrored)
    used = weights.any(0)
    return weights[:, used], mirrored[:, used]


def _along_rows(image: np.ndarray, scale: float) -> np.ndarray:
    """Resize the last axis."""
    weights, places = contributions(image.shape[-1], scale)
    weights = weights.astype(image.dtype)
    resized = np.zeros((*image.shape[:-1], len(weights)), image.dtype)
    for tap in range(weights.shape[1]):
        resized += weights[:, tap] * image[..., places[:, tap]]
    return resized
