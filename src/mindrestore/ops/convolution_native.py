"""3-D convolutions by the operators of the device, for GPU and Ascend. Features are (B, C, T, H, W).

The Ascend operators take float16 only (documented, untested here), so operands are cast where ``runtime.device`` says so.
"""

from __future__ import annotations

from collections.abc import Callable

from mindspore import Tensor, ops
from mindspore.ops import constexpr

from mindrestore.ops.half_precision import in_float16, product
from mindrestore.runtime import device

CHANNEL_AXIS = 1


@constexpr(reuse_result=False)
def _takes_float16_only() -> bool:
    """Ask the device while a graph is compiled, as compiled code cannot."""
    return device.convolves_in_float16()


def to_features(clip: Tensor) -> Tensor:
    """(B, C, T, H, W), as it is."""
    return clip


def from_features(features: Tensor) -> Tensor:
    """(B, C, T, H, W), as it is."""
    return features


def conv3d(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1) -> Tensor:
    """As ``convolution_frames.conv3d``, for x (B, Cin, T, H, W); returns (B, Cout, T, H / stride, W / stride)."""
    _, _, taps, kernel, _ = weight.shape
    around = (taps // 2,) * 2 + (kernel // 2,) * 4
    convolve = ops.Conv3D(weight.shape[0], (taps, kernel, kernel), pad_mode="pad", pad=around, stride=(1, stride, stride))
    return _product(convolve, x, weight) + bias.reshape(1, -1, 1, 1, 1)


def conv3d_transpose(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As ``convolution_frames.conv3d_transpose``, for x (B, Cin, T, H, W); returns (B, Cout, T, 2 H, 2 W)."""
    channels, outputs = weight.shape[:2]
    upsample = ops.Conv3DTranspose(
        channels, outputs, (1, 3, 3), pad_mode="pad", pad=(0, 0, 1, 1, 1, 1), stride=(1, 2, 2), output_padding=(0, 1, 1)
    )
    return _product(upsample, x, weight) + bias.reshape(1, -1, 1, 1, 1)


def _product(convolve: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor) -> Tensor:
    return in_float16(convolve, x, weight) if _takes_float16_only() else product(convolve, x, weight)
