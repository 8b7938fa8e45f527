"""A step of a reversible block by the native operator of ``coupling.cpp``."""
import ctypes

import numpy as np
from mindspore import Tensor

from mindrestore.native.attention_block import threads
from mindrestore.native.loading import library

_SIZES = ("clips", "frames", "channels", "height", "width", "threads")
_WEIGHTS = ("weight0", "bias0", "weight2", "bias2")


class _Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in _SIZES]


class _Given(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_void_p) for name in ("source", *_WEIGHTS)), ("slope", ctypes.c_float)]


class CouplingStep:
    """One execution of ``mindrestore.models.revsci.layers.Step``.

    Args:
        target: (B, T, C, H, W); for ``backward_undoing`` the result in its place.
        source: as target.
        weights: weight0 (C, C, 3, 3, 3), bias0 (C,), weight2 and bias2.
        slope: of LeakyReLU below zero.
    """

    def __init__(self, target, source, weights, slope):
        self._kept = []  # what the pointers point to
        self.shape, self.shapes = source.shape, [weight.shape for weight in weights]
        self.target = target
        self.sizes = _Sizes(**dict(zip(_SIZES, (*self.shape, threads()))))
        self.given = _Given(source=self._pointer(source), slope=slope,
                            **{name: self._pointer(weight) for name, weight in zip(_WEIGHTS, weights)})

    def forward(self):
        """Return target + residual(source)."""
        result = np.empty(self.shape, np.float32)
        self._call("mindrestore_coupling_forward", self._pointer(self.target), result.ctypes.data)
        return Tensor.from_numpy(result)

    def backward(self, gradient, wanted):
        """As ``mindrestore.executor.piecewise.Run.backward``."""
        return self._pulled_back(gradient, wanted, None)

    def backward_undoing(self, gradient, wanted):
        """As ``mindrestore.executor.piecewise.Run.backward_undoing``."""
        before = np.empty(self.shape, np.float32)
        return Tensor.from_numpy(before), *self._pulled_back(gradient, wanted, before)

    def _pulled_back(self, gradient, wanted, before):
        (of_target, of_source), of_weights = wanted
        source = np.empty(self.shape, np.float32) if of_source else None
        weights = [np.empty(shape, np.float32) if each else None for shape, each in zip(self.shapes, of_weights)]
        pointers = (ctypes.c_void_p * len(weights))(*map(_address, weights))
        self._call("mindrestore_coupling_backward", self._pointer(gradient), before is not None and self._pointer(self.target),
                   _address(before), _address(source), ctypes.addressof(pointers))
        return [gradient if of_target else None, _tensor(source)], list(map(_tensor, weights))

    def _call(self, name, *more):
        pointers = (ctypes.c_void_p(each or None) for each in more)
        if getattr(library(), name)(ctypes.byref(self.sizes), ctypes.byref(self.given), *pointers):
            raise MemoryError(f"{name}: {self.sizes.threads} threads need more memory than there is")

    def _pointer(self, x):
        x = np.ascontiguousarray(x.asnumpy())
        self._kept.append(x)
        return x.ctypes.data


def _address(array):
    return None if array is None else array.ctypes.data


def _tensor(array):
    return None if array is None else Tensor.from_numpy(array)
