"""Axes in another order by the native operator: NumPy's result for all shapes, and that of the pieces that use it."""

import itertools

import numpy as np
import pytest
from builders import needs_compiler
from mindspore import Parameter, Tensor, nn

from mindrestore.executor import Piecewise, Tape
from mindrestore.models.piece import Piece
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


@pytest.mark.parametrize("kind", [Down, Up, PixelsLast, ChannelsLast])
def test_adjoints_are_equal_to_mindspores_and_what_a_tape_takes(kind, monkeypatch):
    rng, taken = np.random.default_rng(0), []
    piece, x = kind(), Tensor(rng.random((2, 3, 6, 10, 8), np.float32))
    weight = Parameter(Tensor(rng.random(x.shape, np.float32)), name="weight")
    result = piece.compute({}, x)
    gradient = Tensor(rng.random(result.shape, np.float32))
    (expected,) = piece.adjoint([x.shape], gradient)
    np.testing.assert_array_equal(piece.native_adjoint([x.shape], gradient).forward().asnumpy(), expected.asnumpy())

    adjoint = kind.native_adjoint
    monkeypatch.setattr(kind, "native_adjoint", lambda *given: taken.append(given) or adjoint(*given))
    network = nn.SequentialCell(Scaled(weight=weight), piece)
    _, (found,) = Tape(network, [weight]).value_and_gradients(lambda y: (y * gradient).sum(), x)
    np.testing.assert_allclose(found.asnumpy(), (expected * x).asnumpy(), rtol=1e-6)
    assert len(taken) == 1


class Scaled(Piece):
    """Its input times a weight of the same shape."""

    def compute(self, w, x):
        return x * w["weight"]
