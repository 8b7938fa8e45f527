"""Snapshot compressive imaging as a linear operator with an adjoint.

    y = sum_t M_t * x_t                       grey
    y = sum_t M_t * mosaic(x_t)               colour, mosaic = RGGB Bayer filter

A clip x of T frames of 0..1, seen through a mask M of T planes, becomes one measurement y; T is the compression ratio.
"""

from __future__ import annotations

import numpy as np

from mindrestore.errors import UserError
from mindrestore.sensing.bayer import mosaic, spread


class SnapshotImaging:
    """The camera that one mask makes: ``A`` measures a clip, ``A_adjoint`` is its transpose.

    >>> camera = SnapshotImaging(random_mask(8, 256, 256, rng=0))
    >>> camera.A(clip).shape                  # clip (8, 256, 256)
    (256, 256)

    Args:
        mask: ``(T, H, W)``, the transmission of each pixel in each frame: 0 or 1, or fractions for a calibrated mask.
        colour: clips are RGB, ``(..., 3, T, H, W)``, behind a Bayer filter; otherwise grey, ``(..., T, H, W)``.

    Attributes:
        mask: float32 ``(T, H, W)``.
        mask_sum: float32 ``(H, W)``, the sum over the planes, with 1 where no plane ever opens.

    Raises:
        UserError: the mask does not have three axes, or has values that are negative or not finite.
    """

    def __init__(self, mask: np.ndarray, colour: bool = False) -> None:
        self.mask = np.ascontiguousarray(mask, np.float32)
        self.colour = bool(colour)
        if self.mask.ndim != 3 or not self.mask.size:
            raise UserError(f"mask must have shape (T, H, W), got {self.mask.shape}.")
        if not np.isfinite(self.mask).all() or self.mask.min() < 0:
            raise UserError("mask must hold finite values of 0 or more, got others.")
        total = self.mask.sum(axis=0)
        self.mask_sum = np.where(total == 0, np.float32(1), total)
        power = np.square(self.mask).sum(axis=0)
        self._power = np.where(power == 0, np.float32(1), power)  # of A A^T, which is diagonal

    @property
    def full_scale(self) -> float:
        """The largest value that a measurement of a clip in 0..1 can take."""
        return float(self.mask.sum(axis=0).max())

    def A(self, clip: np.ndarray) -> np.ndarray:
        """Measure: ``(..., T, H, W)``, colour ``(..., 3, T, H, W)`` -> ``(..., H, W)`` float32."""
        clip = self._checked_clip(clip)
        frames = mosaic(clip) if self.colour else clip
        return np.einsum("thw,...thw->...hw", self.mask, frames)

    def A_adjoint(self, measurement: np.ndarray) -> np.ndarray:
        """The transpose of ``A``: ``(..., H, W)`` -> ``(..., T, H, W)``, colour ``(..., 3, T, H, W)``, float32."""
        frames = self._checked_measurement(measurement)[..., None, :, :] * self.mask
        return spread(frames) if self.colour else frames

    def measure(
        self, clip: np.ndarray, read_noise: float = 0.0, bits: int | None = None, rng: np.random.Generator | int | None = None
    ) -> np.ndarray:
        """Measure as a sensor does: ``A``, then Gaussian read noise, then quantisation.

        Args:
            clip: as for ``A``, values 0..1.
            read_noise: standard deviation of the noise, in units of one frame's white (a measurement reaches
                ``full_scale`` such units).
            bits: of the converter, 1 to 16, its range 0..``full_scale``; ``None`` keeps the exact values.
            rng: NumPy generator or seed of the noise; needed only with ``read_noise``.

        Returns:
            ``(..., H, W)`` float32.

        Raises:
            UserError: the clip's shape does not fit the mask, or a setting is out of range.
        """
        if not (np.isfinite(read_noise) and read_noise >= 0):
            raise UserError(f"read_noise must be 0 or more, got {read_noise}.")
        if bits is not None and (bits != int(bits) or not 1 <= bits <= 16):
            raise UserError(f"bits must be a whole number from 1 to 16, got {bits}.")
        measurement = self.A(clip)
        if read_noise:
            noise = np.random.default_rng(rng).standard_normal(measurement.shape, dtype=np.float32)
            measurement = measurement + np.float32(read_noise) * noise
        if bits is not None:
            step = np.float32(self.full_scale / (2 ** int(bits) - 1))
            measurement = np.clip(np.rint(measurement / step), 0, 2 ** int(bits) - 1) * step
        return measurement

    def normalised(self, measurement: np.ndarray) -> np.ndarray:
        """Return y / mask_sum, the mean of the open frames: ``(..., H, W)`` -> ``(..., H, W)``, about 0..1."""
        return self._checked_measurement(measurement) / self.mask_sum

    def residual(self, estimate: np.ndarray, measurement: np.ndarray) -> np.ndarray:
        """Return |y - A x|, what an estimate leaves of the measurement unexplained: ``(..., H, W)`` float32, in its units.

        Where it is large the estimate is wrong. Where it is small it may be wrong too: many clips have the same measurement.
        """
        return np.abs(self._checked_measurement(measurement) - self.A(estimate))

    def back_projected_residual(self, estimate: np.ndarray, measurement: np.ndarray) -> np.ndarray:
        """Return the residual of an estimate, back-projected to the clip: M * (y - A x) / sum_t M_t^2.

        Adding it to the estimate makes ``A`` of the estimate equal the measurement. With a binary mask the divisor is mask_sum.

        Args:
            estimate: ``(..., T, H, W)``, colour ``(..., 3, T, H, W)``.
            measurement: ``(..., H, W)``.

        Returns:
            The estimate's shape, float32; colour: zero away from the mosaic's own sites.
        """
        return self.A_adjoint((self._checked_measurement(measurement) - self.A(estimate)) / self._power)

    def _checked_clip(self, clip: np.ndarray) -> np.ndarray:
        clip = np.asarray(clip, np.float32)
        expected = ((3,) if self.colour else ()) + self.mask.shape
        if clip.shape[-len(expected) :] != expected:
            form = "colour clips have shape (..., 3, T, H, W)" if self.colour else "clips have shape (..., T, H, W)"
            raise UserError(f"{form}, here ending in {expected} to fit the mask, got {clip.shape}.")
        return clip

    def _checked_measurement(self, measurement: np.ndarray) -> np.ndarray:
        measurement = np.asarray(measurement, np.float32)
        if measurement.shape[-2:] != self.mask.shape[-2:]:
            raise UserError(
                f"measurements have shape (..., H, W), here ending in {self.mask.shape[-2:]} to fit the "
                f"mask, got {measurement.shape}."
            )
        return measurement
