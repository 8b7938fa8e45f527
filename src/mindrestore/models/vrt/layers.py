"""The layers of VRT: cells that hold weights named as published, and pieces that compute with them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindrestore.models.convolutions import Convolution, Convolutions
from mindrestore.models.piece import Itemwise, Rearrangement, Shape, Weights, named
from mindrestore.native.convolutions import Layer
from mindrestore.native.permutation import Permutation
from mindrestore.native.tokens import TokenStep
from mindrestore.ops.activations import gelu
from mindrestore.ops.convolution_images import conv2d
from mindrestore.ops.rows import layer_norm, linear

Axes = tuple[Shape, tuple[int, ...], Shape]  # what ``reordered`` takes beside its tensor
SMALL = 0.02  # standard deviation of first weights of linear layers, as published


def normal(rng: np.random.Generator, shape: tuple[int, ...], name: str, deviation: float = SMALL) -> Parameter:
    """Return a parameter with first values from a normal distribution of mean 0."""
    return Parameter(Tensor(deviation * rng.standard_normal(shape, np.float32)), name=name)


def uniform(rng: np.random.Generator, shape: tuple[int, ...], name: str, fan_in: int) -> Parameter:
    """Return a parameter with first values uniform in ±1/sqrt(fan_in)."""
    bound = np.float32(1 / math.sqrt(fan_in))
    return Parameter(Tensor((2 * rng.random(shape, np.float32) - 1) * bound), name=name)


def constant(shape: int | tuple[int, ...], name: str, value: float = 0) -> Parameter:
    """Return a parameter with all first values equal."""
    return Parameter(Tensor(np.full(shape, value, np.float32)), name=name)


class Linear(nn.Cell):
    """The weights of a product, (..., inputs) -> (..., outputs)."""

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator, bias: bool = True) -> None:
        super().__init__()
        self.weight = normal(rng, (outputs, inputs), "weight")
        self.bias = constant(outputs, "bias") if bias else None


class LayerNorm(nn.Cell):
    """The weights of a normalisation over the last axis."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = constant(channels, "weight", 1)
        self.bias = constant(channels, "bias")


class GatedMlp(nn.Cell):
    """The weights of fc2(gelu(fc11 x) · fc12 x), GEGLU (arXiv 2002.05202)."""

    def __init__(self, inputs: int, hidden: int, outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.fc11 = Linear(inputs, hidden, rng)
        self.fc12 = Linear(inputs, hidden, rng)
        self.fc2 = Linear(hidden, outputs, rng)


class Conv(nn.Cell):
    """The weights of a convolution of images, (N, inputs, H, W) -> (N, outputs, H, W), with an odd square kernel.

    ``published`` is the shape that the published weight has beyond (outputs, inputs), such as (1, 3, 3).
    """

    def __init__(
        self, inputs: int, outputs: int, rng: np.random.Generator, published: tuple[int, ...] = (3, 3), zero: bool = False
    ) -> None:
        super().__init__()
        shape, fan_in = (outputs, inputs, *published), inputs * math.prod(published)
        self.weight = constant(shape, "weight") if zero else uniform(rng, shape, "weight", fan_in)
        self.bias = constant(outputs, "bias") if zero else uniform(rng, (outputs,), "bias", fan_in)


class Tokenwise(Itemwise):
    """A piece whose items are tokens, the vectors along the last axis. Inputs and result: (..., channels)."""

    compiled = True

    def layout(self, *inputs: Tensor) -> Shape:
        return inputs[0].shape[:-1]

    def enter(self, layout: Shape, x: Tensor) -> Tensor:
        return x.reshape(-1, x.shape[-1])

    def leave(self, layout: Shape, items: Tensor) -> Tensor:
        return items.reshape(*layout, items.shape[-1])


class NormedLinear(Tokenwise):
    """linear(norm(x)), or norm(x) without ``linear``."""

    def __init__(self, norm: LayerNorm, linear: Linear | None = None) -> None:
        holders = {"norm": norm} if linear is None else {"norm": norm, "linear": linear}
        super().__init__(linear is None, **holders)
        self.normalises_only = linear is None

    def compute(self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], x: Tensor) -> Tensor:
        x = layer_norm(x, w["norm.weight"], w["norm.bias"])
        return x if self.normalises_only else linear(x, w["linear.weight"], w["linear.bias"])

    def native(self, x: Tensor) -> TokenStep:
        return TokenStep(x, named(self.names, self.weights))


class ResidualLinear(Tokenwise):
    """x + linear(y), or x + linear(norm(y)) with ``norm``."""

    def __init__(self, linear: Linear, norm: LayerNorm | None = None) -> None:
        holders = {"linear": linear} if norm is None else {"norm": norm, "linear": linear}
        super().__init__(norm is not None, **holders)
        self.normalises = norm is not None

    def compute(self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], x: Tensor, y: Tensor) -> Tensor:
        if self.normalises:
            y = layer_norm(y, w["norm.weight"], w["norm.bias"])
        return x + linear(y, w["linear.weight"], w["linear.bias"])

    def native(self, x: Tensor, y: Tensor) -> TokenStep:
        return TokenStep(y, named(self.names, self.weights), added=x)


class GatedMlpOfTokens(Tokenwise):
    """``GatedMlp`` as a piece."""

    def __init__(self, mlp: GatedMlp) -> None:
        super().__init__(mlp=mlp)

    def compute(self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], x: Tensor) -> Tensor:
        return gated_mlp(w, "mlp", x)

    def native(self, x: Tensor) -> TokenStep:
        return TokenStep(x, named(self.names, self.weights))


class Reordering(Rearrangement):
    """Axes in another order."""

    def axes(self, shape: Shape) -> Axes:
        """Return what ``reordered`` takes for an input of ``shape``."""
        raise NotImplementedError

    def compute(self, w: Weights, x: Tensor) -> Tensor:
        return reordered(x, *self.axes(x.shape))

    def native(self, x: Tensor) -> Permutation:
        return Permutation(x, *self.axes(x.shape))

    def adjoint(self, shapes: Sequence[Shape], gradient: Tensor) -> tuple[Tensor]:
        return (reordered(gradient, *self._axes_back(shapes[0])),)

    def native_adjoint(self, shapes: Sequence[Shape], gradient: Tensor) -> Permutation:
        return Permutation(gradient, *self._axes_back(shapes[0]))

    def _axes_back(self, shape: Shape) -> Axes:
        split, order, _ = self.axes(shape)
        return [split[axis] for axis in order], np.argsort(order).tolist(), shape


class Sum(Rearrangement):
    """x + y"""

    def compute(self, w: Weights, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def adjoint(self, shapes: Sequence[Shape | None], gradient: Tensor) -> tuple[Tensor, Tensor]:
        return gradient, gradient


def gated_mlp(w: Weights, name: str, x: Tensor) -> Tensor:
    """``GatedMlp`` of the weights called ``name`` as a pure function."""
    hidden = gelu(linear(x, w[name + ".fc11.weight"], w[name + ".fc11.bias"]))
    return linear(
        hidden * linear(x, w[name + ".fc12.weight"], w[name + ".fc12.bias"]), w[name + ".fc2.weight"], w[name + ".fc2.bias"]
    )


def convolutions(
    cells: Sequence[Conv], slopes: Sequence[float], shuffles: Sequence[int] = (), exact: bool = False
) -> Convolutions:
    """Return ``Convolutions`` of images, each padded with zeros to its own size.

    slopes: of the LeakyReLU behind each, below zero; 1 for none; shuffles: factors of the pixel shuffle behind each; exact: in
    float32 whatever the precision.
    """
    function = _convolved_exactly if exact else _convolved
    return Convolutions(
        [
            Convolution(cell, function, Layer("same", shuffle, slope))
            for cell, slope, shuffle in zip(cells, slopes, shuffles or [1] * len(cells))
        ],
        settings=exact,
    )


def _convolved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return _padded_convolution(x, weight, bias, False)


def _convolved_exactly(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return _padded_convolution(x, weight, bias, True)


def _padded_convolution(x: Tensor, weight: Tensor, bias: Tensor, exact: bool) -> Tensor:
    kernel = weight.shape[-1]
    return conv2d(x, weight.reshape(*weight.shape[:2], kernel, kernel), bias, kernel // 2, exact=exact)


def reordered(x: Tensor, split: Shape, order: Sequence[int], shape: Shape) -> Tensor:
    """Return x with its axes split, put into another order, and joined to ``shape``; the first of ``split`` may be -1."""
    return x.reshape(*split).permute(*order).reshape(*shape)


def pixels_last(features: Tensor) -> Tensor:
    """Channels last to channels first: (..., H, W, C) -> (..., C, H, W)."""
    return reordered(features, *pixels_last_axes(features.shape))


def channels_last(features: Tensor) -> Tensor:
    """Channels first to channels last: (..., C, H, W) -> (..., H, W, C)."""
    return reordered(features, *channels_last_axes(features.shape))


def pixels_last_axes(shape: Shape) -> Axes:
    """Return what ``reordered`` takes for ``pixels_last``."""
    *front, height, width, channels = shape
    return (-1, height * width, channels), (0, 2, 1), (*front, channels, height, width)


def channels_last_axes(shape: Shape) -> Axes:
    """Return what ``reordered`` takes for ``channels_last``."""
    *front, channels, height, width = shape
    return (-1, channels, height * width), (0, 2, 1), (*front, height, width, channels)
