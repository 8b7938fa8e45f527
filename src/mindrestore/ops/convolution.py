"""3-D convolution that is fast where it runs: frame by frame on a CPU, the device's own operator elsewhere.

Both implementations take parameters in the published shapes and define the same four functions and one constant:
``conv3d``, ``conv3d_transpose``, ``to_features``, ``from_features`` and ``CHANNEL_AXIS``. They differ in the layout of
features, so a network uses one implementation for all its layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindrestore.ops import convolution_frames, convolution_native
from mindrestore.runtime import device

Convolution = Callable[..., Tensor]  # (x, weight, bias) -> y, or with the stride


def implementation() -> ModuleType:
    """Return the module whose convolutions are fast on the device in use: ``convolution_frames`` or ``convolution_native``."""
    return convolution_frames if device.name() == "cpu" else convolution_native


def initial_weight(rng: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> Tensor:
    """Return a weight uniform in ±1/sqrt(fan_in), as the published networks were initialised."""
    bound = 1 / math.sqrt(fan_in)
    return Tensor(rng.uniform(-bound, bound, shape).astype(np.float32))


class Conv3d(nn.Cell):
    """Convolution with odd kernel (kt, k, k), zero padding of half the kernel, stride of height and width, bias.

    Parameters: ``weight`` (outputs, inputs, kt, k, k) and ``bias`` (outputs,), as in the published checkpoints.
    ``function(x, weight, bias)`` is the layer as a pure function. using: the module of the convolution, by default
    ``implementation()``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: tuple[int, int, int],
        rng: np.random.Generator,
        stride: int = 1,
        using: ModuleType | None = None,
    ) -> None:
        super().__init__()
        shape = (outputs, inputs, *kernel)
        fan_in = inputs * math.prod(kernel)
        self.weight = Parameter(initial_weight(rng, shape, fan_in), name="weight")
        self.bias = Parameter(initial_weight(rng, (outputs,), fan_in), name="bias")
        self.stride = stride
        self.function = _strided((using or implementation()).conv3d, stride)

    def construct(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight, self.bias)


class Conv3dTranspose(nn.Cell):
    """Transposed convolution that doubles height and width: kernel (1, 3, 3), stride 2, bias.

    Parameters: ``weight`` (inputs, outputs, 1, 3, 3) and ``bias`` (outputs,), as in the published checkpoints.
    """

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator, using: ModuleType | None = None) -> None:
        super().__init__()
        fan_in = outputs * 9
        self.weight = Parameter(initial_weight(rng, (inputs, outputs, 1, 3, 3), fan_in), name="weight")
        self.bias = Parameter(initial_weight(rng, (outputs,), fan_in), name="bias")
        self.function = (using or implementation()).conv3d_transpose

    def construct(self, x: Tensor) -> Tensor:
        return self.function(x, self.weight, self.bias)


def _strided(conv3d: Convolution, stride: int) -> Convolution:
    def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return conv3d(x, weight, bias, stride)

    return convolve
