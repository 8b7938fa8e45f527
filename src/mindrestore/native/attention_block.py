"""A block of windowed attention by the native operator of ``attention_block.cpp``."""
import ctypes
import os

import numpy as np
from mindspore import Tensor

from mindrestore.native.loading import library

WEIGHTS = ("norm1.weight", "norm1.bias", "attn.relative_position_bias_table", "attn.qkv_self.weight", "attn.qkv_self.bias",
           "attn.qkv_mut.weight", "attn.qkv_mut.bias", "attn.proj.weight", "attn.proj.bias", "norm2.weight", "norm2.bias",
           "mlp.fc11.weight", "mlp.fc11.bias", "mlp.fc12.weight", "mlp.fc12.bias", "mlp.fc2.weight", "mlp.fc2.bias")
_SIZES = ("rows", "windows", "tokens", "channels", "heads", "hidden", "kinds", "entries", "mutual", "threads")


class _Sizes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in _SIZES]


class _Given(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_void_p) for name in ("x", "order", "positions", "kinds", "masks", "multipliers", "encoding")),
                ("weights", ctypes.c_void_p * len(WEIGHTS)), ("scale", ctypes.c_float)]


class AttentionBlock:
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
        self.shape, self.names = x.shape, tuple(weights)
        self._kept = []  # what the pointers point to
        arrays = [self._array(weights[name]) if name in weights else None for name in WEIGHTS]
        self._shapes = [None if array is None else array.shape for array in arrays]
        table, fc11 = arrays[WEIGHTS.index("attn.relative_position_bias_table")], arrays[WEIGHTS.index("mlp.fc11.weight")]
        tokens = len(positions)
        self.sizes = _Sizes(rows=int(np.prod(x.shape[:-1])), windows=cut.count, tokens=tokens, channels=x.shape[-1], heads=heads,
                            hidden=len(fc11), kinds=0 if cut.masks is None else len(cut.masks), entries=len(table),
                            mutual=encoding is not None, threads=min(cut.count, threads()))
        self.given = _Given(x=self._pointer(x), order=self._pointer(cut.order), positions=self._pointer(positions),
                            kinds=self._pointer(cut.kinds), masks=self._pointer(cut.masks),
                            multipliers=self._pointer(multipliers), encoding=self._pointer(encoding),
                            weights=(ctypes.c_void_p * len(WEIGHTS))(*map(_address, arrays)), scale=scale)

    def forward(self):
        """Return what the block makes of x, of the same shape."""
        y = np.empty(self.shape, np.float32)
        self._call("mindrestore_block_forward", _address(y))
        return Tensor.from_numpy(y)

    def backward(self, gradient, wanted):
        """Return ([gradient of x], [gradients of the weights]) in the order of ``weights``, given that of the result.

        wanted: of x and of each weight whether its gradient is, a tuple of tuples of bool; None stands for what is not.
        """
        of_inputs, of_weights = wanted
        chosen = {name for name, each in zip(self.names, of_weights) if each}
        found = {name: np.empty(shape, np.float32) for name, shape in zip(WEIGHTS, self._shapes) if name in chosen}
        of_x = np.empty(self.shape, np.float32)
        pointers = (ctypes.c_void_p * len(WEIGHTS))(*(_address(found.get(name)) for name in WEIGHTS))
        self._call("mindrestore_block_backward", self._pointer(gradient), _address(of_x), ctypes.addressof(pointers))
        of_weights = [Tensor.from_numpy(found[name]) if name in found else None for name in self.names]
        return [Tensor.from_numpy(of_x) if of_inputs[0] else None], of_weights

    def _call(self, name, *more):
        function = getattr(library(), name)
        if function(ctypes.byref(self.sizes), ctypes.byref(self.given), *map(ctypes.c_void_p, more)):
            raise MemoryError(f"{name}: {self.sizes.threads} threads need more memory than there is")

    def _array(self, x):
        x = np.ascontiguousarray(x.asnumpy() if isinstance(x, Tensor) else x)
        self._kept.append(x)
        return x

    def _pointer(self, x):
        return None if x is None else _address(self._array(x))


def threads():
    """Return how many threads compute: as many as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _address(array):
    return None if array is None else array.ctypes.data
