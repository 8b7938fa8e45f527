"""Losses of a clip against its ground truth, mean over all values."""
from mindspore import ops

CHARBONNIER_EPSILON = 1e-9


def mse(clip, target):
    """Mean squared error (the RevSCI paper's code)."""
    return ((clip - target) ** 2).mean()


def sqrt_mse(clip, target):
    """Square root of the mean squared error (the toolbox that reproduces RevSCI)."""
    return ops.sqrt(mse(clip, target))


def charbonnier(clip, target):
    """Charbonnier loss, mean of sqrt(difference² + 1e-9) (the published VRT recipe)."""
    return ops.sqrt((clip - target) ** 2 + CHARBONNIER_EPSILON).mean()


LOSSES = {"mse": mse, "sqrt_mse": sqrt_mse, "charbonnier": charbonnier}
