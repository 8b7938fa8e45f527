"""The layers VRT is made of, each a thin holder of weights named as published."""
import math

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindrestore.ops.activations import gelu
from mindrestore.ops.convolution_images import conv2d
from mindrestore.ops.rows import layer_norm, linear

SMALL = 0.02  # standard deviation of first weights of linear layers, as published


def normal(rng, shape, name, deviation=SMALL):
    """Return a parameter of normal first values."""
    return Parameter(Tensor(deviation * rng.standard_normal(shape, np.float32)), name=name)


def uniform(rng, shape, name, fan_in):
    """Return a parameter of first values uniform in ±1/sqrt(fan_in)."""
    bound = np.float32(1 / math.sqrt(fan_in))
    return Parameter(Tensor((2 * rng.random(shape, np.float32) - 1) * bound), name=name)


def constant(shape, name, value=0):
    """Return a parameter of one first value."""
    return Parameter(Tensor(np.full(shape, value, np.float32)), name=name)


class Linear(nn.Cell):
    """(..., inputs) -> (..., outputs)"""

    def __init__(self, inputs, outputs, rng, bias=True):
        super().__init__()
        self.weight = normal(rng, (outputs, inputs), "weight")
        self.bias = constant(outputs, "bias") if bias else None

    def construct(self, x):
        return linear(x, self.weight, self.bias)


class LayerNorm(nn.Cell):
    """Over the last axis."""

    def __init__(self, channels):
        super().__init__()
        self.weight = constant(channels, "weight", 1)
        self.bias = constant(channels, "bias")

    def construct(self, x):
        return layer_norm(x, self.weight, self.bias)


class GatedMlp(nn.Cell):
    """fc2(gelu(fc11 x) · fc12 x), GEGLU (arXiv 2002.05202)."""

    def __init__(self, inputs, hidden, outputs, rng):
        super().__init__()
        self.fc11 = Linear(inputs, hidden, rng)
        self.fc12 = Linear(inputs, hidden, rng)
        self.fc2 = Linear(hidden, outputs, rng)

    def construct(self, x):
        return gated_mlp(x, self.fc11.weight, self.fc11.bias, self.fc12.weight, self.fc12.bias,
                         self.fc2.weight, self.fc2.bias)


class Conv(nn.Cell):
    """Convolution of images, (N, inputs, H, W) -> (N, outputs, H, W); odd square kernel, zero padding of half of it.

    ``published`` is the shape that the published weight has beyond (outputs, inputs), such as (1, 3, 3); ``exact`` convolves
    in float32 whatever the precision.
    """

    def __init__(self, inputs, outputs, rng, published=(3, 3), zero=False, padding=None, exact=False):
        super().__init__()
        self.exact = exact
        shape, fan_in = (outputs, inputs, *published), inputs * math.prod(published)
        self.kernel = published[-1]
        self.padding = self.kernel // 2 if padding is None else padding
        self.weight = constant(shape, "weight") if zero else uniform(rng, shape, "weight", fan_in)
        self.bias = constant(outputs, "bias") if zero else uniform(rng, (outputs,), "bias", fan_in)

    def construct(self, x):
        outputs, inputs = self.weight.shape[:2]
        weight = self.weight.reshape(outputs, inputs, self.kernel, self.kernel)
        return conv2d(x, weight, self.bias, self.padding, exact=self.exact)


def gated_mlp(x, weight11, bias11, weight12, bias12, weight2, bias2):
    """``GatedMlp`` as a pure function."""
    return linear(gelu(linear(x, weight11, bias11)) * linear(x, weight12, bias12), weight2, bias2)


def pixels_last(features):
    """Channels last to channels first: (..., H, W, C) -> (..., C, H, W)."""
    *front, height, width, channels = features.shape
    return features.reshape(-1, height * width, channels).permute(0, 2, 1).reshape(*front, channels, height, width)


def channels_last(features):
    """Channels first to channels last: (..., C, H, W) -> (..., H, W, C)."""
    *front, channels, height, width = features.shape
    return features.reshape(-1, channels, height * width).permute(0, 2, 1).reshape(*front, height, width, channels)
