"""Deformable convolution of neighbouring images by the native operator of ``alignment.cpp``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor

from mindrestore.native.operator import Gradients, Operator, Wanted, address, structure, tensor, threads, wanted_array

MOST_NEIGHBOURS = 3
_several = ctypes.c_void_p * MOST_NEIGHBOURS
_Sizes = structure((("images", "height", "width", "channels", "neighbours", "groups", "threads"), ctypes.c_int64))
_Pointers = (("offsets", ctypes.c_void_p), (("neighbours", "flows"), _several), (("weight", "bias"), ctypes.c_void_p))
_Arguments = structure(*_Pointers, ("residue", ctypes.c_float))
_Gradients = structure(*_Pointers)


class AlignedImages(Operator):
    """One execution of ``mindrestore.models.vrt.alignment.AlignedNeighbours``, whose inputs these are.

    Args:
        offsets: (B, 27 · groups, H, W).
        neighbours: tensors (B, H, W, C), at most ``MOST_NEIGHBOURS``.
        flows: tensors (B, 2, H, W), as many.
        weight, bias: (C, C, 3, 3) and (C,).
        residue: largest offset that is added to a flow, in pixels.
    """

    def __init__(
        self,
        offsets: Tensor,
        neighbours: Sequence[Tensor],
        flows: Sequence[Tensor],
        *,
        weight: Tensor,
        bias: Tensor,
        residue: float,
    ) -> None:
        super().__init__()
        images, height, width, channels = self.shape = neighbours[0].shape
        self.input_shapes = [x.shape for x in (offsets, *neighbours, *flows)]
        self.weight_shapes = [weight.shape, bias.shape]
        self.sizes = _Sizes(
            images=images,
            height=height,
            width=width,
            channels=channels,
            neighbours=len(neighbours),
            groups=offsets.shape[1] // 27,
            threads=threads(),
        )
        self.arguments = _Arguments(
            offsets=self.pointer(offsets),
            neighbours=_several(*map(self.pointer, neighbours)),
            flows=_several(*map(self.pointer, flows)),
            weight=self.pointer(weight),
            bias=self.pointer(bias),
            residue=residue,
        )

    def forward(self) -> Tensor:
        """Return the aligned images (B, H, W, C)."""
        aligned = np.empty(self.shape, np.float32)
        self.call("mindrestore_alignment_forward", address(aligned))
        return tensor(aligned)

    def backward(self, gradient: Tensor, wanted: Wanted) -> Gradients:
        of_inputs, of_weights = wanted
        inputs = list(map(wanted_array, self.input_shapes, of_inputs))
        weights = list(map(wanted_array, self.weight_shapes, of_weights))
        offsets, *images = map(address, inputs)
        for array in inputs:
            if array is not None:
                array.fill(0)  # the operator adds to it, as several pixels contribute to one gradient
        count = self.sizes.neighbours
        gradients = _Gradients(
            offsets=offsets,
            neighbours=_several(*images[:count]),
            flows=_several(*images[count:]),
            **dict(zip(("weight", "bias"), map(address, weights))),
        )
        self.call("mindrestore_alignment_backward", self.pointer(gradient), ctypes.addressof(gradients))
        return list(map(tensor, inputs)), list(map(tensor, weights))
