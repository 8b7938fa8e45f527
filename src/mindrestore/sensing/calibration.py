"""Masks that are a little wrong, set right by what the camera measured.

    M'_t(r, c) = light(r, c) M_t(r - down, c - right)

A mask's elements are squares as large as the sensor's pixels, so that a pixel behind one moved by a part of a pixel sees the
neighbours in proportion: the mask, interpolated linearly. The light is a gain that falls off to the corners, also beside the
middle, a + b r + c c + d (r^2 + c^2).

From snapshots of any scene only the movement follows: a clip through the right mask is explained by frames that are smooth,
through another it is not. Light is another matter, as a darker clip explains darker snapshots just as well. A capture of an
evenly white surface tells both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize

from mindrestore.errors import UserError
from mindrestore.sensing.gap_tv import gap_tv
from mindrestore.sensing.operator import SnapshotImaging

REACH = 1.5  # pixels up, down, left and right that are searched
SPACING = 0.5  # pixels between the first guesses; the squared residual falls towards the right place from about as far
PRECISION = 0.01  # pixels
RESOLVED = 0.02  # transmission
ITERATIONS = 20  # of GAP-TV, after which its residual tells masks apart
SIDE = 96  # pixels of the part of a snapshot that is reconstructed again and again
BORDER = 4  # pixels along the edges, behind which a moved mask is not known
DEEP = 0.5  # of the median squared residual of all guesses, what the best one must leave; through the right mask 0.04
UNEVEN = 0.15  # of the mean of a white capture, mean residual above which it is not of a white surface
LEAST_CONTRAST = 0.01  # of the mask's sum, standard deviation over mean, to see it move by
EVEN = (1.0, 0.0, 0.0, 0.0)  # light that is as thought everywhere

Shift = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Calibration:
    """What is wrong with a mask.

    Attributes:
        shift: (down, right), pixels that the real mask lies from the given one.
        light: a, b, c, d of the light, by height and width over half the diagonal, from the middle on.
        before, after: mean ``|y - sum M x|`` a pixel with the given and with the corrected mask, in units of one frame's white.
    """

    shift: Shift
    light: tuple[float, float, float, float]
    before: float
    after: float

    def lines(self, height: int, width: int) -> list[str]:
        """Return sentences that say it of a mask of this size to a reader."""
        down, right = self.shift
        said = [
            f"The real mask lies {abs(down):.2f} pixels {'below' if down >= 0 else 'above'} and {abs(right):.2f} to the "
            f"{'right' if right >= 0 else 'left'} of the given one."
        ]
        if max(abs(down), abs(right)) > REACH:
            said.append(f"That is further than the {REACH:g} pixels that are searched: it may be wrong.")
        if self.light != EVEN:
            light = self.light_on(height, width)
            corners = light[:: height - 1, :: width - 1]
            said.append(
                f"Light: {light[height // 2, width // 2]:.3f} of what was thought in the middle, {corners.min():.3f} "
                f"to {corners.max():.3f} in the corners."
            )
        return said + [
            f"Unexplained, |y - sum M x| a pixel for white = 255: {255 * self.before:.2f} through the given mask, "
            f"{255 * self.after:.2f} through the corrected one."
        ]

    def correct(self, mask: np.ndarray) -> np.ndarray:
        """Return the real mask ``(T, H, W)`` float32 of the given one; what was moved in from outside repeats the edge.

        Transmissions of less than ``RESOLVED`` are 0: they come of a shift that is a hundredth of a pixel off, and a pixel
        that is nearly closed in all planes would have its noise divided by next to nothing.
        """
        real = moved(mask, self.shift) * self.light_on(*mask.shape[1:])
        return np.where(real < RESOLVED, np.float32(0), real)

    def light_on(self, height: int, width: int) -> np.ndarray:
        """Return the light at every pixel, ``(H, W)`` float32, 1 being that of the given mask."""
        return np.tensordot(np.float32(self.light), _light_basis(height, width), 1)


def moved(mask: np.ndarray, shift: Shift) -> np.ndarray:
    """Move the planes of ``(T, H, W)`` by (down, right) pixels or parts of them."""
    return ndimage.shift(np.asarray(mask, np.float32), (0, *shift), order=1, mode="nearest", prefilter=False)


def calibrate_on_scene(mask: np.ndarray, measurement: np.ndarray, colour: bool = False) -> Calibration:
    """Find how far a mask lies from where it is thought to, from a snapshot of anything.

    The middle of the snapshot is reconstructed through masks moved by up to ``REACH`` pixels; the one that leaves least of it
    unexplained is right.

    Args:
        mask: ``(T, H, W)``.
        measurement: ``(H, W)``, in units of one frame's white.
        colour: measured behind an RGGB Bayer filter.

    Raises:
        UserError: shapes that do not fit, fewer than 16 x 16 pixels, or a snapshot that does not tell.
    """
    mask, measurement = _checked(mask, measurement)
    part = tuple(
        slice(start := (size - min(size, SIDE)) // 2 // 2 * 2, start + min(size, SIDE))  # even: the Bayer filter's
        for size in measurement.shape
    )
    seen = measurement[part]

    def unexplained(shift: Shift) -> np.ndarray:
        """Return |y - sum M x|, without the border."""
        trial = moved(mask, shift)[(slice(None), *part)]
        clip = gap_tv(seen, trial, ITERATIONS, colour=colour)
        return _inside(SnapshotImaging(trial, colour).residual(clip, seen))

    shift, depth = _best_shift(lambda shift: float((unexplained(shift) ** 2).mean()))
    if not depth < DEEP:
        raise UserError(
            "the snapshot is explained about as well wherever the mask lies, as a dark or noisy one is, or one "
            "through another mask; take one of something bright, or of an evenly white surface."
        )
    return Calibration(shift, EVEN, float(unexplained((0.0, 0.0)).mean()), float(unexplained(shift).mean()))


def calibrate_on_white(mask: np.ndarray, measurement: np.ndarray, level: float = 1.0) -> Calibration:
    """Find shift, gain and vignetting of a mask from a snapshot of an evenly bright surface at rest.

    Args:
        mask: ``(T, H, W)``.
        measurement: ``(H, W)``, in units of one frame's white.
        level: brightness of the surface, white being 1.

    Raises:
        UserError: shapes that do not fit, fewer than 16 x 16 pixels, a level not above 0, a dark or uneven capture, or a mask
            whose sum is even, which shows no movement.
    """
    mask, measurement = _checked(mask, measurement)
    if not level > 0:
        raise UserError(f"level, the surface's brightness, must be above 0, got {level}.")
    if not measurement.mean() > 0:
        raise UserError("the calibration capture is dark; take one of an evenly lit white surface.")
    total = mask.sum(0)
    if total.std() < LEAST_CONTRAST * total.mean():
        raise UserError(
            "the planes of this mask add up to the same at every pixel, so that an even surface does not show "
            "where it lies; calibrate it on a scene."
        )
    basis = _light_basis(*measurement.shape)

    def fitted(shift: Shift) -> tuple[np.ndarray, np.ndarray]:
        """Return a, b, c, d of the light, and |y - light sum M| ``(H, W)``."""
        terms = level * basis * moved(total[None], shift)
        light = np.linalg.lstsq(_inside(terms).reshape(len(terms), -1).T, _inside(measurement).ravel(), rcond=None)[0]
        return light, np.abs(measurement - np.tensordot(light, terms, 1))

    shift, _ = _best_shift(lambda shift: float((_inside(fitted(shift)[1]) ** 2).mean()))
    light, residual = fitted(shift)
    if _inside(residual).mean() > UNEVEN * measurement.mean():
        raise UserError(
            f"{_inside(residual).mean() / measurement.mean():.0%} of the calibration capture is not what an even "
            "surface shows through any such mask; take one of an evenly lit white surface, through this mask."
        )
    given = np.abs(measurement - level * total)
    return Calibration(shift, tuple(light.tolist()), float(_inside(given).mean()), float(_inside(residual).mean()))


def _best_shift(unexplained: Callable[[Shift], float]) -> tuple[Shift, float]:
    """Return the shift that leaves least, the best of a grid of guesses, refined; and what it leaves over their median."""
    guesses = np.arange(-REACH, REACH + SPACING / 2, SPACING)
    left = {(down, right): unexplained((down, right)) for down in guesses for right in guesses}
    start = min(left, key=left.get)
    corners = np.add(start, SPACING / 2 * np.array([[0, 0], [1, 0.2], [-0.2, 1]]))  # askew of the creases at whole pixels
    found = optimize.minimize(
        unexplained,
        start,
        method="Nelder-Mead",
        options=dict(initial_simplex=corners, xatol=PRECISION, fatol=np.inf, maxfev=60),
    )
    usual = float(np.median(list(left.values())))
    return tuple(np.asarray(found.x, float).round(3).tolist()), float(found.fun) / usual if usual else 1.0


def _light_basis(height: int, width: int) -> np.ndarray:
    """Return 1, r, c and r^2 + c^2 at every pixel, ``(4, H, W)`` float32, the corners being 1 away from the middle."""
    half = np.hypot(height, width) / 2
    rows, columns = (np.arange(size, dtype=np.float32) - (size - 1) / 2 for size in (height, width))
    r, c = np.meshgrid(rows / half, columns / half, indexing="ij")
    return np.stack([np.ones_like(r), r, c, r**2 + c**2]).astype(np.float32)


def _inside(image: np.ndarray) -> np.ndarray:
    return image[..., BORDER:-BORDER, BORDER:-BORDER]


def _checked(mask: np.ndarray, measurement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mask, measurement = np.asarray(mask, np.float32), np.asarray(measurement, np.float32)
    if mask.ndim != 3 or measurement.shape != mask.shape[1:] or min(measurement.shape) < 16:
        raise UserError(
            f"calibration takes a mask (T, H, W) and a snapshot (H, W) of at least 16 x 16 pixels, got "
            f"{mask.shape} and {measurement.shape}."
        )
    return mask, measurement
