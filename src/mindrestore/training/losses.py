"""Losses of a clip against its ground truth, mean over all values."""
from mindspore import ops


def mse(clip, target):
    """Mean squared error (the RevSCI paper's code)."""
    return ((clip - target) ** 2).mean()


def sqrt_mse(clip, target):
    """Square root of the mean squared error (the toolbox that reproduces RevSCI)."""
    return ops.sqrt(mse(clip, target))


LOSSES = {"mse": mse, "sqrt_mse": sqrt_mse}
