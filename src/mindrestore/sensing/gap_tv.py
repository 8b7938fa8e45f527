"""GAP-TV, the classical reconstruction of a coded snapshot.

Generalised alternating projection (Liao, Li and Carin, "Generalized alternating projection for weighted-l2,1 minimization",
SIAM J. Imaging Sciences 2014) with a total-variation prior (Yuan, "Generalized alternating projection based total variation
minimization for compressive sensing", ICIP 2016): step onto the clips that explain the measurement, smooth, repeat.
"""
import numpy as np
from skimage.restoration import denoise_tv_chambolle

from mindrestore.errors import UserError
from mindrestore.sensing.bayer import demosaic, mosaic
from mindrestore.sensing.operator import SnapshotImaging


def gap_tv(measurement, mask, iterations=100, weight=0.2, inner_iterations=5, colour=False):
    """Reconstruct one clip from one measurement.

    The accelerated form: what an estimate left unexplained is added to the measurement that the next one is held to, so that
    the bias of the smoothing is paid back.

        y' <- y' + (y - A x);  x <- x + M * (y' - A x) / mask_sum;  x <- total variation of each frame

    Args:
        measurement: ``(H, W)``, in units of one frame's white (a binary mask gives 0..T).
        mask: ``(T, H, W)``.
        iterations: of the three steps; 25 are nearly as good as 100.
        weight: of the total variation; more is smoother.
        inner_iterations: of Chambolle's denoiser within each step.
        colour: the measurement was made through an RGGB Bayer filter, and the clip is RGB. The back-projected residual then
            exists on the mosaic's sites and is filled in by linear demosaicing; channels are smoothed jointly.

    Returns:
        ``(T, H, W)``, colour ``(3, T, H, W)``, float32, clamped to 0..1.

    Raises:
        UserError: a shape that does not fit, or a setting out of range.
    """
    camera = SnapshotImaging(mask, colour=colour)
    measurement = np.asarray(measurement, np.float32)
    if measurement.ndim != 2:
        raise UserError(f"gap_tv takes one measurement of shape (H, W), got {measurement.shape}.")
    if iterations < 1 or inner_iterations < 1:
        raise UserError(f"iterations and inner_iterations must be 1 or more, got {iterations} and {inner_iterations}.")
    if not weight > 0:
        raise UserError(f"weight must be above 0, got {weight}.")
    estimate = _light_put_back(camera, camera.normalised(measurement) * camera.mask)
    target = np.zeros_like(measurement)
    for _ in range(iterations):
        target = target + measurement - camera.A(estimate)
        residual = camera.back_projected_residual(estimate, target)
        estimate = estimate + _light_put_back(camera, mosaic(residual) if colour else residual)
        estimate = _smooth(estimate, weight, inner_iterations)
    return np.clip(estimate, 0, 1)


def _light_put_back(camera, frames):
    """Sensor frames ``(T, H, W)`` as a clip of the camera's kind."""
    return demosaic(frames) if camera.colour else frames


def _smooth(clip, weight, inner_iterations):
    """Total variation of every frame; a colour frame's channels share their edges."""
    clip = np.moveaxis(clip, 0, -1) if clip.ndim == 4 else clip  # (T, H, W) or (T, H, W, 3)
    smooth = np.stack([denoise_tv_chambolle(frame, weight=weight, eps=0, max_num_iter=inner_iterations,
                                            channel_axis=-1 if frame.ndim == 3 else None) for frame in clip])
    return np.moveaxis(smooth, -1, 0) if smooth.ndim == 4 else smooth
