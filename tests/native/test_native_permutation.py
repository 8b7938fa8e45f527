"""Axes in another order by the native operator: NumPy's result for all shapes, and that of the pieces that use it."""

import itertools

import numpy as np
import pytest
from builders import needs_compiler
from mindspore import Tensor

from mindrestore.executor import Piecewise
from mindrestore.models.vrt.ends import ChannelsLast, PixelsLast
from mindrestore.models.vrt.stage import Down, Up
from mindrestore.native.permutation import Permutation

pytestmark = [pytest.mark.usefixtures("prepared"), needs_compiler]


@pytest.mark.parametrize("split", [(7,), (5, 3), (3, 70, 300), (2, 1, 65, 3), (3, 2, 9, 2, 5), (2, 3, 1, 4, 5, 7)])
def test_every_order_is_that_of_numpy(split):
    x = np.random.default_rng(0).random(split, np.float32)
    orders = list(itertools.permutations(range(len(split))))
    for order in orders[:: 1 + len(orders) // 60]:
        y = Permutation(Tensor(x.reshape(-1)), split, order, (x.size, 1)).forward().asnumpy()
        np.testing.assert_array_equal(y, x.transpose(order).reshape(-1, 1))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_many_numbers_are_shared_by_threads(threads, monkeypatch):
    monkeypatch.setattr("mindrestore.native.permutation.threads", lambda: threads)
    x = np.random.default_rng(0).random((3, 24, 130, 41), np.float32)
    y = Permutation(Tensor(x), (3, 24, 130 * 41), (0, 2, 1), (3, 130, 41, 24)).forward().asnumpy()
    np.testing.assert_array_equal(y, x.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("piece", [Down, Up, PixelsLast, ChannelsLast])
def test_pieces_are_equal_to_mindspores(piece):
    piece, x = piece(), Tensor(np.random.default_rng(0).random((2, 3, 6, 10, 8), np.float32))
    assert isinstance(piece.native(x), Permutation)
    by_operator, without = Piecewise(piece)(x).asnumpy(), piece.compute({}, x).asnumpy()
    assert by_operator.shape == without.shape
    np.testing.assert_array_equal(by_operator, without)
