"""Scores of restored clips: PSNR and SSIM in RGB and on luma, as VRT's figures are made."""
from dataclasses import dataclass
from typing import List, Optional

import numpy as np

from mindrestore.evaluation.results import Column, Results
from mindrestore.metrics import psnr, ssim, to_uint8, to_y


@dataclass(frozen=True)
class ClipScore:
    """Means over the frames of one clip, None without ground truth; PSNR in dB; seconds a frame."""

    clip: str
    frames: int
    psnr: Optional[float]
    ssim: Optional[float]
    psnr_y: Optional[float]
    ssim_y: Optional[float]
    seconds: float


@dataclass(frozen=True)
class ClipResults(Results):
    """Scores of ``ClipScore``."""

    item = "clip"
    counted = Column("frames", "frames", 6, 0, "frames")
    columns = (Column("psnr", "PSNR dB", 8, 2, "psnr_db"), Column("ssim", "SSIM", 7, 4, "ssim"),
               Column("psnr_y", "PSNR-Y", 8, 2, "psnr_y_db"), Column("ssim_y", "SSIM-Y", 7, 4, "ssim_y"),
               Column("seconds", "s/frame", 9, 3, "seconds_per_frame"))


class ClipScorer:
    """Collects what the frames of one clip score."""

    def __init__(self):
        self.scores: List[tuple] = []

    def add(self, frame, truth):
        """Score a frame (3, H, W) of 0–1 against its ground truth."""
        self.scores.append(frame_score(frame, truth))

    def result(self, name, frames, seconds):
        """Return the ``ClipScore``: of ``frames`` restored in ``seconds``, scored or not."""
        means = np.mean(self.scores, 0).tolist() if self.scores else [None] * 4
        return ClipScore(name, len(self.scores) or frames, *means, seconds / max(1, frames))


def frame_score(frame, truth):
    """Return PSNR and SSIM in RGB, then on the luma of BT.601, of frames (3, H, W) clamped and rounded to 8 bits."""
    frame, truth = to_uint8(frame), to_uint8(truth)
    luma, true_luma = to_y(frame, 0), to_y(truth, 0)
    return (psnr(frame, truth, channel_axis=0), ssim(frame, truth, channel_axis=0),
            psnr(luma, true_luma, peak=255), ssim(luma, true_luma, peak=255))
