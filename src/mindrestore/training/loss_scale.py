"""Dynamic loss scaling, which keeps the gradients of float16 products from vanishing. Source: arXiv 1710.03740, section 3.2."""
from mindrestore.runtime import device, precision

FIRST = MOST = 2.0 ** 24  # the first step finds the largest that fits: the smaller it is, the more gradients vanish
WINDOW = 1000  # steps without overflow after which the scale doubles


def needed_loss_scale():
    """Return a new ``LossScale`` where products or convolutions are of float16, asked for or not; otherwise ``None``."""
    return LossScale() if precision.chosen() == "float16" or device.convolves_in_float16() else None


class LossScale:
    """The power of two that the loss is multiplied by before its gradients are taken, and they are divided by after.

    ``state`` is what a run that goes on needs: the scale, and the steps since it last changed.
    """

    def __init__(self, first=FIRST, window=WINDOW):
        self.value, self.window, self._steps = first, window, 0

    @property
    def state(self):
        return [self.value, self._steps]

    @state.setter
    def state(self, state):
        self.value, self._steps = state

    def must_repeat(self, fine):
        """Take in whether a step's gradients are fine; whether it must be repeated, with a scale that is smaller now."""
        if fine:
            self._steps += 1
            if self._steps >= self.window:
                self.value, self._steps = min(2 * self.value, MOST), 0
            return False
        if self.value <= 1:
            return False  # it is not the scale that makes them so
        self.value, self._steps = self.value / 2, 0
        return True
