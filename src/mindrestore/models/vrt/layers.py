"""The layers VRT is made of, each a thin holder of weights named as published, and pieces that treat every token alike."""
import math
from typing import Sequence

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindrestore.models.convolutions import Convolution, Convolutions
from mindrestore.models.piece import Itemwise, Rearrangement, named
from mindrestore.native.convolutions import Layer
from mindrestore.native.tokens import TokenStep
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
    """The weights of a product, (..., inputs) -> (..., outputs)."""

    def __init__(self, inputs, outputs, rng, bias=True):
        super().__init__()
        self.weight = normal(rng, (outputs, inputs), "weight")
        self.bias = constant(outputs, "bias") if bias else None


class LayerNorm(nn.Cell):
    """The weights of a normalisation over the last axis."""

    def __init__(self, channels):
        super().__init__()
        self.weight = constant(channels, "weight", 1)
        self.bias = constant(channels, "bias")


class GatedMlp(nn.Cell):
    """The weights of fc2(gelu(fc11 x) · fc12 x), GEGLU (arXiv 2002.05202)."""

    def __init__(self, inputs, hidden, outputs, rng):
        super().__init__()
        self.fc11 = Linear(inputs, hidden, rng)
        self.fc12 = Linear(inputs, hidden, rng)
        self.fc2 = Linear(hidden, outputs, rng)


class Conv(nn.Cell):
    """The weights of a convolution of images, (N, inputs, H, W) -> (N, outputs, H, W), with an odd square kernel.

    ``published`` is the shape that the published weight has beyond (outputs, inputs), such as (1, 3, 3).
    """

    def __init__(self, inputs, outputs, rng, published=(3, 3), zero=False):
        super().__init__()
        shape, fan_in = (outputs, inputs, *published), inputs * math.prod(published)
        self.weight = constant(shape, "weight") if zero else uniform(rng, shape, "weight", fan_in)
        self.bias = constant(outputs, "bias") if zero else uniform(rng, (outputs,), "bias", fan_in)


class Tokenwise(Itemwise):
    """A piece that treats tokens, the vectors along the last axis, by themselves. Inputs and result: (..., channels)."""

    compiled = True

    def layout(self, *inputs):
        return inputs[0].shape[:-1]

    def enter(self, layout, x):
        return x.reshape(-1, x.shape[-1])

    def leave(self, layout, items):
        return items.reshape(*layout, items.shape[-1])


class NormedLinear(Tokenwise):
    """linear(norm x), or norm x alone."""

    def __init__(self, norm, linear=None):
        holders = {"norm": norm} if linear is None else {"norm": norm, "linear": linear}
        super().__init__(linear is None, **holders)
        self.normalises_only = linear is None

    def compute(self, w, shared, constants, x):
        x = layer_norm(x, w["norm.weight"], w["norm.bias"])
        return x if self.normalises_only else linear(x, w["linear.weight"], w["linear.bias"])

    def native(self, x):
        return TokenStep(x, named(self.names, self.weights))


class ResidualLinear(Tokenwise):
    """x + linear y, y normalised first where there is a norm."""

    def __init__(self, linear, norm=None):
        holders = {"linear": linear} if norm is None else {"norm": norm, "linear": linear}
        super().__init__(norm is not None, **holders)
        self.normalises = norm is not None

    def compute(self, w, shared, constants, x, y):
        if self.normalises:
            y = layer_norm(y, w["norm.weight"], w["norm.bias"])
        return x + linear(y, w["linear.weight"], w["linear.bias"])

    def native(self, x, y):
        return TokenStep(y, named(self.names, self.weights), added=x)


class GatedMlpOfTokens(Tokenwise):
    """``GatedMlp`` as a piece."""

    def __init__(self, mlp):
        super().__init__(mlp=mlp)

    def compute(self, w, shared, constants, x):
        return gated_mlp(w, "mlp", x)

    def native(self, x):
        return TokenStep(x, named(self.names, self.weights))


class Sum(Rearrangement):
    """x + y"""

    def compute(self, w, x, y):
        return x + y

    def adjoint(self, shapes, gradient):
        return gradient, gradient


def gated_mlp(w, name, x):
    """``GatedMlp`` of the weights called ``name`` as a pure function."""
    hidden = gelu(linear(x, w[name + ".fc11.weight"], w[name + ".fc11.bias"]))
    return linear(hidden * linear(x, w[name + ".fc12.weight"], w[name + ".fc12.bias"]),
                  w[name + ".fc2.weight"], w[name + ".fc2.bias"])


def convolutions(cells: Sequence[Conv], slopes: Sequence[float], shuffles: Sequence[int] = (), exact: bool = False):
    """Return ``Convolutions`` of images, each with zeros around.

    slopes: of LeakyReLU behind each, below zero; 1 for none; shuffles: factors of pixel shuffle behind each; exact: in float32
    whatever the precision.
    """
    function = _exact if exact else _convolved
    return Convolutions([Convolution(cell, function, Layer("same", shuffle, slope))
                         for cell, slope, shuffle in zip(cells, slopes, shuffles or [1] * len(cells))], settings=exact)


def _convolved(x, weight, bias):
    return _same_size(x, weight, bias, False)


def _exact(x, weight, bias):
    return _same_size(x, weight, bias, True)


def _same_size(x, weight, bias, exact):
    kernel = weight.shape[-1]
    return conv2d(x, weight.reshape(*weight.shape[:2], kernel, kernel), bias, kernel // 2, exact=exact)


def pixels_last(features):
    """Channels last to channels first: (..., H, W, C) -> (..., C, H, W)."""
    *front, height, width, channels = features.shape
    return features.reshape(-1, height * width, channels).permute(0, 2, 1).reshape(*front, channels, height, width)


def channels_last(features):
    """Channels first to channels last: (..., C, H, W) -> (..., H, W, C)."""
    *front, channels, height, width = features.shape
    return features.reshape(-1, channels, height * width).permute(0, 2, 1).reshape(*front, height, width, channels)
