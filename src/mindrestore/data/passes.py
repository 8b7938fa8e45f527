"""The order in which a training run goes through its data."""

from __future__ import annotations

import numpy as np


class Passes:
    """An endless sequence of indices below ``length``, in passes: each has every index once, in an order of its own.

    An index depends on seed and position alone, so a run resumes exactly by going on with the next position.
    """

    def __init__(self, length: int, seed: int = 0) -> None:
        self.length, self.seed = length, seed
        self._permutation: tuple[int | None, np.ndarray | None] = (None, None)  # of which pass, and its order

    def __getitem__(self, position: int) -> int:
        """The index at ``position`` (0, 1, 2, ...)."""
        number, place = divmod(position, self.length)
        cached, order = self._permutation  # read once: another thread may replace it
        if cached != number:
            order = np.random.default_rng([self.seed, number, self.length]).permutation(self.length)
            self._permutation = (number, order)
        return int(order[place])
