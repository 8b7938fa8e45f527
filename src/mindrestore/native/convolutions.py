"""Convolutions one after the other by the native operator of ``convolutions.cpp``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from mindspore import Tensor

from mindrestore.native.operator import Operator, address, structure, tensor, threads, wanted_array

CHANGES = ("same", "halved", "doubled")
_Layer = structure(
    (("inputs", "outputs", "taps", "kernel", "change", "shuffle"), ctypes.c_int64),
    (("weight", "bias"), ctypes.c_void_p),
    ("slope", ctypes.c_float),
)
_Sizes = structure((("clips", "frames", "height", "width", "layers", "threads"), ctypes.c_int64))


class Layer(NamedTuple):
    """What one convolution is beside its weight and bias.

    Attributes:
        change: ``"same"``; ``"halved"``, a stride of 2 along height and width; or ``"doubled"``, the transpose of that.
        shuffle: pixel shuffle behind it, 1 for none.
        slope: of LeakyReLU behind that, below zero; 1 for none.
    """

    change: str = "same"
    shuffle: int = 1
    slope: float = 1.0


class ConvolutionChain:
    """Convolutions with zeros around, half a kernel of them; an operator of ``mindrestore.models.piece.Itemwise``.

    Tensors are x, (N, C, H, W) or clips (B, T, C, H, W), then weight and bias of each layer in turn: (outputs, inputs, kernel,
    kernel), with an odd number of frames before the kernel's sides where it is over time too, of a layer that doubles (inputs,
    outputs, ...); and (outputs,).

    Args:
        layers: first to last.
    """

    forward_room = 3  # two layers are held at once instead of all, nothing is unfolded, and fewer halos are computed twice

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)

    def forward(self, x: Tensor, *weights: Tensor) -> Tensor:
        """Return what the layers make of x."""
        call = _Call(self.layers, x, weights)
        y = np.empty(call.result_shape, np.float32)
        call.call("mindrestore_convolutions_forward", call.x, address(y))
        return tensor(y)

    def backward(self, wanted: Sequence[int], gradient: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of tensors, those at the places ``wanted``, given that of the result."""
        call = _Call(self.layers, tensors[0], tensors[1:])
        arrays = [wanted_array(x.shape, place in wanted) for place, x in enumerate(tensors)]
        of_x, *of_weights = map(address, arrays)
        pointers = (ctypes.c_void_p * len(of_weights))(*of_weights)
        call.call("mindrestore_convolutions_backward", call.x, call.pointer(gradient), of_x, ctypes.addressof(pointers))
        return tuple(tensor(arrays[place]) for place in wanted)


class _Call(Operator):
    def __init__(self, layers: Sequence[Layer], x: Tensor, weights: Sequence[Tensor]) -> None:
        super().__init__()
        clips, frames = x.shape[:2] if x.ndim == 5 else (1, x.shape[0])
        height, width = x.shape[-2:]
        self.sizes = _Sizes(clips=clips, frames=frames, height=height, width=width, layers=len(layers), threads=threads())
        arguments = [self._layer(layer, *weights[2 * number : 2 * number + 2]) for number, layer in enumerate(layers)]
        self.arguments = (_Layer * len(layers))(*arguments)
        self.x = self.pointer(x)
        for layer in layers:
            height, width = _resized(layer, height), _resized(layer, width)
        self.result_shape = *x.shape[:-3], arguments[-1].outputs // layers[-1].shuffle ** 2, height, width

    def _layer(self, layer: Layer, weight: Tensor, bias: Tensor) -> ctypes.Structure:
        transposed = layer.change == "doubled"
        return _Layer(
            inputs=weight.shape[0 if transposed else 1],
            outputs=weight.shape[1 if transposed else 0],
            taps=weight.shape[2] if weight.ndim == 5 else 1,
            kernel=weight.shape[-1],
            change=CHANGES.index(layer.change),
            shuffle=layer.shuffle,
            weight=self.pointer(weight),
            bias=self.pointer(bias),
            slope=layer.slope,
        )


def _resized(layer: Layer, length: int) -> int:
    return {"same": layer.shuffle * length, "halved": length // 2, "doubled": 2 * length}[layer.change]
