"""What treats each token by itself by the native operator of ``tokens.cpp``."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping

import numpy as np
from mindspore import Tensor

from mindrestore.native.operator import Gradients, Operator, Wanted, address, structure, tensor, threads, wanted_array

WEIGHTS = (
    "norm.weight",
    "norm.bias",
    "linear.weight",
    "linear.bias",
    "mlp.fc11.weight",
    "mlp.fc11.bias",
    "mlp.fc12.weight",
    "mlp.fc12.bias",
    "mlp.fc2.weight",
    "mlp.fc2.bias",
)
_FEW = 48  # tokens that are not worth a thread
_Sizes = structure((("rows", "inputs", "hidden", "outputs", "threads"), ctypes.c_int64))
_several = ctypes.c_void_p * len(WEIGHTS)
_Arguments = structure((("x", "added"), ctypes.c_void_p), ("weights", _several))


class TokenStep(Operator):
    """added + product(normalised x), or without any of the three; or the gated MLP in the place of the product.

    Args:
        x: (..., inputs).
        weights: dict of the tensors called ``WEIGHTS``, of the steps that there are.
        added: (..., outputs) or None.
    """

    def __init__(self, x: Tensor, weights: Mapping[str, Tensor], added: Tensor | None = None) -> None:
        super().__init__()
        self.shape, self.names, self.adds = x.shape, tuple(weights), added is not None
        self.shapes = {name: weight.shape for name, weight in weights.items()}
        fc11, last = self.shapes.get("mlp.fc11.weight"), self.shapes.get("mlp.fc2.weight") or self.shapes.get("linear.weight")
        rows, outputs = math.prod(x.shape[:-1]), last[0] if last else x.shape[-1]
        self.result_shape = *x.shape[:-1], outputs
        self.sizes = _Sizes(
            rows=rows,
            inputs=x.shape[-1],
            hidden=fc11[0] if fc11 else 0,
            outputs=outputs,
            threads=min(threads(), -(-rows // _FEW)),
        )
        self.arguments = _Arguments(
            x=self.pointer(x),
            added=self.pointer(added),
            weights=_several(*(self.pointer(weights.get(name)) for name in WEIGHTS)),
        )

    def forward(self) -> Tensor:
        """Return the result, (..., outputs)."""
        y = np.empty(self.result_shape, np.float32)
        self.call("mindrestore_tokens_forward", address(y))
        return tensor(y)

    def backward(self, gradient: Tensor, wanted: Wanted) -> Gradients:
        """As ``mindrestore.executor.piecewise.Run.backward``; the inputs are x, or ``added`` and x."""
        of_inputs, of_weights = wanted
        of_x = wanted_array(self.shape, of_inputs[-1])
        weights = {name: wanted_array(self.shapes[name], each) for name, each in zip(self.names, of_weights)}
        pointers = _several(*(address(weights.get(name)) for name in WEIGHTS))
        self.call("mindrestore_tokens_backward", self.pointer(gradient), address(of_x), ctypes.addressof(pointers))
        of_added = [gradient if of_inputs[0] else None] if self.adds else []
        return [*of_added, tensor(of_x)], [tensor(weights[name]) for name in self.names]
