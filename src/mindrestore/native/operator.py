"""What all native operators share: pointers to what tensors hold, and the call.

MindSpore's tensors on a CPU and NumPy arrays share their memory both ways, so nothing is copied but what does not lie in a row.
"""
import ctypes
import os
from typing import Optional, Sequence

import numpy as np
from mindspore import Tensor, from_numpy

from mindrestore.native.loading import library


class Operator:
    """One execution of a piece by a native operator.

    A subclass sets ``sizes`` and ``given``, the structures that its C++ functions take first.
    """

    def __init__(self):
        self._kept = []  # what the pointers point to

    def call(self, name: str, *pointers: Optional[int]) -> None:
        """Call the C++ function called ``name`` with further pointers, addresses or None."""
        function = getattr(library(), name)
        if function(ctypes.byref(self.sizes), ctypes.byref(self.given), *map(ctypes.c_void_p, pointers)):
            raise MemoryError(f"{name}: {self.sizes.threads} threads need more memory than there is")

    def array(self, x, dtype=np.float32) -> np.ndarray:
        """Return a tensor or array as numbers in a row, its own wherever they are; kept as long as the operator is."""
        x = np.ascontiguousarray(x.numpy() if isinstance(x, Tensor) else x, dtype)
        self._kept.append(x)
        return x

    def pointer(self, x, dtype=np.float32) -> Optional[int]:
        """Return the address of the numbers of a tensor or array, None for None."""
        return None if x is None else address(self.array(x, dtype))


def threads() -> int:
    """Return how many threads compute: as many as this process may use cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def structure(*fields: tuple) -> type:
    """Return a class of C structures with these pairs of a name, or several in a tuple, and a type."""
    return type("Structure", (ctypes.Structure,), {"_fields_": [
        (name, kind) for names, kind in fields for name in ((names,) if isinstance(names, str) else names)]})


def address(array: Optional[np.ndarray]) -> Optional[int]:
    """Return where an array lies, None for None."""
    return None if array is None else array.ctypes.data


def wanted_array(shape: Sequence[int], wanted: bool) -> Optional[np.ndarray]:
    """Return an array for a gradient to be written to, None where it is not wanted."""
    return np.empty(shape, np.float32) if wanted else None


def tensor(array: Optional[np.ndarray]) -> Optional[Tensor]:
    """Return a tensor of the numbers of an array, None for None."""
    return None if array is None else from_numpy(array)
