"""Gradients of networks with very many parameters."""

import numpy as np
import pytest
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindrestore.training.gradients import whole_gradients

COUNT = 1100  # published task 001 has 1542; MindSpore refuses 1000 calls within each other, which a loop in a graph is


class Product(nn.Cell):
    """Multiplies each number by a parameter of its own."""

    def __init__(self):
        super().__init__()
        self.weights = ParameterTuple([Parameter(Tensor([float(number)]), name=f"w{number}") for number in range(COUNT)])

    def construct(self, x):
        return ops.cat(self.weights) * x


def weighted_sum(output, target):
    return (output * target).sum()


@pytest.mark.long
def test_more_than_a_thousand_parameters(prepared):
    x = np.arange(COUNT, dtype=np.float32)
    value, gradients = whole_gradients(Product(), weighted_sum)(Tensor(np.ones(COUNT, np.float32)), Tensor(x))
    assert np.array_equal(np.concatenate([gradient.asnumpy() for gradient in gradients]), x)
    assert np.isclose(value.asnumpy(), (x.astype(np.float64) ** 2).sum(), 1e-5)
