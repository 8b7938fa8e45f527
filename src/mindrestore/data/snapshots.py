"""Training samples of snapshot imaging: a clip, the mask it is seen through, its measurement and, if asked, an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mindrestore.data.passes import Passes
from mindrestore.errors import UserError
from mindrestore.sensing.gap_tv import gap_tv
from mindrestore.sensing.masks import random_mask
from mindrestore.sensing.operator import SnapshotImaging

if TYPE_CHECKING:
    from mindrestore.data.providers import ClipSource

START_ITERATIONS = 25  # of GAP-TV for a network's start; 100 add 0.03 dB


class Sample(NamedTuple):
    clip: np.ndarray  # (T, H, W), colour (3, T, H, W), float32 0–1
    measurement: np.ndarray  # (H, W) float32
    mask: np.ndarray  # (T, H, W) float32
    estimate: np.ndarray | None  # of the shape of clip; None unless the network starts from one


def starting_estimate(measurement: np.ndarray, mask: np.ndarray, colour: bool = False) -> np.ndarray:
    """Return the estimate (T, H, W), colour (3, T, H, W), that a network with ``start="gap_tv"`` corrects."""
    return gap_tv(measurement, mask, START_ITERATIONS, colour=colour)


class RandomMasks:
    """A new random mask for every clip."""

    def __init__(self, density: float = 0.5) -> None:
        self.density = density

    def __call__(self, rng: np.random.Generator, frames: int, height: int, width: int) -> np.ndarray:
        return random_mask(frames, height, width, self.density, rng=rng)


class FixedMask:
    """One mask (T, H, W) for every clip; a smaller clip gets a random crop of it."""

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask

    def __call__(self, rng: np.random.Generator, frames: int, height: int, width: int) -> np.ndarray:
        planes, mask_height, mask_width = self.mask.shape
        if frames != planes or height > mask_height or width > mask_width:
            raise UserError(
                f"a mask of {planes} planes of {mask_height} x {mask_width} does not fit clips of "
                f"{frames} frames of {height} x {width}: give a mask of {frames} planes, at least as large."
            )
        top = rng.integers(mask_height - height + 1)
        left = rng.integers(mask_width - width + 1)
        return self.mask[:, top : top + height, left : left + width]


class SnapshotSamples:
    """An endless sequence of samples, each decided by the seed and its number alone.

    The order of reading changes nothing, so a training run resumes exactly by going on with the next number. Clips are taken
    in passes; every pass has its own order.

    Args:
        clips: a ``mindrestore.data.providers.ClipSource``.
        masks: ``RandomMasks`` or ``FixedMask``.
        colour: whether clips are RGB behind a Bayer filter.
        with_estimate: whether samples hold a GAP-TV estimate.
        read_noise, bits: as for ``SnapshotImaging.measure``.
        seed: of order, augmentation, masks and noise.
    """

    holds_lock = True

    def __init__(
        self,
        clips: ClipSource,
        masks: RandomMasks | FixedMask,
        colour: bool = False,
        *,
        with_estimate: bool = False,
        read_noise: float = 0.0,
        bits: int | None = None,
        seed: int = 0,
    ) -> None:
        self.clips, self.masks, self.colour, self.with_estimate = clips, masks, colour, with_estimate
        self.read_noise, self.bits, self.seed = read_noise, bits, seed
        self.columns = Sample._fields if with_estimate else Sample._fields[:-1]
        self._order = Passes(len(clips), seed)

    def __len__(self) -> int:
        """Samples of one pass."""
        return len(self.clips)

    def name(self, number: int) -> str:
        """What sample ``number`` is cut out of."""
        return self.clips.name(self._order[number])

    def __getitem__(self, number: int) -> Sample:
        """Return sample ``number`` (0, 1, 2, ...) as a ``Sample``."""
        rng = np.random.default_rng([self.seed, number])
        clip = self.clips.clip(self._order[number], rng)
        mask = self.masks(rng, *clip.shape[-3:])
        measurement = SnapshotImaging(mask, self.colour).measure(clip, self.read_noise, self.bits, rng)
        estimate = starting_estimate(measurement, mask, self.colour) if self.with_estimate else None
        return Sample(clip, measurement, mask, estimate)
