"""PSNR and SSIM as the video restoration papers compute them.

Images are ``(..., H, W)``; with ``channel_axis`` they have channels too. Leading axes (frames, scenes) are scored one
by one and averaged, so a clip ``(T, H, W)``, or ``(3, T, H, W)`` with ``channel_axis=0``, gives the mean over its
frames. Snapshot imaging scores floats as they are, clamped; VRT scores frames rounded to 8 bits, and for some sets only
their luma:

    psnr(estimate, clip)                                                # RevSCI, grey
    psnr(to_uint8(frame), to_uint8(reference), channel_axis=0)          # VRT, RGB
    psnr(to_y(to_uint8(frame), 0), to_y(to_uint8(reference), 0), peak=255)  # VRT, Y
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from skimage.metrics import structural_similarity

from mindrestore.errors import UserError

_SSIM_WINDOW, _SSIM_SIGMA = 11, 1.5


def psnr(
    estimate: np.ndarray, reference: np.ndarray, peak: float | None = None, border: int = 0, channel_axis: int | None = None
) -> float:
    """Peak signal-to-noise ratio in dB, the mean over all leading axes.

    Args:
        estimate, reference: arrays of one shape, ``(..., H, W)`` with channels where ``channel_axis`` says.
        peak: the value of white; ``None``: 255 for uint8, otherwise 1. The estimate is clamped to 0..peak first.
        border: pixels dropped on every side.
        channel_axis: axis of the channels, whose squared errors are averaged; ``None``: there is none.

    Returns:
        A float. An image that equals its reference has an infinite PSNR and is left out of the mean; ``inf`` where all do.

    Raises:
        UserError: shapes differ, or nothing is left inside the border.
    """
    estimate, reference, peak = _prepared(estimate, reference, peak, border=border, channel_axis=channel_axis)
    errors = np.mean((estimate - reference) ** 2, axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return finite_mean(10 * np.log10(peak**2 / errors))


def finite_mean(values: Iterable[float]) -> float:
    """Return the mean of those ``values`` that are no infinite PSNR, infinity if there are none of these.

    An image that equals its reference would make the mean of all others infinite.
    """
    values = np.fromiter(values, np.float64)
    differing = values[values != np.inf]
    return float(np.mean(differing if differing.size else values))


def ssim(
    estimate: np.ndarray, reference: np.ndarray, peak: float | None = None, border: int = 0, channel_axis: int | None = None
) -> float:
    """Structural similarity (Wang et al., IEEE Trans. Image Processing 2004), the mean over channels and all leading
    axes.

    The window is an 11 x 11 Gaussian of sigma 1.5, and only places where it fits wholly inside the image count.
    Arguments and errors are those of ``psnr``; 11 pixels a side must be left inside the border. Returns a float.
    """
    estimate, reference, peak = _prepared(estimate, reference, peak, border=border, channel_axis=channel_axis)
    if min(estimate.shape[-2:]) < _SSIM_WINDOW:
        raise UserError(
            f"ssim needs images of at least {_SSIM_WINDOW} x {_SSIM_WINDOW} pixels inside the border, "
            f"got {estimate.shape[-2]} x {estimate.shape[-1]}."
        )
    return float(np.mean([_similarity(*pair, peak) for pair in zip(estimate, reference)]))


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Clamp an image of 0..1 and round it to 8 bits, as the published VRT scores do; uint8 stays as it is."""
    image = np.asarray(image)
    return image if image.dtype == np.uint8 else np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def to_y(image: np.ndarray, channel_axis: int = -1) -> np.ndarray:
    """Luma of ITU-R BT.601, 16..235, of an RGB image with values 0..255; float64, the channel axis gone.

    Raises ``UserError`` unless that axis has three channels.
    """
    image = np.asarray(image)
    if image.shape[channel_axis] != 3:
        raise UserError(f"to_y needs three channels on axis {channel_axis}, got an image of shape {image.shape}.")
    red, green, blue = np.moveaxis(image.astype(np.float64), channel_axis, 0)
    return 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255


def _prepared(
    estimate: np.ndarray, reference: np.ndarray, peak: float | None, border: int, channel_axis: int | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return estimate, clamped, and reference as float64 ``(images, channels, H, W)`` without border; and the peak."""
    estimate, reference = np.asarray(estimate), np.asarray(reference)
    if estimate.shape != reference.shape:
        raise UserError(f"estimate and reference must have one shape, got {estimate.shape} and {reference.shape}.")
    if estimate.ndim < (2 if channel_axis is None else 3):
        raise UserError(f"images have shape (..., H, W), and channels where channel_axis says, got {estimate.shape}.")
    peak = peak or (255.0 if reference.dtype == np.uint8 else 1.0)
    estimate, reference = _by_image(estimate, channel_axis), _by_image(reference, channel_axis)
    if border < 0 or min(estimate.shape[-2:]) <= 2 * border:
        raise UserError(
            f"border must be 0 or more and leave some of the {estimate.shape[-2]} x {estimate.shape[-1]} pixels, got {border}."
        )
    inside = slice(border, -border or None)
    estimate, reference = (images[..., inside, inside].astype(np.float64) for images in (estimate, reference))
    return np.clip(estimate, 0, peak), reference, peak


def _by_image(images: np.ndarray, channel_axis: int | None) -> np.ndarray:
    """``(..., H, W)`` with channels at ``channel_axis``, or nowhere -> ``(images, channels, H, W)``."""
    if channel_axis is None:
        images = images[..., None, :, :]
    else:
        images = np.moveaxis(np.moveaxis(images, channel_axis, 0), 0, -3)  # by way of (channels, ..., H, W)
    return images.reshape(-1, *images.shape[-3:])


def _similarity(image: np.ndarray, reference: np.ndarray, peak: float) -> float:
    """Mean structural similarity of two ``(channels, H, W)``."""
    return structural_similarity(
        image, reference, data_range=peak, channel_axis=0, gaussian_weights=True, sigma=_SSIM_SIGMA, use_sample_covariance=False
    )
