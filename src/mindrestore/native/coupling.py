"""A step of a reversible block by the native operator of ``coupling.cpp``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor

from mindrestore.native.operator import Gradients, Operator, Wanted, address, structure, tensor, threads, wanted_array

WEIGHTS = ("weight0", "bias0", "weight2", "bias2")
_SIZES = ("clips", "frames", "channels", "height", "width", "threads")
_Sizes = structure((_SIZES, ctypes.c_int64))
_Arguments = structure((("source", *WEIGHTS), ctypes.c_void_p), ("slope", ctypes.c_float))


class CouplingStep(Operator):
    """One execution of ``mindrestore.models.revsci.layers.Step``.

    Args:
        target: (B, T, C, H, W); for ``backward_undoing`` the result of the step instead.
        source: as target.
        weights: weight0 (C, C, 3, 3, 3), bias0 (C,), weight2 and bias2.
        slope: of LeakyReLU below zero.
    """

    def __init__(self, target: Tensor, source: Tensor, weights: Sequence[Tensor], slope: float) -> None:
        super().__init__()
        self.target, self.shape, self.shapes = target, source.shape, [weight.shape for weight in weights]
        self.sizes = _Sizes(**dict(zip(_SIZES, (*self.shape, threads()))))
        self.arguments = _Arguments(source=self.pointer(source), slope=slope, **dict(zip(WEIGHTS, map(self.pointer, weights))))

    def forward(self) -> Tensor:
        """Return target + residual(source)."""
        result = np.empty(self.shape, np.float32)
        self.call("mindrestore_coupling_forward", self.pointer(self.target), address(result))
        return tensor(result)

    def backward(self, gradient: Tensor, wanted: Wanted) -> Gradients:
        return self._pulled_back(gradient, wanted, None)

    def backward_undoing(self, gradient: Tensor, wanted: Wanted) -> tuple[Tensor, list[Tensor | None], list[Tensor | None]]:
        """As ``mindrestore.executor.piecewise.Run.backward_undoing``."""
        original = np.empty(self.shape, np.float32)
        return tensor(original), *self._pulled_back(gradient, wanted, original)

    def _pulled_back(self, gradient: Tensor, wanted: Wanted, original: np.ndarray | None) -> Gradients:
        """As ``backward``; also write the target before the step to ``original``, unless it is None."""
        (of_target, of_source), of_weights = wanted
        source = wanted_array(self.shape, of_source)
        weights = list(map(wanted_array, self.shapes, of_weights))
        pointers = (ctypes.c_void_p * len(weights))(*map(address, weights))
        target = None if original is None else self.pointer(self.target)
        self.call(
            "mindrestore_coupling_backward",
            self.pointer(gradient),
            target,
            address(original),
            address(source),
            ctypes.addressof(pointers),
        )
        return [gradient if of_target else None, tensor(source)], list(map(tensor, weights))
