"""Images and others warped to them, joined by their channels, with the native operator of ``warp.cpp``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor

from mindrestore.native.operator import Gradients, Operator, Wanted, structure, tensor, threads

_Sizes = structure(
    (
        (
            "images",
            "height",
            "width",
            "channels",
            "pixel_step",
            "channel_step",
            "image_step",
            "result_step",
            "border",
            "threads",
        ),
        ctypes.c_int64,
    )
)
_Arguments = structure((("image", "flow"), ctypes.c_void_p))
Part = int | tuple[int, int]  # the place of a tensor, or those of an image and of the flow that it is warped along


class JoinedWarps:
    """One execution of what joins images (B, channels, H, W), warped ones among them.

    Args:
        tensors: images, (B, H, W, C) or (B, C, H, W), and flows, (B, 2, H, W) in pixels.
        order: what is joined.
        channels_last: whether those of images are; flows have them first.
        border: outside of an image there is the nearest pixel of its border instead of nothing.
    """

    def __init__(self, tensors: Sequence[Tensor], order: Sequence[Part], channels_last: bool, border: bool) -> None:
        self.arrays = [np.ascontiguousarray(x.numpy()) for x in tensors]
        self.order, self.channels_last, self.border = order, channels_last, border
        self.flows = {part[1] for part in order if isinstance(part, tuple)}
        self.channels = [self._planes(part[0] if isinstance(part, tuple) else part).shape[1] for part in order]

    def forward(self) -> Tensor:
        """Return what is joined."""
        first = self._planes(self.order[-1])
        result = np.empty((first.shape[0], sum(self.channels), *first.shape[2:]), np.float32)
        for part, to in self._parts(result):
            if isinstance(part, tuple):
                self._warp(part, to).call("mindrestore_warp_forward", to.ctypes.data)
            else:
                to[...] = self._planes(part)
        return tensor(result)

    def backward(self, gradient: Tensor, wanted: Wanted) -> Gradients:
        """As ``mindrestore.executor.piecewise.Run.backward``."""
        gradients = [np.zeros(array.shape, np.float32) if each else None for array, each in zip(self.arrays, wanted[0])]
        for part, of_part in self._parts(np.ascontiguousarray(gradient.numpy())):
            if isinstance(part, tuple):
                pointers = [None if gradients[place] is None else gradients[place].ctypes.data for place in part]
                self._warp(part, of_part).call("mindrestore_warp_backward", of_part.ctypes.data, *pointers)
            elif gradients[part] is not None:
                gradients[part] += np.moveaxis(of_part, 1, 3) if self._turned(part) else of_part
        return list(map(tensor, gradients)), []

    def _parts(self, joined: np.ndarray) -> list[tuple[Part, np.ndarray]]:
        """Return pairs of a part and its channels of what is joined."""
        ends = np.cumsum(self.channels)
        return [(part, joined[:, end - count : end]) for part, count, end in zip(self.order, self.channels, ends)]

    def _turned(self, place: int) -> bool:
        return self.channels_last and place not in self.flows

    def _planes(self, place: int) -> np.ndarray:
        """Return a tensor with channels first."""
        return np.moveaxis(self.arrays[place], 3, 1) if self._turned(place) else self.arrays[place]

    def _warp(self, part: tuple[int, int], joined: np.ndarray) -> Operator:
        image = self._planes(part[0])
        steps = [step // image.itemsize for step in image.strides]
        warp = Operator()
        warp.sizes = _Sizes(
            images=image.shape[0],
            height=image.shape[2],
            width=image.shape[3],
            channels=image.shape[1],
            pixel_step=steps[3],
            channel_step=steps[1],
            image_step=steps[0],
            result_step=joined.strides[0] // joined.itemsize,
            border=self.border,
            threads=threads(),
        )
        warp.arguments = _Arguments(*(self.arrays[place].ctypes.data for place in part))
        return warp
