"""Low quality made from ground truth, frame after frame, so that any folder of frames can be an evaluation.

Bicubic and Gaussian reduction give what the papers' test sets hold, rounded to 8 bits as stored frames are; noise is
added to the frame as it is, neither rounded nor clamped, as the published evaluation does. No published
recipe makes a camera's motion blur: ``blurred`` replaces it, and its scores compare with no published figure.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
from scipy.ndimage import correlate1d

from mindrestore.data.resize import imresize
from mindrestore.errors import UserError
from mindrestore.metrics import to_uint8

GAUSSIAN_SIGMA = 1.6  # of blur-downsampling ("BD"), in pixels
GAUSSIAN_TAPS = 12  # even: the kernel's centre lies between pixels, in the middle of the block that becomes one
BLUR_FRAMES = 5
KINDS = ("bicubic", "gaussian", "noise", "blur")


def degraded(frames: Iterable[np.ndarray], kind: str, scale: int = 4, sigma: float = 0, seed: int = 0) -> Iterator[np.ndarray]:
    """Make low quality of frames.

    Args:
        frames: iterable of (3, H, W), float32 0–1; H and W multiples of ``scale`` where it is reduced.
        kind: ``"bicubic"`` or ``"gaussian"``, reduced by ``scale``; ``"noise"`` of ``sigma``; ``"blur"``.
        scale: factor of the reduction; even for ``"gaussian"``.
        sigma: standard deviation of the noise, for white = 255.
        seed: of the noise, which depends on seed and frame number alone.

    Returns:
        An iterator over as many frames, (3, H / scale, W / scale) or (3, H, W), float32.

    Raises:
        UserError: an unknown kind.
    """
    if kind not in KINDS:
        raise UserError(f"degradation {kind!r}: unknown, choose one of {', '.join(KINDS)}.")
    if kind == "bicubic":
        return (rounded_to_8_bits(imresize(frame, 1 / scale)) for frame in frames)
    if kind == "gaussian":
        return (rounded_to_8_bits(blur_downsampled(frame, scale)) for frame in frames)
    if kind == "noise":
        return (noisy(frame, sigma, seed, number) for number, frame in enumerate(frames))
    return map(rounded_to_8_bits, blurred(frames))


def rounded_to_8_bits(frame: np.ndarray) -> np.ndarray:
    """The frame as an 8-bit file gives it back: rounded and clamped, float32 0–1."""
    return to_uint8(frame) / np.float32(255)


def blur_downsampled(frame: np.ndarray, scale: int = 4) -> np.ndarray:
    """Blur (..., H, W) with a Gaussian of sigma 1.6 and take every ``scale``-th pixel (BD); ``scale`` is even.

    An output pixel lies in the middle of the block that it replaces, as with bicubic. The border is replicated.
    """
    places = np.arange(GAUSSIAN_TAPS) - (GAUSSIAN_TAPS - 1) / 2
    kernel = np.exp(-0.5 * (places / GAUSSIAN_SIGMA) ** 2)
    kernel /= kernel.sum()
    for axis in (-1, -2):
        frame = correlate1d(frame, kernel, axis=axis, mode="nearest")  # an even kernel lies half a pixel to the left
    return frame[..., scale // 2 :: scale, scale // 2 :: scale]


def noisy(frame: np.ndarray, sigma: float, seed: int = 0, number: int = 0) -> np.ndarray:
    """The frame with Gaussian noise of ``sigma`` / 255, decided by seed and frame number; float32, not clamped."""
    return with_noise(frame, sigma / 255, np.random.default_rng([seed, number]))


def with_noise(clip: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """A frame or clip, 0–1, with Gaussian noise of standard deviation ``level``, for white = 1; float32, not clamped."""
    return clip + np.float32(level) * rng.standard_normal(clip.shape, np.float32)


def blurred(frames: Iterable[np.ndarray], count: int = BLUR_FRAMES) -> Iterator[np.ndarray]:
    """The moving average of ``count`` frames, odd, around every frame; the first and the last frame are replicated."""
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        return
    window = [first] * (count // 2 + 1)
    for frame in itertools.chain(frames, [None] * (count // 2)):
        window.append(window[-1] if frame is None else frame)
        if len(window) == count:
            yield np.mean(window, axis=0, dtype=np.float32)
            del window[0]
