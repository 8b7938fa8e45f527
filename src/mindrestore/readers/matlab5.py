"""MATLAB files of version 5: a reader of their full arrays of real numbers.

Written here because others crash on damaged files. The format is that of MathWorks, "MAT-File Format", chapter 1: a header
of 128 bytes, then elements, each a tag (type, bytes) and its data; a variable is an element of type matrix, or a compressed
one that unfolds to it, and is itself made of elements: flags, lengths of axes, name, numbers.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mindrestore.errors import printable
from mindrestore.readers.untrusted import most_unfolded

HEADER_BYTES = 128
MOST_AXES = 32  # NumPy's limit
_VERSION = 1  # upper byte of the header's version
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}  # by type of element
_MATRIX, _COMPRESSED = 14, 15
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHER_CLASSES = {
    1: "a cell array",
    2: "a struct",
    3: "an object",
    4: "text",
    5: "a sparse array",
    16: "a function",
    17: "an object",
}
_COMPLEX = 0x800


class Contents(NamedTuple):
    """What a MATLAB file holds: arrays of real numbers by name, and of every other variable in words what it is."""

    arrays: dict[str, np.ndarray]
    others: dict[str, str]


def read(raw: bytes) -> Contents:
    """Return what ``raw``, a whole file, holds; arrays have MATLAB's axes and the number type of their class.

    Raises ``ValueError``, ``struct.error`` or ``zlib.error`` for a file that is damaged or none, ``MemoryError`` for one that
    unfolds to far more than its size.
    """
    if len(raw) >= 4 and 0 in raw[:4]:
        raise ValueError("it is of version 4, or no MATLAB file; save it in MATLAB with -v7")
    if len(raw) < HEADER_BYTES or raw[126:128] not in (b"IM", b"MI"):
        raise ValueError("it has no header of a MATLAB file")
    order = "<" if raw[126:128] == b"IM" else ">"
    (version,) = struct.unpack(order + "H", raw[124:126])
    if version >> 8 != _VERSION:
        raise ValueError(f"version {version >> 8} of its format is not known")
    contents, left = Contents({}, {}), most_unfolded(len(raw))
    for kind, data in _elements(memoryview(raw)[HEADER_BYTES:], order):
        if kind == _COMPRESSED:
            kind, data = _unfolded(data, order, left)
            left -= len(data)
        if kind != _MATRIX:
            raise ValueError(f"an element of type {kind} stands where a variable belongs")
        name, value = _variable(data, order, left)
        if name in contents.arrays or name in contents.others:
            raise ValueError(f"it holds {printable(name)} twice")
        if isinstance(value, str):
            contents.others[name] = value
        else:
            contents.arrays[name] = value
            left -= value.nbytes
    return contents


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield (type, data) of the elements in ``data``."""
    position = 0
    while position < len(data):
        kind, size = struct.unpack_from(order + "II", data, position)
        start = position + 8
        if kind >> 16:  # at most four bytes of data, in the tag itself
            kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
            if size > 4:
                raise ValueError("an element is longer than its tag")
        if start + size > len(data):
            raise ValueError("it is cut short")
        yield kind, data[start : start + size]
        position = start + size
        if kind != _COMPRESSED:  # which alone is not padded to whole eights
            position += -position % 8


def _unfolded(data: memoryview, order: str, most: int) -> tuple[int, memoryview]:
    """Return (type, data) of the element that a compressed one unfolds to."""
    stream = zlib.decompressobj()
    tag = stream.decompress(data, 8)
    kind, size = struct.unpack(order + "II", tag)
    if size > most:
        raise MemoryError
    content = stream.decompress(stream.unconsumed_tail, size) if size else b""
    if len(content) != size or stream.decompress(stream.unconsumed_tail, 1) or not stream.eof:
        raise ValueError("a compressed variable has not the size that it states")
    return kind, memoryview(content)


def _variable(data: memoryview, order: str, most: int) -> tuple[str, np.ndarray | str]:
    """Return (name, array) of a variable, or (name, what it is) of one that is no full array of real numbers."""
    parts = _elements(data, order)
    flags = _numbers(next(parts, None), order)
    if not len(flags):
        raise ValueError("a variable has no flags")
    number_class = int(flags[0]) & 0xFF
    if number_class not in _CLASSES and number_class not in _OTHER_CLASSES:
        raise ValueError(f"a variable is of class {number_class}, which is not known")
    if number_class == 17:  # its parts are laid out otherwise
        return "", _OTHER_CLASSES[number_class]
    shape = tuple(int(length) for length in _numbers(next(parts, None), order))
    name = bytes(_numbers(next(parts, None), order)).decode("utf-8")
    if number_class in _OTHER_CLASSES:
        return name, _OTHER_CLASSES[number_class]
    if int(flags[0]) & _COMPLEX:
        return name, "an array of complex numbers"
    kind = np.dtype(_CLASSES[number_class])
    if not 2 <= len(shape) <= MOST_AXES or min(shape) < 0:
        raise ValueError(f"{printable(name)} has the shape {printable(shape)}")
    if math.prod(shape) * kind.itemsize > most:
        raise MemoryError
    stored = _numbers(next(parts, None), order)
    if len(stored) != math.prod(shape):
        raise ValueError(f"{printable(name)} holds {len(stored)} numbers, expected {printable(shape)}")
    return name, stored.astype(kind).reshape(shape, order="F")


def _numbers(element: tuple[int, memoryview] | None, order: str) -> np.ndarray:
    kind, data = element or (None, b"")
    if kind == 16 or kind is None:  # UTF-8, of a name
        return np.frombuffer(data, np.uint8)
    if kind not in _NUMBERS:
        raise ValueError(f"an element of type {kind} stands where numbers belong")
    return np.frombuffer(data, order + _NUMBERS[kind])
