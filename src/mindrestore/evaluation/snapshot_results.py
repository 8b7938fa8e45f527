"""Scores of reconstructed scenes: PSNR and SSIM of each measurement, their means; what may be called the six-scene mean."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mindrestore.data.scenes import BENCHMARK, Scene
from mindrestore.evaluation.results import Column, Results, Row
from mindrestore.media.trust import mean_residual
from mindrestore.metrics import finite_mean, psnr, ssim
from mindrestore.sensing.operator import SnapshotImaging

Reconstruct = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (measurement (H, W), mask (T, H, W)) -> clip


@dataclass(frozen=True)
class SceneResults(Results):
    """Scores of ``SceneScore``; ``benchmark`` says whether the scenes are the six of the benchmark."""

    benchmark: bool = False

    counted = Column("measurements", "meas.", width=8, digits=0, csv="measurements")
    columns = (
        Column("psnr", "PSNR dB", width=8, digits=2, csv="psnr_db"),
        Column("ssim", "SSIM", width=7, digits=4, csv="ssim"),
        Column("residual", "residual", width=8, digits=2, csv="residual_of_255"),
        Column("seconds", "s/meas.", width=10, digits=3, csv="seconds_per_measurement"),
    )

    def mean_name(self) -> str:
        """Return what to call the mean; only all six scenes with all their measurements make the six-scene mean."""
        count, total = len(self.present()), len(self.rows)
        if not self.benchmark:
            return super().mean_name()
        if count < total:
            return f"mean of {count} of {total} scenes"
        if any(self.is_partial(row) for row in self.rows):
            return "mean of 6, some in part"
        return "six-scene mean"

    def is_partial(self, row: Row) -> bool:
        return self.benchmark and bool(row.scores) and self.count(row) != BENCHMARK[row.name][1]

    def notes(self) -> list[str]:
        partial = ", ".join(f"{row.name} {BENCHMARK[row.name][1]}" for row in self.rows if self.is_partial(row))
        starred = [f"* not the number of measurements that published results score: {partial}"] if partial else []
        return (
            starred
            + [
                "residual: |y - sum M x|, mean over the pixels, white = 255; a large one tells a wrong "
                "reconstruction, a small one no right one"
            ]
            + super().notes()
        )


@dataclass(frozen=True)
class SceneScore:
    """Means over the measurements of one scene; PSNR in dB, peak 1; |y - sum M x| a pixel, white = 255; seconds a measurement;
    frames that equal the truth.
    """

    scene: str
    measurements: int
    psnr: float
    ssim: float
    residual: float
    seconds: float
    equal: int = 0


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """One measurement (H, W), its reconstruction, and what that leaves of it, |y - sum M x| (H, W) in units of one frame's
    white; clips are (T, H, W), colour (3, T, H, W), 0–1.
    """

    truth: np.ndarray
    measurement: np.ndarray
    clip: np.ndarray
    residual: np.ndarray
    seconds: float


def reconstruct_scene(
    scene: Scene, mask: np.ndarray, reconstruct: Reconstruct, measure: Mapping[str, Any] | None = None
) -> list[Reconstruction]:
    """Measure every clip of a scene through ``mask`` and reconstruct it.

    Args:
        scene: a known clip.
        mask: (T, H, W), as large as the scene.
        reconstruct: the method.
        measure: keyword arguments of ``SnapshotImaging.measure``.
    """
    camera = SnapshotImaging(mask, scene.colour)
    reconstructions = []
    for truth in scene.snapshots(len(mask)):
        measurement = camera.measure(truth, **(measure or {}))
        start = time.perf_counter()
        clip = reconstruct(measurement, mask)
        seconds = time.perf_counter() - start
        reconstructions.append(
            Reconstruction(truth, measurement, clip, residual=camera.residual(clip, measurement), seconds=seconds)
        )
    return reconstructions


def score(name: str, reconstructions: Sequence[Reconstruction]) -> SceneScore:
    """Return the ``SceneScore`` of a scene's reconstructions."""

    def mean(values: Iterable[float]) -> float:
        return finite_mean(values)

    axis = 0 if reconstructions[0].truth.ndim == 4 else None
    return SceneScore(
        name,
        len(reconstructions),
        psnr=mean(psnr(r.clip, r.truth, channel_axis=axis) for r in reconstructions),
        ssim=mean(ssim(r.clip, r.truth, channel_axis=axis) for r in reconstructions),
        residual=mean(mean_residual(r.residual) for r in reconstructions),
        seconds=mean(r.seconds for r in reconstructions),
        equal=sum(map(_equal_frames, reconstructions)),
    )


def _equal_frames(reconstruction: Reconstruction) -> int:
    """Return how many frames of a reconstruction, clamped as they are scored, equal the truth."""
    equal = np.moveaxis(np.clip(reconstruction.clip, 0, 1) == reconstruction.truth, -3, 0)
    return int(equal.reshape(len(equal), -1).all(1).sum())
