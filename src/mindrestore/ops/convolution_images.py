"""Convolution of images."""
from mindspore import ops

from mindrestore.ops.half_precision import product


def conv2d(x, weight, bias=None, padding=0, stride=1, groups=1, exact=False):
    """Convolve with zero padding.

    x: (N, inputs, H, W); weight: (outputs, inputs / groups, k, k); bias: (outputs,); exact: in float32 whatever the precision.
    Returns (N, outputs, H', W').
    """
    def convolve(x, weight):
        return ops.conv2d(x, weight, pad_mode="pad", padding=padding, stride=stride, groups=groups)
    y = convolve(x, weight) if exact else product(convolve, x, weight)
    return y if bias is None else ops.bias_add(y, bias)
