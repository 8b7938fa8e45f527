"""Losses of a restored clip against its ground truth, of one shape: a scalar, the mean over all values."""

from __future__ import annotations

from mindspore import Tensor, ops

CHARBONNIER_EPSILON = 1e-9


def mse(clip: Tensor, target: Tensor) -> Tensor:
    """Mean squared error (the RevSCI paper's code)."""
    return ((clip - target) ** 2).mean()


def charbonnier(clip: Tensor, target: Tensor) -> Tensor:
    """Charbonnier loss, mean of sqrt(difference² + 1e-9) (the published VRT recipe)."""
    return ops.sqrt((clip - target) ** 2 + CHARBONNIER_EPSILON).mean()


LOSSES = {"mse": mse, "sqrt_mse": mse, "charbonnier": charbonnier}
SQRT_LOSSES = {"sqrt_mse"}
"""Losses that are the square root of their ``LOSSES``, taken of the whole batch (the toolbox that reproduces RevSCI)."""
