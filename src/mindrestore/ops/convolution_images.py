"""Convolution of images by the device's own operator."""
from mindspore import ops

from mindrestore.ops.half_precision import product


def conv2d(x, weight, bias=None, padding=0, stride=1, groups=1, exact=False):
    """Convolve with a square kernel and ``padding`` zeros around the image.

    x: (N, inputs, H, W); weight: (outputs, inputs / groups, k, k); bias: (outputs,); exact: in float32 whatever the precision.
    Returns (N, outputs, H', W').
    """
    convolve = ops.Conv2D(weight.shape[0], weight.shape[-1], pad_mode="pad", pad=padding, stride=stride, group=groups)
    y = convolve(x, weight) if exact else product(convolve, x, weight)
    return y if bias is None else ops.BiasAdd()(y, bias)
