"""A block of windowed attention by the native operator of ``attention_block.cpp``."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping

import numpy as np
from mindspore import Tensor

from mindrestore.native.operator import Gradients, Operator, Wanted, address, structure, tensor, threads, wanted_array

WEIGHTS = (
    "norm1.weight",
    "norm1.bias",
    "attn.relative_position_bias_table",
    "attn.qkv_self.weight",
    "attn.qkv_self.bias",
    "attn.qkv_mut.weight",
    "attn.qkv_mut.bias",
    "attn.proj.weight",
    "attn.proj.bias",
    "norm2.weight",
    "norm2.bias",
    "mlp.fc11.weight",
    "mlp.fc11.bias",
    "mlp.fc12.weight",
    "mlp.fc12.bias",
    "mlp.fc2.weight",
    "mlp.fc2.bias",
)
_SIZES = ("rows", "windows", "tokens", "channels", "heads", "hidden", "kinds", "entries", "mutual", "threads")
_Sizes = structure((_SIZES, ctypes.c_int64))
_several = ctypes.c_void_p * len(WEIGHTS)
_Arguments = structure(
    (("x", "order", "positions", "kinds", "masks", "multipliers", "encoding"), ctypes.c_void_p),
    ("weights", _several),
    ("scale", ctypes.c_float),
)


class AttentionBlock(Operator):
    """One execution of a block, forwards and backwards: ``x + m0 attention(norm1 x)``, then ``x + m1 mlp(norm2 x)``.

    Memory: that of one window for each thread, backwards the gradients of the weights for each thread as well.

    Args:
        x: features (..., channels).
        weights: the tensors called ``WEIGHTS`` by name, those of ``qkv_mut`` only for mutual attention, biases of ``qkv`` only
            if the network has them.
        heads: of attention.
        scale: factor of the queries.
        windows: how many there are.
        order, kinds, masks: of ``mindrestore.ops.windows.Windows``.
        positions: (N, N) int32, the row of the bias table for query and key.
        encoding: (N / 2, channels), added to each frame of a window for mutual attention; None without it.
        multipliers: (windows, 2), m0 and m1; None for 1.
    """

    def __init__(
        self,
        x: Tensor,
        weights: Mapping[str, Tensor],
        *,
        heads: int,
        scale: float,
        windows: int,
        order: Tensor,
        positions: np.ndarray,
        kinds: Tensor | None = None,
        masks: Tensor | None = None,
        encoding: np.ndarray | None = None,
        multipliers: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.names = x.shape, tuple(weights)
        self._shapes = {name: weight.shape for name, weight in weights.items()}
        self.sizes = _Sizes(
            rows=math.prod(x.shape[:-1]),
            windows=windows,
            tokens=len(positions),
            channels=x.shape[-1],
            heads=heads,
            hidden=self._shapes["mlp.fc11.weight"][0],
            kinds=0 if masks is None else len(masks),
            entries=self._shapes["attn.relative_position_bias_table"][0],
            mutual=encoding is not None,
            threads=min(windows, threads()),
        )
        self.arguments = _Arguments(
            x=self.pointer(x),
            order=self.pointer(order, np.int32),
            positions=self.pointer(positions, np.int32),
            kinds=self.pointer(kinds, np.int32),
            masks=self.pointer(masks),
            multipliers=self.pointer(multipliers),
            encoding=self.pointer(encoding),
            weights=_several(*(self.pointer(weights.get(name)) for name in WEIGHTS)),
            scale=scale,
        )

    def forward(self) -> Tensor:
        """Return the result of the block, shaped like x."""
        y = np.empty(self.shape, np.float32)
        self.call("mindrestore_block_forward", address(y))
        return tensor(y)

    def backward(self, gradient: Tensor, wanted: Wanted) -> Gradients:
        (of_x,), of_weights = wanted
        weights = {name: wanted_array(self._shapes[name], each) for name, each in zip(self.names, of_weights)}
        gradient_of_x = np.empty(self.shape, np.float32)
        pointers = _several(*(address(weights.get(name)) for name in WEIGHTS))
        self.call("mindrestore_block_backward", self.pointer(gradient), address(gradient_of_x), ctypes.addressof(pointers))
        return [tensor(gradient_of_x) if of_x else None], [tensor(weights[name]) for name in self.names]
