"""Training samples of optical flow: two frames of a rendered clip, and how its pixels really move."""
from typing import NamedTuple

import numpy as np

from mindrestore.data.composition import render, true_flow
from mindrestore.data.degradation import with_noise
from mindrestore.data.photographs import TRAIN_PHOTOGRAPHS
from mindrestore.data.rendered import RENDERED, draw_composition

WHITE = 255


class FlowSample(NamedTuple):
    flow: np.ndarray  # (2, H, W) float32, x and y in pixels: where each pixel of the image is found in the neighbour
    image: np.ndarray  # (3, H, W) float32 0–1
    neighbour: np.ndarray  # likewise


class FlowSamples:
    """An endless sequence of samples, each decided by the seed and its number alone.

    Args:
        size: height and width.
        sigma: largest noise level for white = 255; half of the samples have none.
        length: samples that count as a pass.
        seed: of the compositions and the noise.
        photographs: names to choose from, see ``mindrestore.data.photographs``.
    """

    columns = ("flow", "image", "neighbour")

    def __init__(self, size, sigma=0, length=1000, seed=0, photographs=TRAIN_PHOTOGRAPHS):
        self.size, self.sigma, self.length, self.seed, self.photographs = size, sigma, length, seed, photographs

    def __len__(self):
        return self.length

    def name(self, number):
        return RENDERED

    def __getitem__(self, number):
        rng = np.random.default_rng([self.seed, number])
        composition = draw_composition(rng, self.size, self.size, self.photographs)
        clip = render(composition, 2, self.size, self.size, colour=True)
        noisy = with_noise(clip, rng.choice([0, rng.uniform(0, self.sigma)]) / WHITE, rng)
        flow = true_flow(composition, -0.5, 0.5, self.size, self.size)  # times of the first frame and the second
        return FlowSample(flow, *(np.ascontiguousarray(noisy[:, index]) for index in (0, 1)))
