"""The order in which a training run goes through its data."""
import numpy as np


class Passes:
    """An endless sequence of indices below ``length``, in passes: each has every index once, in an order of its own.

    The seed and the position decide an index, whatever was asked before, so a run resumes exactly by going on with the
    next position.
    """

    def __init__(self, length, seed=0):
        self.length, self.seed = length, seed
        self._order = (None, None)

    def __getitem__(self, position):
        number, place = divmod(position, self.length)
        known, order = self._order  # read once: another thread may replace it
        if known != number:
            order = np.random.default_rng([self.seed, number, self.length]).permutation(self.length)
            self._order = (number, order)
        return int(order[place])
