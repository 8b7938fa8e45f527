"""GAP-TV, the classical reconstruction of a coded snapshot.

Generalised alternating projection (Liao, Li and Carin, "Generalized alternating projection for weighted-l2,1
minimization", SIAM J. Imaging Sciences 2014) with a total-variation prior (Yuan, "Generalized alternating projection
based total variation minimization for compressive sensing", ICIP 2016): step onto the clips that explain the
measurement, smooth, repeat.
"""

from __future__ import annotations

import numpy as np

from mindrestore.errors import UserError
from mindrestore.sensing import total_variation
from mindrestore.sensing.bayer import demosaic, mosaic
from mindrestore.sensing.operator import SnapshotImaging

_TUNED = {False: (0.2, 5), True: (0.15, 10)}  # colour: (weight, inner iterations), by PSNR at 25 and 100 iterations
# Orthonormal rows: grey and two colour differences.
_OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float32) / np.sqrt(np.float32([[3], [2], [6]]))
_CHROMA_WEIGHT = 3  # weight of colour differences over that of grey


def gap_tv(
    measurement: np.ndarray,
    mask: np.ndarray,
    iterations: int = 100,
    weight: float | None = None,
    inner_iterations: int | None = None,
    colour: bool = False,
) -> np.ndarray:
    """Reconstruct one clip from one measurement.

    The first estimate is y / mask_sum in every frame. In the accelerated form, the residual of each estimate is added to the
    target y' of the next projection, which compensates the bias of the smoothing:

        y' <- y' + (y - A x);  x <- x + M * (y' - A x) / sum M^2;  x <- total-variation denoising of each frame

    In colour the second step is taken on the mosaic, which is then demosaiced, and the third on grey and two colour
    differences, these smoothed more.

    Args:
        measurement: ``(H, W)``, in units of one frame's white (a binary mask gives 0..T).
        mask: ``(T, H, W)``.
        iterations: of the three steps; 25 are nearly as good as 100.
        weight: of the total variation; larger is smoother. ``None``: 0.2, colour 0.15. Below about 0.05 the iteration may not
            converge.
        inner_iterations: of Chambolle's denoiser within each step. ``None``: 5, colour 10.
        colour: the measurement was made through an RGGB Bayer filter, and the clip is RGB.

    Returns:
        ``(T, H, W)``, colour ``(3, T, H, W)``, float32, clamped to 0..1.

    Raises:
        UserError: a shape that does not fit, or a setting out of range.
    """
    camera = SnapshotImaging(mask, colour=colour)
    weight = _TUNED[camera.colour][0] if weight is None else weight
    inner_iterations = _TUNED[camera.colour][1] if inner_iterations is None else inner_iterations
    measurement = np.asarray(measurement, np.float32)
    if measurement.ndim != 2:
        raise UserError(f"gap_tv takes one measurement of shape (H, W), got {measurement.shape}.")
    if iterations < 1 or inner_iterations < 1:
        raise UserError(f"iterations and inner_iterations must be 1 or more, got {iterations} and {inner_iterations}.")
    if not weight > 0:
        raise UserError(f"weight must be above 0, got {weight}.")
    smoothed = _smoothed_colour if camera.colour else _smoothed
    static = np.repeat(camera.normalised(measurement)[None], len(camera.mask), axis=0)  # exact where nothing moves
    estimate = demosaic(static) if camera.colour else static
    target = np.zeros_like(measurement)
    for _ in range(iterations):
        target = target + measurement - camera.A(estimate)
        projected = estimate + camera.back_projected_residual(estimate, target)
        estimate = smoothed(_demosaiced(projected), weight, inner_iterations)
    return np.clip(estimate, 0, 1)


def _demosaiced(clip: np.ndarray) -> np.ndarray:
    """Demosaic the measured sites of a colour clip; return a grey clip as it is."""
    return demosaic(mosaic(clip)) if clip.ndim == 4 else clip


def _smoothed(clip: np.ndarray, weight: float, inner_iterations: int) -> np.ndarray:
    """Total-variation denoising of every frame of ``(T, H, W)``."""
    return np.stack([total_variation.denoise(frame, weight, inner_iterations) for frame in clip])


def _smoothed_colour(clip: np.ndarray, weight: float, inner_iterations: int) -> np.ndarray:
    """``_smoothed`` for ``(3, T, H, W)``, in grey and two colour differences."""
    weights = (weight, _CHROMA_WEIGHT * weight, _CHROMA_WEIGHT * weight)
    planes = [
        _smoothed(plane, plane_weight, inner_iterations)
        for plane, plane_weight in zip(np.tensordot(_OPPONENT, clip, axes=1), weights)
    ]
    return np.tensordot(_OPPONENT.T, np.stack(planes), axes=1)
