"""Optimisers: which parameters each moves, from which step on, and the learning rate of every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindrestore.config.sections import Schedule
from mindrestore.runtime.execution import assign_in_place


def learning_rates(rate: float, schedule: Schedule, steps: int, steps_per_epoch: int) -> list[float]:
    """Return the learning rate of each of ``steps`` steps.

    Args:
        rate: the highest, which the schedule starts from.
        schedule: what becomes of it.
        steps_per_epoch: for the step decay, which counts epochs.
    """
    return [
        _warmed(schedule, step) * rate_at(rate, schedule, step=step, steps=steps, steps_per_epoch=steps_per_epoch)
        for step in range(steps)
    ]


def rate_at(rate: float, schedule: Schedule, *, step: int, steps: int, steps_per_epoch: int) -> float:
    """Return the learning rate of one step, warm-up aside."""
    if schedule.kind == "constant":
        return rate
    if schedule.kind == "step":
        return rate * schedule.factor ** (step // steps_per_epoch // schedule.every_epochs)
    return schedule.final + (rate - schedule.final) * (1 + math.cos(math.pi * step / steps)) / 2


def _warmed(schedule: Schedule, step: int) -> float:
    return min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0


EPSILON = 1e-8  # Adam's, as PyTorch's


class Update(NamedTuple):
    """Parameters that one optimiser moves.

    Attributes:
        optimizer: ``nn.Adam``; its moments begin with its first step.
        parameters: that it moves.
        first: step, counted from 0, before which they are frozen.
    """

    optimizer: nn.Cell
    parameters: list[Parameter]
    first: int


class RenewedAdam(nn.Adam):
    """Adam that resets its moments every ``every`` steps, as if it were made anew; its learning rates go on.

    When it does so follows from its step counter, which a resumed run restores, so such a run goes on exactly.
    """

    def __init__(self, parameters: list[Parameter], rates: list[float], betas: tuple[float, float], every: int) -> None:
        super().__init__(parameters, rates, *betas, EPSILON)
        self.every = every

    def __call__(self, gradients: tuple[Tensor, ...]) -> object:
        if int(self.global_step.numpy()[0]) % self.every == 0:
            self.reset_moments()
        return super().__call__(gradients)

    def reset_moments(self) -> None:
        """Set moments and powers of the betas to their first values."""
        for parameters, value in ((self.moment1, 0), (self.moment2, 0), ((self.beta1_power, self.beta2_power), 1)):
            for parameter in parameters:
                assign_in_place(parameter, np.full(parameter.shape, value, np.float32))


def adam_updates(
    network: nn.Cell, rates: list[float], betas: tuple[float, float], renewed_every: int | None = None
) -> list[Update]:
    """Return the updates of a network all of which Adam trains from the first step on.

    ``renewed_every``: steps after which Adam begins anew (``RenewedAdam``); by default never.
    """
    parameters = network.trainable_params()
    if renewed_every:
        return [Update(RenewedAdam(parameters, rates, betas, renewed_every), parameters, 0)]
    return [Update(nn.Adam(parameters, rates, *betas, EPSILON), parameters, 0)]


def adam_updates_with_late_part(
    network: nn.Cell,
    rates: list[float],
    betas: tuple[float, float],
    late: Callable[[str], bool],
    first: int,
    late_rates: list[float],
) -> list[Update]:
    """Return the updates of a network of which a part is frozen at first.

    Args:
        network: its trainable parameters are trained.
        rates: learning rate of each step.
        betas: of Adam.
        late: ``late(name)`` tells whether a parameter belongs to the part.
        first: step, counted from 0, before which the part is frozen.
        late_rates: the part's learning rate of each step, those before ``first`` included.
    """
    parameters = network.trainable_params()
    early_part = [parameter for parameter in parameters if not late(parameter.name)]
    late_part = [parameter for parameter in parameters if late(parameter.name)]
    updates = []
    for part, start, own_rates in ((early_part, 0, rates), (late_part, first, late_rates)):
        if part and start < len(rates):
            updates.append(Update(nn.Adam(part, own_rates[start:], *betas, EPSILON), part, start))
    return updates
