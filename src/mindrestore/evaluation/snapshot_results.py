"""Scores of reconstructed scenes: PSNR and SSIM a measurement, mean a scene; what may be called the six-scene mean."""
import time
from dataclasses import dataclass
from typing import List

import numpy as np

from mindrestore.data.scenes import BENCHMARK
from mindrestore.evaluation.results import Column, Results
from mindrestore.metrics import psnr, ssim
from mindrestore.sensing.operator import SnapshotImaging


@dataclass(frozen=True)
class SceneResults(Results):
    """Scores of ``SceneScore``; ``benchmark`` says whether the scenes are the six of the benchmark."""

    benchmark: bool = False

    counted = Column("measurements", "meas.", 8, 0, "measurements")
    columns = (Column("psnr", "PSNR dB", 8, 2, "psnr_db"), Column("ssim", "SSIM", 7, 4, "ssim"),
               Column("seconds", "s/meas.", 10, 3, "seconds_per_measurement"))

    def mean_name(self):
        """Name the mean; only all six scenes with all their measurements make the six-scene mean."""
        count, total = len(self.present()), len(self.rows)
        if not self.benchmark:
            return super().mean_name()
        if count < total:
            return f"mean of {count} of {total} scenes"
        if any(self.is_partial(row) for row in self.rows):
            return "mean of 6, some in part"
        return "six-scene mean"

    def is_partial(self, row):
        return self.benchmark and bool(row.scores) and self.count(row) != BENCHMARK[row.name][1]

    def notes(self):
        partial = ", ".join(f"{row.name} {BENCHMARK[row.name][1]}" for row in self.rows if self.is_partial(row))
        return [f"* not the number of measurements that published results score: {partial}"] if partial else []


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
