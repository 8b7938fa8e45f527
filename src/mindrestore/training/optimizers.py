"""Optimisers: which parameters each moves, from which step on, and the learning rate of every step."""
import math
from typing import List, NamedTuple

import numpy as np
from mindspore import Parameter, nn

from mindrestore.runtime.execution import put


def learning_rates(rate, schedule, steps, steps_per_epoch):
    """Return the learning rate of each of ``steps`` steps.

    Args:
        rate: the first, and highest, rate.
        schedule: ``mindrestore.config.Schedule``.
        steps_per_epoch: for the step decay, which counts epochs.
    """
    return [_warmed(schedule, step) * rate_at(rate, schedule, step, steps, steps_per_epoch) for step in range(steps)]


def rate_at(rate, schedule, step, steps, steps_per_epoch):
    """Return the learning rate of one step, warm-up aside."""
    if schedule.kind == "constant":
        return rate
    if schedule.kind == "step":
        return rate * schedule.factor ** (step // steps_per_epoch // schedule.every_epochs)
    return schedule.final + (rate - schedule.final) * (1 + math.cos(math.pi * step / steps)) / 2


def _warmed(schedule, step):
    return min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0


EPSILON = 1e-8  # Adam's, as PyTorch's


class Update(NamedTuple):
    """Parameters that one optimiser moves.

    Attributes:
        optimizer: ``nn.Adam``; its moments begin with its first step.
        parameters: that it moves.
        first: step from which on they move; they are frozen before.
    """

    optimizer: nn.Cell
    parameters: List[Parameter]
    first: int


class RenewedAdam(nn.Adam):
    """Adam that forgets its moments before every ``every``-th step, as if it were made anew; its rates go on.

    What it does follows from its counter of steps, which a resumed run reads, so such a run goes on exactly.
    """

    def __init__(self, parameters, rates, betas, every):
        super().__init__(parameters, rates, *betas, EPSILON)
        self.every = every

    def __call__(self, gradients):
        if int(self.global_step.numpy()[0]) % self.every == 0:
            self.forget()
        return super().__call__(gradients)

    def forget(self):
        for moments, first in ((self.moment1, 0), (self.moment2, 0), ((self.beta1_power, self.beta2_power), 1)):
            for parameter in moments:
                put(parameter, np.full(parameter.shape, first, np.float32))


def adam_updates(network, rates, betas, renewed_every=None):
    """Return the updates of a network that trains as a whole from the first step on, by Adam that is renewed every so many
    steps or, by default, never.
    """
    parameters = network.trainable_params()
    if renewed_every:
        return [Update(RenewedAdam(parameters, rates, betas, renewed_every), parameters, 0)]
    return [Update(nn.Adam(parameters, rates, *betas, EPSILON), parameters, 0)]


def adam_updates_with_late_part(network, rates, betas, late, first, late_rates):
    """Return the updates of a network of which a part is frozen at first.

    Args:
        network: its trainable parameters are trained.
        rates: learning rate of each step.
        betas: of Adam.
        late: ``late(name)`` tells whether a parameter belongs to the part.
        first: step from which on the part is trained.
        late_rates: its learning rate of each step, those before ``first`` too.
    """
    parameters = network.trainable_params()
    early_part = [parameter for parameter in parameters if not late(parameter.name)]
    late_part = [parameter for parameter in parameters if late(parameter.name)]
    updates = []
    for part, start, own_rates in ((early_part, 0, rates), (late_part, first, late_rates)):
        if part and start < len(rates):
            updates.append(Update(nn.Adam(part, own_rates[start:], *betas, EPSILON), part, start))
    return updates
