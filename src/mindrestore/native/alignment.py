"""Deformable convolution of neighbouring images by the native operator of ``alignment.cpp``."""
import ctypes

import numpy as np
from mindspore import Tensor

from mindrestore.native.attention_block import threads
from mindrestore.native.loading import library

MOST_NEIGHBOURS = 3
_SIZES = ("images", "height", "width", "channels", "neighbours", "groups", "threads")
_Several = ctypes.c_void_p * MOST_NEIGHBOURS


class _Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in _SIZES]


class _Given(ctypes.Structure):
    _fields_ = [("offsets", ctypes.c_void_p), ("neighbours", _Several), ("flows", _Several), ("weight", ctypes.c_void_p),
                ("bias", ctypes.c_void_p), ("residue", ctypes.c_float)]


class _Gradients(ctypes.Structure):
    _fields_ = [("offsets", ctypes.c_void_p), ("neighbours", _Several), ("flows", _Several), ("weight", ctypes.c_void_p),
                ("bias", ctypes.c_void_p)]


class AlignedImages:
    """One execution of ``mindrestore.models.vrt.alignment.AlignedNeighbours``, whose inputs these are.

    Args:
        offsets: (B, 27 · groups, H, W).
        neighbours: tensors (B, H, W, C), at most ``MOST_NEIGHBOURS``.
        flows: tensors (B, 2, H, W), as many.
        weight, bias: (C, C, 3, 3) and (C,).
        residue: pixels that an offset may add to the flow.
    """

    def __init__(self, offsets, neighbours, flows, weight, bias, residue):
        self._kept = []  # what the pointers point to
        images, height, width, channels = self.shape = neighbours[0].shape
        self.offsets_shape, self.flow_shape, self.weight_shape = offsets.shape, flows[0].shape, weight.shape
        self.sizes = _Sizes(images=images, height=height, width=width, channels=channels, neighbours=len(neighbours),
                            groups=offsets.shape[1] // 27, threads=threads())
        self.given = _Given(offsets=self._pointer(offsets), neighbours=_Several(*map(self._pointer, neighbours)),
                            flows=_Several(*map(self._pointer, flows)), weight=self._pointer(weight), bias=self._pointer(bias),
                            residue=residue)

    def forward(self):
        """Return the aligned images (B, H, W, C)."""
        aligned = np.empty(self.shape, np.float32)
        self._call("mindrestore_alignment_forward", aligned.ctypes.data)
        return Tensor.from_numpy(aligned)

    def backward(self, gradient, wanted):
        """As ``mindrestore.executor.piecewise.Run.backward``."""
        (of_offsets, *of_images), of_weights = wanted
        count = self.sizes.neighbours
        shapes = [self.offsets_shape, *(self.shape,) * count, *(self.flow_shape,) * count]
        results = [np.zeros(shape, np.float32) if each else None for shape, each in zip(shapes, (of_offsets, *of_images))]
        of_weight, of_bias = (np.empty(shape, np.float32) if each else None
                              for shape, each in zip((self.weight_shape, self.weight_shape[:1]), of_weights))
        pointers = list(map(_address, results))
        gradients = _Gradients(offsets=pointers[0], neighbours=_Several(*pointers[1:1 + count]),
                               flows=_Several(*pointers[1 + count:]), weight=_address(of_weight), bias=_address(of_bias))
        self._call("mindrestore_alignment_backward", self._pointer(gradient), ctypes.addressof(gradients))
        return list(map(_tensor, results)), [_tensor(of_weight), _tensor(of_bias)]

    def _call(self, name, *more):
        if getattr(library(), name)(ctypes.byref(self.sizes), ctypes.byref(self.given), *map(ctypes.c_void_p, more)):
            raise MemoryError(f"{name}: {self.sizes.threads} threads need more memory than there is")

    def _pointer(self, x):
        x = np.ascontiguousarray(x.asnumpy())
        self._kept.append(x)
        return x.ctypes.data


def _address(array):
    return None if array is None else array.ctypes.data


def _tensor(array):
    return None if array is None else Tensor.from_numpy(array)
