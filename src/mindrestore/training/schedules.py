"""Learning rates as a function of the step."""
import math


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
