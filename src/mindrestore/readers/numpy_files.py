"""NumPy's files, .npy and .npz, read by a reader that believes no size and runs nothing."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mindrestore.errors import printable
from mindrestore.files import PathLike
from mindrestore.readers.untrusted import most_unfolded, reading

KINDS = "biufcUS"  # numbers and text; objects would be pickles
SUFFIX = ".npy"
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(path: PathLike) -> np.ndarray:
    """Return the array in a .npy file, read-only. Raises ``UserError`` for a file that holds no numbers or is damaged."""
    with reading(path, "NumPy file", "what numpy.save wrote"), open(path, "rb") as stream:
        return _array(stream, Path(path).stat().st_size)


def read_npz(path: PathLike) -> dict[str, np.ndarray]:
    """Return the arrays in a .npz file by name, read-only. Raises ``UserError`` as ``read_npy`` does."""
    with reading(path, "NumPy file", "what numpy.savez wrote"), open(path, "rb") as stream:
        return npz_in(stream, Path(path).stat().st_size)


def npz_in(stream: BinaryIO, size: int) -> dict[str, np.ndarray]:
    """As ``read_npz``, of a stream of ``size`` bytes; raises whatever its parsers raise."""
    arrays, left = {}, most_unfolded(size)
    with zipfile.ZipFile(stream) as archive:
        for record in archive.infolist():
            if not record.filename.endswith(SUFFIX):
                raise ValueError(f"{printable(record.filename)} in it is no array")
            left -= record.file_size
            if left < 0:
                raise MemoryError
            name = record.filename[: -len(SUFFIX)]
            if name in arrays:
                raise ValueError(f"{printable(name)} is in it twice")
            with archive.open(record) as entry:
                arrays[name] = _array(entry, record.file_size)
    return arrays


def _array(stream: BinaryIO, size: int) -> np.ndarray:
    """Return the array in a stream of ``size`` bytes, of which its header says no more than there are."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of its format is not known")
    shape, by_columns, kind = _HEADERS[version](stream)
    if kind.kind not in KINDS:
        raise ValueError(f"it holds {printable(kind)}, no numbers")
    expected = math.prod(shape) * kind.itemsize
    if any(length < 0 for length in shape) or expected > size:
        raise ValueError(f"shape {printable(shape)} takes more than the {size} bytes that there are")
    raw = stream.read(expected)
    if len(raw) != expected:
        raise EOFError(f"it has {len(raw)} bytes of numbers, expected {expected}")
    return np.frombuffer(raw, kind).reshape(shape, order="F" if by_columns else "C")
