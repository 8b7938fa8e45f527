"""3-D convolutions from 2-D ones, frame by frame: on a CPU two to five times as fast as Conv3d.

Features are (B, T, C, H, W), frames before channels, so that no convolution has to transpose.
"""

from __future__ import annotations

from mindspore import Tensor, nn, ops
from mindspore.ops import constexpr

from mindrestore.ops import temporal_winograd
from mindrestore.ops.convolution_images import conv2d
from mindrestore.ops.half_precision import product

CHANNEL_AXIS = 2
FEW_CHANNELS = 4  # below so many outputs, concatenating neighbouring frames takes longer than the convolution itself


@constexpr
def _transforms(frames: int) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(Tensor(matrix) for matrix in temporal_winograd.of_frames(frames))


def to_features(clip: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B, T, C, H, W)"""
    return clip.permute(0, 2, 1, 3, 4)


def from_features(features: Tensor) -> Tensor:
    """(B, T, C, H, W) -> (B, C, T, H, W)"""
    return features.permute(0, 2, 1, 3, 4)


def conv3d(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1) -> Tensor:
    """Convolve with zero padding of half the kernel; ``stride`` is of height and width.

    x: (B, T, Cin, H, W); weight: (Cout, Cin, kt, k, k) with odd kt and k; bias: (Cout,).
    Returns (B, T, Cout, H / stride, W / stride).
    """
    taps = weight.shape[2]
    if taps == 1:
        return _framewise(x, weight[:, :, 0], bias, stride)
    if weight.shape[0] < FEW_CHANNELS:
        return _taps_as_outputs(x, weight, bias, stride)
    if taps == temporal_winograd.TAPS:
        return _winograd(x, weight, bias, stride)
    return _taps_as_inputs(x, weight, bias, stride)


def conv3d_transpose(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Double height and width, frame by frame: kernel (1, 3, 3), stride 2, padding 1, output padding 1.

    x: (B, T, Cin, H, W); weight: (Cin, Cout, 1, 3, 3); bias: (Cout,). Returns (B, T, Cout, 2 H, 2 W).
    """
    batch, frames, channels, height, width = x.shape
    outputs = weight.shape[1]
    upsample = ops.Conv2DTranspose(channels, 3, pad_mode="pad", pad=(1, 0, 1, 0), stride=2)
    size = (batch * frames, outputs, 2 * height, 2 * width)

    def double(x: Tensor, weight: Tensor) -> Tensor:
        return upsample(x, weight, size)

    y = product(double, x.reshape(batch * frames, channels, height, width), weight[:, :, 0])
    return (y + bias.reshape(1, -1, 1, 1)).reshape(batch, frames, outputs, 2 * height, 2 * width)


def _conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int = 1) -> Tensor:
    if stride == 1 and groups > 1:
        channels = x.shape[1]
        return ops.BiasAdd()(product(SamePaddingConv2d(channels, weight.shape[0], weight.shape[-1], groups), x, weight), bias)
    return conv2d(x, weight, bias, padding=weight.shape[-1] // 2, stride=stride, groups=groups)


class SamePaddingConv2d(nn.Cell):
    """Grouped convolution of stride 1 and odd kernel whose gradient with respect to the input is a convolution too.

    On a CPU that takes half the time of oneDNN's backward-data pass.
    x: (N, channels, H, W); weight: (outputs, channels / groups, k, k). Returns (N, outputs, H, W).
    """

    def __init__(self, channels: int, outputs: int, kernel: int, groups: int) -> None:
        super().__init__()
        same = dict(pad_mode="pad", pad=(kernel // 2,) * 4, group=groups)
        self.grouped_shape = (groups, outputs // groups, channels // groups, kernel * kernel)
        self.mirrored_shape = (channels, outputs // groups, kernel, kernel)
        self.convolve = ops.Conv2D(outputs, kernel, **same)
        self.convolve_back = ops.Conv2D(channels, kernel, **same)
        self.gradient = ops.GradOperation(sens_param=True)  # with respect to the first argument

    def construct(self, x: Tensor, weight: Tensor) -> Tensor:
        return self.convolve(x, weight)

    def of_weight(self, weight: Tensor, x: Tensor) -> Tensor:
        return self.convolve(x, weight)

    def bprop(self, x: Tensor, weight: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        mirrored = ops.flip(weight.reshape(self.grouped_shape).permute(0, 2, 1, 3), (3,)).reshape(self.mirrored_shape)
        return self.convolve_back(dout, mirrored), self.gradient(self.of_weight)(weight, x, dout)


def _framewise(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    batch, frames, channels, height, width = x.shape
    y = _conv2d(x.reshape(batch * frames, channels, height, width), weight, bias, stride)
    return y.reshape(batch, frames, *y.shape[1:])


def _winograd(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    batch, frames, channels, height, width = x.shape
    outputs = weight.shape[0]
    output, kernel, data = _transforms(frames)
    products = kernel.shape[0]  # of one tile
    tiles = data.shape[0] // products

    d = _over_time(data, x.reshape(batch, frames, -1))
    d = d.reshape(batch * tiles, products * channels, height, width)
    g = ops.matmul(kernel, weight.permute(2, 0, 1, 3, 4).reshape(temporal_winograd.TAPS, -1))
    g = g.reshape(products * outputs, channels, weight.shape[3], weight.shape[4])
    zeros = ops.zeros_like(bias)
    biases = ops.cat([bias if row == temporal_winograd.POINT_ONE else zeros for row in range(products)])
    y = _conv2d(d, g, biases, stride, groups=products)

    height, width = y.shape[2:]
    y = _over_time(output, y.reshape(batch, tiles * products, -1))
    return y.reshape(batch, frames, outputs, height, width)


def _over_time(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply every clip of ``x`` (B, frames, P) by ``matrix`` (rows, frames): (B, rows, P).

    ``ops.matmul`` takes the same time, but in a graph of free height and width it loses the sizes that are known, with a
    warning at every load.
    """
    return ops.BatchMatMul()(ops.tile(matrix, (x.shape[0], 1, 1)), x)


def _taps_as_inputs(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Convolve every frame together with its neighbours, which are further input channels."""
    batch, frames, channels, height, width = x.shape
    outputs, _, taps, kernel, _ = weight.shape
    margin = ops.zeros((batch, taps // 2, channels, height, width), x.dtype)
    padded = ops.cat((margin, x, margin), 1)
    neighbours = ops.cat([padded[:, tap : tap + frames] for tap in range(taps)], 2)
    weight = weight.permute(0, 2, 1, 3, 4).reshape(outputs, taps * channels, kernel, kernel)
    return _framewise(neighbours, weight, bias, stride)


def _taps_as_outputs(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Convolve every frame with all taps at once, which are further output channels, then sum over time."""
    outputs, channels, taps, kernel, _ = weight.shape
    weight = weight.permute(2, 0, 1, 3, 4).reshape(taps * outputs, channels, kernel, kernel)
    products = _framewise(x, weight, None, stride)  # (B, T, taps * Cout, H, W)
    batch, frames, _, height, width = products.shape
    margin = ops.zeros((batch, taps // 2, taps * outputs, height, width), x.dtype)
    padded = ops.cat((margin, products, margin), 1)
    y = bias.reshape(1, 1, -1, 1, 1)
    for tap in range(taps):
        y = y + padded[:, tap : tap + frames, tap * outputs : (tap + 1) * outputs]
    return y
