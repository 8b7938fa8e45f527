"""Raw bytes to numbers, for every file format alike.

A number type has NumPy's name (``"float32"``), or is ``"bfloat16"``, which NumPy lacks and which is read as float32: the
same bits and sixteen zero bits.
"""

from __future__ import annotations

import numpy as np

BFLOAT16 = "bfloat16"
NAMES = frozenset(
    ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
    + ["float16", BFLOAT16, "float32", "float64", "complex64", "complex128"]
)


def bytes_each(kind: str) -> int:
    """Return how many bytes one number of type ``kind`` takes in a file."""
    return 2 if kind == BFLOAT16 else np.dtype(kind).itemsize


def numbers(raw: bytes | memoryview, kind: str, byteorder: str = "little") -> np.ndarray:
    """Return the numbers in ``raw``, a bytes-like object, as a 1-D array of this machine's byte order.

    Shares the memory of ``raw`` where nothing has to be converted. Raises ``ValueError`` if ``raw`` does not hold a
    whole count of them.
    """
    order = "<" if byteorder == "little" else ">"
    if kind == BFLOAT16:
        upper_halves = np.frombuffer(raw, order + "u2").astype(np.uint32)
        return (upper_halves << 16).view(np.float32)
    if kind == "bool":
        return np.frombuffer(raw, np.uint8) != 0
    return np.frombuffer(raw, np.dtype(kind).newbyteorder(order)).astype(kind, copy=False)


def for_use(array: np.ndarray) -> np.ndarray:
    """Return ``array`` in this machine's byte order, and as float32 if it is float16: half precision is for storage."""
    kind = array.dtype.newbyteorder("=")
    return array.astype(np.float32 if kind == np.float16 else kind, copy=False)
