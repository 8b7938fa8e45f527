"""Scores of restored clips: PSNR and SSIM in RGB and on luma, computed as VRT's published figures are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mindrestore.evaluation.results import Column, Results
from mindrestore.metrics import finite_mean, psnr, ssim, to_uint8, to_y


@dataclass(frozen=True)
class ClipScore:
    """Means over the frames of one clip, None without ground truth; PSNR in dB; seconds a frame; frames equal to the truth."""

    clip: str
    frames: int
    psnr: float | None
    ssim: float | None
    psnr_y: float | None
    ssim_y: float | None
    seconds: float
    equal: int = 0


@dataclass(frozen=True)
class ClipResults(Results):
    """Scores of ``ClipScore``."""

    item = "clip"
    counted = Column("frames", "frames", width=6, digits=0, csv="frames")
    columns = (
        Column("psnr", "PSNR dB", width=8, digits=2, csv="psnr_db"),
        Column("ssim", "SSIM", width=7, digits=4, csv="ssim"),
        Column("psnr_y", "PSNR-Y", width=8, digits=2, csv="psnr_y_db"),
        Column("ssim_y", "SSIM-Y", width=7, digits=4, csv="ssim_y"),
        Column("seconds", "s/frame", width=9, digits=3, csv="seconds_per_frame"),
    )


class ClipScorer:
    """Collects the scores of the frames of one clip."""

    def __init__(self) -> None:
        self.scores: list[tuple] = []

    def add(self, frame: np.ndarray, truth: np.ndarray) -> None:
        """Score a frame (3, H, W) of 0–1 against its ground truth."""
        self.scores.append(frame_score(frame, truth))

    def result(self, name: str, frames: int, seconds: float) -> ClipScore:
        """Return the ``ClipScore`` of a clip whose ``frames`` took ``seconds`` to restore; scores are None without truth."""
        means = [finite_mean(values) for values in zip(*self.scores)] if self.scores else [None] * 4
        return ClipScore(
            name,
            len(self.scores) or frames,
            *means,
            seconds / max(1, frames),
            equal=sum(psnr_of_frame == np.inf for psnr_of_frame, *_ in self.scores),
        )


def frame_score(frame: np.ndarray, truth: np.ndarray) -> tuple[float, float, float, float]:
    """Return PSNR and SSIM in RGB, then on BT.601 luma, of frames (3, H, W) of 0–1, clamped and rounded to 8 bits."""
    frame, truth = to_uint8(frame), to_uint8(truth)
    luma, true_luma = to_y(frame, 0), to_y(truth, 0)
    return (
        psnr(frame, truth, channel_axis=0),
        ssim(frame, truth, channel_axis=0),
        psnr(luma, true_luma, peak=255),
        ssim(luma, true_luma, peak=255),
    )
