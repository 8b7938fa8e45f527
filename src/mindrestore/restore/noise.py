"""How noisy a clip is: the median rule of Donoho and Johnstone (1994) on the finest diagonal wavelet coefficients.

scikit-image's ``estimate_sigma`` is the same rule, needs PyWavelets for it, and takes what is clipped to black or white for
calm.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

HIGH_PASS = np.array([1 - math.sqrt(3), -(3 - math.sqrt(3)), 3 + math.sqrt(3), -(1 + math.sqrt(3))]) / (4 * math.sqrt(2))
"""Of the Daubechies wavelet with two vanishing moments; of norm 1, so that it keeps the deviation of white noise."""
TO_DEVIATION = 1 / 0.6745  # from the median of a normal distribution's absolute values
WHITE = 255
LEAST_SHARE = 0.05  # of a frame, away from black and white, that speaks for all of it


def noise_level(frames: Iterable[np.ndarray]) -> float:
    """Estimate the standard deviation of white noise, for white = 255: the median over frames of the mean over channels.

    frames: iterable of (3, H, W), 0–1; one at least.
    """
    return float(np.median([np.mean([_deviation(plane) for plane in frame]) for frame in frames]))


def _deviation(plane: np.ndarray) -> float:
    plane = np.ascontiguousarray(plane, np.float32)
    detail = np.abs(cv2.sepFilter2D(plane, cv2.CV_32F, HIGH_PASS, HIGH_PASS))
    clipped = cv2.dilate(np.uint8((plane <= 0) | (plane >= 1)), np.ones(2 * HIGH_PASS.shape))  # noise is cut off there
    telling = detail[clipped == 0]
    if telling.size < LEAST_SHARE * detail.size:
        telling = detail
    return WHITE * TO_DEVIATION * float(np.median(telling))
