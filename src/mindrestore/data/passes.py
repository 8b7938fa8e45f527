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
        if self._order[0] != number:
            rng = np.random.default_rng([self.seed, number, self.length])
            self._order = (number, rng.permutation(self.length))
        return int(self._order[1][place])
