"""What all native operators share: pointers to the memory of tensors, and the call.

MindSpore's tensors on a CPU and NumPy arrays share their memory both ways; only what is not contiguous is copied.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, float32, from_numpy

from mindrestore.native.loading import library

Wanted = tuple[Sequence[bool], Sequence[bool]]  # whether the gradient of each input, and of each weight, is wanted
Gradients = tuple[list[Tensor | None], list[Tensor | None]]  # of the inputs and of the weights, None for those not wanted


class Operator:
    """One execution of a piece (``mindrestore.models.piece.Piece``) by a native operator.

    A subclass sets ``sizes`` and ``arguments``, the structures that its C++ functions take first.
    """

    sizes: ctypes.Structure
    arguments: ctypes.Structure

    def __init__(self) -> None:
        self._held: list[Tensor | np.ndarray] = []  # the memory that the pointers point to, as long as the operator

    def forward(self) -> Tensor:
        """Return the result of the piece."""
        raise NotImplementedError

    def backward(self, gradient: Tensor, wanted: Wanted) -> Gradients:
        """Return (gradients of the inputs, of the weights), given that of the result; None for those not ``wanted``."""
        raise NotImplementedError

    def call(self, name: str, *pointers: int | None) -> None:
        """Call the C++ function called ``name`` with further pointers, addresses or None."""
        function = getattr(library(), name)
        if function(ctypes.byref(self.sizes), ctypes.byref(self.arguments), *map(ctypes.c_void_p, pointers)):
            raise MemoryError(f"{name}: {self.sizes.threads} threads need more memory than there is")

    def pointer(self, x: Tensor | np.ndarray | None, dtype: type[np.generic] = np.float32) -> int | None:
        """Return the address of the numbers of a tensor or array, None for None.

        They are copied if they are not contiguous or not of ``dtype``, and live as long as the operator.
        """
        if x is None:
            return None
        if isinstance(x, Tensor) and dtype is np.float32 and x.dtype == float32 and x.is_contiguous():
            self._held.append(x)
            return x.data_ptr()  # waits for the numbers, and takes a tenth of the time of an array made of them
        array = np.ascontiguousarray(x.numpy() if isinstance(x, Tensor) else x, dtype)
        self._held.append(array)
        return address(array)


def threads() -> int:
    """Return how many threads compute: the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def structure(*fields: tuple) -> type:
    """Return a class of C structures; each field is a pair of a name, or a tuple of names, and a type."""
    return type(
        "Structure",
        (ctypes.Structure,),
        {"_fields_": [(name, kind) for names, kind in fields for name in ((names,) if isinstance(names, str) else names)]},
    )


def address(array: np.ndarray | None) -> int | None:
    """Return the address of an array, None for None."""
    return None if array is None else array.ctypes.data


def wanted_array(shape: Sequence[int], wanted: bool) -> np.ndarray | None:
    """Return an uninitialised array for a gradient, None if it is not wanted."""
    return np.empty(shape, np.float32) if wanted else None


def tensor(array: np.ndarray | None) -> Tensor | None:
    """Return a tensor that shares the memory of an array, None for None."""
    return None if array is None else from_numpy(array)
