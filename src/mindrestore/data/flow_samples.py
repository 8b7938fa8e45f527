"""Training samples of optical flow: two frames of a rendered clip and the true flow between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mindrestore.data.composition import render, true_flow
from mindrestore.data.degradation import with_noise
from mindrestore.data.photographs import TRAIN_PHOTOGRAPHS
from mindrestore.data.rendered import RENDERED, draw_composition
from mindrestore.data.resize import imresize

WHITE = 255


class FlowSample(NamedTuple):
    flow: np.ndarray  # (2, H, W) float32, x and y in pixels, from the image to its neighbour
    image: np.ndarray  # (3, H, W) float32 0–1
    neighbour: np.ndarray  # likewise


class FlowSamples:
    """An endless sequence of samples, each decided by the seed and its number alone.

    Args:
        size: height and width.
        sigma: largest noise level for white = 255; half of the samples have none.
        length: samples of one pass.
        seed: of the compositions and the noise.
        photographs: names to choose from, see ``mindrestore.data.photographs``.
        scale: each sample is rendered 1 to ``scale`` times as large, which is drawn, and reduced by bicubic interpolation, as
            super-resolution sees frames.
    """

    columns = ("flow", "image", "neighbour")
    holds_lock = True

    def __init__(
        self,
        size: int,
        sigma: float = 0,
        length: int = 1000,
        seed: int = 0,
        photographs: Sequence[str] = TRAIN_PHOTOGRAPHS,
        scale: int = 1,
    ) -> None:
        self.size, self.sigma, self.length, self.seed, self.photographs = size, sigma, length, seed, photographs
        self.scale = scale

    def __len__(self) -> int:
        """Samples of one pass."""
        return self.length

    def name(self, number: int) -> str:
        """What sample ``number`` is cut out of."""
        return RENDERED

    def __getitem__(self, number: int) -> FlowSample:
        """Sample ``number`` (0, 1, 2, ...)."""
        rng = np.random.default_rng([self.seed, number])
        scale = 1 if self.scale == 1 else int(rng.integers(1, self.scale + 1))
        side = scale * self.size
        composition = draw_composition(rng, side, side, self.photographs)
        clip = render(composition, 2, side, side, colour=True)
        flow = true_flow(composition, time=-0.5, other=0.5, height=side, width=side)  # of two frames
        if scale > 1:
            clip = imresize(clip, 1 / scale).clip(0, 1)
            flow = flow.reshape(2, self.size, scale, self.size, scale).mean((2, 4)) / scale
        noisy = with_noise(clip, rng.choice([0, rng.uniform(0, self.sigma)]) / WHITE, rng)
        return FlowSample(flow, *(np.ascontiguousarray(noisy[:, index]) for index in (0, 1)))
