"""What the trainer needs to know of whatever it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from mindspore import Parameter, nn

from mindrestore.runtime import dataset
from mindrestore.training.average import Average
from mindrestore.training.gradients import Gradients
from mindrestore.training.loss_scale import LossScale
from mindrestore.training.optimizers import Update

Show = Callable[[str, Sequence[np.ndarray]], None]
"""Is given the name of a picture and images of one size, (H, W) or (3, H, W), 0–1, side by side from left to right."""


def nobody(name: str, images: Sequence[np.ndarray]) -> None:
    """Look at no picture."""


class Samples(dataset.Samples, Protocol):
    """Samples to train on, (target, *inputs) for every number from 0 on, without end."""

    def __len__(self) -> int:
        """Return how many samples are a pass over the data."""

    def name(self, number: int) -> str:
        """Return what sample ``number`` is cut out of, such as a file's path."""


class Job(NamedTuple):
    """A network and how it is trained.

    Attributes:
        kind: of the network, as ``create_model`` names it.
        network: with its first weights.
        samples: to train on.
        steps: of the whole run.
        rates: learning rate of each step.
        updates: what each optimiser moves.
        gradients: of a list of parameters makes their ``Gradients``.
        validate: gives the mean PSNR in dB, and shows a frame (``Show``); ``None`` where there is nothing to score.
        mask: what a checkpoint records of the mask trained with.
        average: of the weights, or ``None``.
        sqrt_loss: the loss is the square root of the one that ``gradients`` is of, taken of the whole batch.
        mean_over_ranks: ``gradients`` gives means over all processes already.
        loss_scale: that ``gradients`` uses, or ``None``; a step whose gradients overflow is repeated with a smaller one.
    """

    kind: str
    network: nn.Cell
    samples: Samples
    steps: int
    rates: list[float]
    updates: list[Update]
    gradients: Callable[[Sequence[Parameter]], Gradients]
    validate: Callable[[Show], float] | None
    mask: str | None = None
    average: Average | None = None
    sqrt_loss: bool = False
    mean_over_ranks: bool = False
    loss_scale: LossScale | None = None
