"""Score reconstructions of known clips: PSNR and SSIM a measurement, mean a scene."""
import time
from dataclasses import dataclass
from typing import List

import numpy as np

from mindrestore.metrics import psnr, ssim
from mindrestore.sensing.operator import SnapshotImaging


@dataclass(frozen=True)
class SceneScore:
    """Means over the measurements of one scene; PSNR in dB, peak 1; seconds a measurement."""

    scene: str
    measurements: int
    psnr: float
    ssim: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """One measurement and what was made of it; clips are (T, H, W), colour (3, T, H, W), 0–1."""

    truth: np.ndarray
    measurement: np.ndarray
    clip: np.ndarray
    seconds: float


def reconstruct_scene(scene, mask, reconstruct, measure=None) -> List[Reconstruction]:
    """Measure every clip of a scene through ``mask`` and reconstruct it.

    Args:
        scene: ``mindrestore.data.scenes.Scene``.
        mask: (T, H, W), as large as the scene.
        reconstruct: ``(measurement, mask) -> clip``.
        measure: keyword arguments of ``SnapshotImaging.measure``.
    """
    camera = SnapshotImaging(mask, scene.colour)
    reconstructions = []
    for truth in scene.snapshots(len(mask)):
        measurement = camera.measure(truth, **(measure or {}))
        start = time.perf_counter()
        clip = reconstruct(measurement, mask)
        reconstructions.append(Reconstruction(truth, measurement, clip, time.perf_counter() - start))
    return reconstructions


def score(name, reconstructions):
    """Return the ``SceneScore`` of a scene's reconstructions."""
    def mean(values):
        return float(np.mean(list(values)))
    axis = 0 if reconstructions[0].truth.ndim == 4 else None
    return SceneScore(name, len(reconstructions),
                      mean(psnr(r.clip, r.truth, channel_axis=axis) for r in reconstructions),
                      mean(ssim(r.clip, r.truth, channel_axis=axis) for r in reconstructions),
                      mean(r.seconds for r in reconstructions))
