"""Low quality made from ground truth, frame after frame, so that any folder of frames can be an evaluation.

Bicubic and Gaussian reduction give what the papers' test sets hold, rounded to 8 bits as stored frames are; noise is
added to the frame as it is, neither rounded nor clamped, as the published evaluation does. A camera's motion blur has
no recipe: ``blurred`` stands in for it and compares with no published figure.
"""
import itertools

import numpy as np
from scipy.ndimage import correlate1d

from mindrestore.data.resize import imresize
from mindrestore.errors import UserError
from mindrestore.metrics import to_uint8

GAUSSIAN_SIGMA = 1.6  # of blur-downsampling ("BD"), in pixels
GAUSSIAN_TAPS = 12  # even: the kernel's centre lies between pixels, in the middle of the block that becomes one
BLUR_FRAMES = 5
KINDS = ("bicubic", "gaussian", "noise", "blur")


def degraded(frames, kind, scale=4, sigma=0, seed=0):
    """Make low quality of frames.

    Args:
        frames: iterable of (3, H, W), float32 0–1; H and W multiples of ``scale`` where it is reduced.
        kind: ``"bicubic"`` or ``"gaussian"``, reduced by ``scale``; ``"noise"`` of ``sigma``; ``"blur"``.
        scale: of the reduction.
        sigma: standard deviation of the noise, for white = 255.
        seed: of the noise; it and the frame's number decide, whatever was read before.

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


def rounded_to_8_bits(frame):
    """The frame as an 8-bit file gives it back: rounded and clamped, float32 0–1."""
    return to_uint8(frame) / np.float32(255)


def blur_downsampled(frame, scale=4):
    """Blur (..., H, W) with a Gaussian of sigma 1.6 and take every ``scale``-th pixel (BD); ``scale`` is even.

    The outputs lie in the middle of the blocks of pixels they stand for, as with bicubic. Outside the frame its edge
    goes on.
    """
    places = np.arange(GAUSSIAN_TAPS) - (GAUSSIAN_TAPS - 1) / 2
    kernel = np.exp(-0.5 * (places / GAUSSIAN_SIGMA) ** 2)
    kernel /= kernel.sum()
    for axis in (-1, -2):
        frame = correlate1d(frame, kernel, axis=axis, mode="nearest")  # an even kernel lies half a pixel to the left
    return frame[..., scale // 2::scale, scale // 2::scale]


def noisy(frame, sigma, seed=0, number=0):
    """The frame with Gaussian noise of ``sigma`` / 255, decided by seed and frame number; float32, not clamped."""
    return with_noise(frame, sigma / 255, np.random.default_rng([seed, number]))


def with_noise(clip, level, rng):
    """A frame or clip, 0–1, with Gaussian noise of standard deviation ``level``, for white = 1; float32, not clamped."""
    return clip + np.float32(level) * rng.standard_normal(clip.shape, np.float32)


def blurred(frames, count=BLUR_FRAMES):
    """The mean of ``count`` frames, odd, around every frame; the first and last stand for what lies beyond them."""
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        return
    held = [first] * (count // 2 + 1)
    for frame in itertools.chain(frames, [None] * (count // 2)):
        held.append(held[-1] if frame is None else frame)
        if len(held) == count:
            yield np.mean(held, axis=0, dtype=np.float32)
            del held[0]
