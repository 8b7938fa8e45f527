"""The axes of a tensor in another order by the native operator of ``permutation.cpp``."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor

from mindrestore.native.operator import Operator, address, structure, tensor, threads

_MOST_AXES = 6
_FEW = 2**16  # numbers that are not worth a thread
_several = ctypes.c_int64 * _MOST_AXES
_Axes = structure((("counts", "steps"), _several), ("threads", ctypes.c_int64))
_Given = structure(("x", ctypes.c_void_p))


class Permutation(Operator):
    """x.reshape(split).permute(order).reshape(shape), in one copy.

    Args:
        x: of any shape.
        split: shape of up to six axes, of as many numbers as x has; the first may be -1.
        order: of these axes in the result.
        shape: of the result.
    """

    def __init__(self, x: Tensor, split: Sequence[int], order: Sequence[int], shape: Sequence[int]) -> None:
        super().__init__()
        split = math.prod(x.shape) // math.prod(split[1:]), *split[1:]
        missing = _MOST_AXES - len(split)
        counts = [1] * missing + [split[axis] for axis in order]
        steps = [0] * missing + [math.prod(split[axis + 1 :]) for axis in order]
        self.sizes = _Axes(_several(*counts), _several(*steps), min(threads(), 1 + math.prod(split) // _FEW))
        self.arguments = _Given(self.pointer(x))
        self.shape = tuple(shape)

    def forward(self) -> Tensor:
        """Return the result."""
        y = np.empty(self.shape, np.float32)
        self.call("mindrestore_permutation", address(y))
        return tensor(y)
