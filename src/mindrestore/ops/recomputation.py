"""Recomputation: what a function would keep for its gradient is computed a second time when the gradient is taken."""
from mindspore import nn


class Recomputed(nn.Cell):
    """``function(*tensors)``, of which nothing is kept for its gradient but its arguments and its result."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.recompute()

    def construct(self, *tensors):
        return self.function(*tensors)
