"""Convolution of images by the operator of the device."""

from __future__ import annotations

from mindspore import Tensor, ops

from mindrestore.ops.half_precision import product


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    padding: int = 0,
    stride: int = 1,
    groups: int = 1,
    exact: bool = False,
) -> Tensor:
    """Convolve with a square kernel and ``padding`` zeros around the image.

    x: (N, inputs, H, W); weight: (outputs, inputs / groups, k, k); bias: (outputs,); exact: compute in float32 whatever
    ``runtime.precision`` says. Returns (N, outputs, H', W').
    """
    convolve = ops.Conv2D(weight.shape[0], weight.shape[-1], pad_mode="pad", pad=padding, stride=stride, group=groups)
    y = convolve(x, weight) if exact else product(convolve, x, weight)
    return y if bias is None else ops.BiasAdd()(y, bias)
