"""Dynamic loss scaling: keeps gradients of float16 products from underflowing. Source: arXiv 1710.03740, section 3.2."""

from __future__ import annotations

from collections.abc import Sequence

from mindrestore.runtime import device, precision

FIRST = MOST = 2.0**24  # the first step halves it until nothing overflows: the larger it is, the fewer gradients underflow
WINDOW = 1000  # steps without overflow after which the scale doubles


def needed_loss_scale() -> LossScale | None:
    """Return a new ``LossScale`` where products or convolutions are float16, by setting or by device; otherwise ``None``."""
    return LossScale() if precision.chosen() == "float16" or device.convolves_in_float16() else None


class LossScale:
    """The power of two that multiplies the loss before its gradients are taken, and divides these afterwards.

    Attributes:
        value: the scale.
        window: steps without overflow after which it doubles.
        state: [scale, steps since it last changed], which a resumed run sets.
    """

    def __init__(self, first: float = FIRST, window: int = WINDOW) -> None:
        self.value, self.window, self._steps = first, window, 0

    @property
    def state(self) -> list[float]:
        return [self.value, self._steps]

    @state.setter
    def state(self, state: Sequence[float]) -> None:
        self.value, self._steps = state

    def must_repeat(self, finite: bool) -> bool:
        """Adapt the scale to a step whose gradients are finite or not; return whether the step must be repeated with it."""
        if finite:
            self._steps += 1
            if self._steps >= self.window:
                self.value, self._steps = min(2 * self.value, MOST), 0
            return False
        if self.value <= 1:
            return False  # a smaller scale would not help
        self.value, self._steps = self.value / 2, 0
        return True
