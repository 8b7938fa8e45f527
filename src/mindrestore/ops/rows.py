"""Arithmetic that broadcasts, and operations on rows of features, in forms that are fast on a CPU.

MindSpore's CPU operators broadcast element by element, ten times slower than they add or multiply equal shapes; copying
the smaller operand to the full shape first takes a tenth of that. Other devices broadcast directly.
"""

from __future__ import annotations

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.ops import constexpr

from mindrestore.ops.half_precision import product
from mindrestore.runtime import device

EPSILON = 1e-5  # of normalisation, as the published networks have it


@constexpr(reuse_result=False)
def _copies_first() -> bool:
    """Ask for the device while a graph is compiled, as compiled code cannot."""
    return device.name() == "cpu"


@constexpr
def _ones(columns: int) -> Tensor:
    return Tensor(np.ones((1, columns), np.float32))


def repeated(x: Tensor, count: int) -> Tensor:
    """Repeat x ``count`` times along axis 0: (S, ...) -> (count · S, ...)."""
    return x if count == 1 else ops.tile(x, (count,) + (1,) * (x.ndim - 1))


def spread(column: Tensor, count: int) -> Tensor:
    """Repeat each number ``count`` times along a new last axis: (P,) -> (P, count)."""
    column = column.reshape(-1, 1)
    return ops.MatMul()(column, _ones(count)) if _copies_first() else ops.broadcast_to(column, (column.shape[0], count))


class Permuted(nn.Cell):
    """Permute rows, (P, C) -> (P, C), by a gather, because a transpose is slow on a CPU; its gradient is a gather too.

    order: (P,) int32, the row that goes to each place; inverse: the inverse permutation.
    """

    def construct(self, rows: Tensor, order: Tensor, inverse: Tensor) -> Tensor:
        return ops.gather(rows, order, 0)

    def bprop(self, rows: Tensor, order: Tensor, inverse: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return ops.gather(dout, inverse, 0), ops.zeros_like(order), ops.zeros_like(inverse)


def scaled(rows: Tensor, factors: Tensor) -> Tensor:
    """Multiply each row by its factor: (P, C), (P,) -> (P, C)."""
    return rows * spread(factors, rows.shape[1])


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x @ weight.T + bias along the last axis: (..., inputs), (outputs, inputs), (outputs,) -> (..., outputs)."""
    y = product(ops.MatMul(transpose_b=True), x.reshape(-1, x.shape[-1]), weight)
    if bias is not None:
        y = ops.BiasAdd()(y, bias)
    return y.reshape(*x.shape[:-1], weight.shape[0])


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Normalise the last axis, with the epsilon of the published networks. x: (..., C); weight, bias: (C,)."""
    return ops.LayerNorm(begin_norm_axis=-1, begin_params_axis=-1, epsilon=EPSILON)(x, weight, bias)[0]
