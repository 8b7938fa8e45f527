"""A block of windowed attention by the native operator of ``attention_block.cpp``."""
import ctypes
import math
from typing import Tuple

import numpy as np
from mindspore import Tensor

from mindrestore.native.operator import Operator, address, structure, tensor, threads, wanted_array

WEIGHTS = ("norm1.weight", "norm1.bias", "attn.relative_position_bias_table", "attn.qkv_self.weight", "attn.qkv_self.bias",
           "attn.qkv_mut.weight", "attn.qkv_mut.bias", "attn.proj.weight", "attn.proj.bias", "norm2.weight", "norm2.bias",
           "mlp.fc11.weight", "mlp.fc11.bias", "mlp.fc12.weight", "mlp.fc12.bias", "mlp.fc2.weight", "mlp.fc2.bias")
_SIZES = ("rows", "windows", "tokens", "channels", "heads", "hidden", "kinds", "entries", "mutual", "threads")
_Sizes = structure((_SIZES, ctypes.c_int64))
_several = ctypes.c_void_p * len(WEIGHTS)
_Given = structure((("x", "order", "positions", "kinds", "masks", "multipliers", "encoding"), ctypes.c_void_p),
                   ("weights", _several), ("scale", ctypes.c_float))


class AttentionBlock(Operator):
    """One execution of a block, forwards and backwards: ``x + m0 attention(norm1 x)``, then ``x + m1 mlp(norm2 x)``.

    Memory: that of one window for each thread, backwards the gradients of the weights for each thread as well.

    Args:
        x: features (..., channels).
        weights: dict of the tensors called ``WEIGHTS``; those of ``qkv_mut`` where attention is mutual too, biases of ``qkv``
            where there are any.
        heads, scale: of attention; what queries are multiplied by.
        cut: ``Windows`` of the features.
        positions: (N, N) int32, the row of the bias table for query and key.
        encoding: (N / 2, channels), added to each frame of a window for mutual attention; None where there is none.
        multipliers: (windows, 2), m0 and m1; None for 1.
    """

    def __init__(self, x, weights, heads, scale, cut, positions, encoding=None, multipliers=None):
        super().__init__()
        self.shape, self.names = x.shape, tuple(weights)
        arrays = [self.array(weights[name]) if name in weights else None for name in WEIGHTS]
        self._shapes = [None if array is None else array.shape for array in arrays]
        table, fc11 = arrays[WEIGHTS.index("attn.relative_position_bias_table")], arrays[WEIGHTS.index("mlp.fc11.weight")]
        self.sizes = _Sizes(rows=math.prod(x.shape[:-1]), windows=cut.count, tokens=len(positions), channels=x.shape[-1],
                            heads=heads, hidden=len(fc11), kinds=0 if cut.masks is None else len(cut.masks), entries=len(table),
                            mutual=encoding is not None, threads=min(cut.count, threads()))
        self.given = _Given(x=self.pointer(x), order=self.pointer(cut.order, np.int32),
                            positions=self.pointer(positions, np.int32), kinds=self.pointer(cut.kinds, np.int32),
                            masks=self.pointer(cut.masks), multipliers=self.pointer(multipliers),
                            encoding=self.pointer(encoding),
                            weights=_several(*map(address, arrays)), scale=scale)

    def forward(self) -> Tensor:
        """Return what the block makes of x, of the same shape."""
        y = np.empty(self.shape, np.float32)
        self.call("mindrestore_block_forward", address(y))
        return tensor(y)

    def backward(self, gradient: Tensor, wanted) -> Tuple[list, list]:
        """Return ([gradient of x], [gradients of the weights]) in the order of ``weights``, given that of the result.

        wanted: of x and of each weight whether its gradient is, a tuple of tuples of bool; None stands for what is not.
        """
        (of_x,), of_weights = wanted
        shapes = dict(zip(WEIGHTS, self._shapes))
        weights = {name: wanted_array(shapes[name], each) for name, each in zip(self.names, of_weights)}
        gradient_of_x = np.empty(self.shape, np.float32)
        pointers = _several(*(address(weights.get(name)) for name in WEIGHTS))
        self.call("mindrestore_block_backward", self.pointer(gradient), address(gradient_of_x), ctypes.addressof(pointers))
        return [tensor(gradient_of_x) if of_x else None], [tensor(weights[name]) for name in self.names]
