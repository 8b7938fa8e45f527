"""Losses of a clip against its ground truth, mean over all values."""
from mindspore import ops

CHARBONNIER_EPSILON = 1e-9


def mse(clip, target):
    """Mean squared error (the RevSCI paper's code)."""
    return ((clip - target) ** 2).mean()


def charbonnier(clip, target):
    """Charbonnier loss, mean of sqrt(difference² + 1e-9) (the published VRT recipe)."""
    return ops.sqrt((clip - target) ** 2 + CHARBONNIER_EPSILON).mean()


LOSSES = {"mse": mse, "sqrt_mse": mse, "charbonnier": charbonnier}
SQRT_LOSSES = {"sqrt_mse"}
"""Losses that are the square root of their entry's mean over the whole batch (the toolbox that reproduces RevSCI)."""
