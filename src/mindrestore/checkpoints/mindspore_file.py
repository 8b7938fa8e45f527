"""MindSpore's own checkpoint format: read without MindSpore, written with it.

The format is one protobuf message, ``Checkpoint`` of mindspore/ccsrc/utils/checkpoint.proto::

    Checkpoint: repeated Value value = 1
    Value: string tag = 1, TensorProto tensor = 2
    TensorProto: repeated int64 dims = 1, string tensor_type = 2, bytes tensor_content = 3

An array larger than 512 MB comes as several values with one tag. It is read by code of our own because a file may be a
stranger's, or damaged: ``mindspore.load_checkpoint`` believes the dims that it reads, and then writes outside its memory.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mindrestore.checkpoints import number_types
from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike, replacing

SUFFIX = ".ckpt"
START = b"\x0a"  # the tag of the message's first and only field
_TEXT = "str"  # tensor_type of a text entry, which is stored as UTF-32, little-endian
Entry = np.ndarray | str


def read(path: PathLike) -> dict[str, Entry]:
    """Return what a MindSpore checkpoint holds: name -> NumPy array (read-only), or str for a text entry.

    Raises ``UserError`` if the file is cut short, damaged or not MindSpore's.
    """
    path = Path(path)
    try:
        return _entries(memoryview(path.read_bytes()))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a MindSpore checkpoint.") from error
    except (ValueError, IndexError, TypeError) as error:
        raise UserError(
            f"{path}: is no MindSpore checkpoint, or one that is cut short or damaged ({printable(error)})."
        ) from error


def write(path: PathLike, arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> None:
    """Write ``arrays`` (name -> NumPy array) and ``texts`` (name -> str) to ``path``, whole or not at all.

    ``mindspore.load_checkpoint`` reads the file. The texts come last, so that a file cut short lacks them. Raises
    ``UserError`` if the path does not end in .ckpt, ``ValueError`` for an array without values, which MindSpore's
    format cannot hold.
    """
    import mindspore

    path = Path(path)
    if path.suffix != SUFFIX:
        raise UserError(f"{path}: a checkpoint is written as {SUFFIX}; choose a name that ends so.")
    for name, array in arrays.items():
        if array.size == 0:
            raise ValueError(f"{name} has shape {array.shape}: MindSpore's checkpoints cannot hold an empty array")
    entries = [{"name": name, "data": mindspore.Tensor(array)} for name, array in arrays.items()]
    with replacing(path) as scratch:
        mindspore.save_checkpoint(entries, str(scratch), append_dict=texts)


def _entries(message: memoryview) -> dict[str, Entry]:
    entries = {}  # name -> (type, dims, chunks)
    for value in _fields(message, 1):
        (tag,), (tensor,) = _fields(value, 1), _fields(value, 2)
        (kind,), (content,) = _fields(tensor, 2), _fields(tensor, 3)
        name = str(tag, "utf-8")
        _, _, chunks = entries.setdefault(name, (str(kind, "utf-8"), tuple(_fields(tensor, 1)), []))
        chunks.append(content)
    if not entries:
        raise ValueError("it holds no entries")
    return {name: _entry(name, *entry) for name, entry in entries.items()}


def _entry(name: str, kind: str, dims: tuple[int, ...], chunks: list[memoryview]) -> Entry:
    raw = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if kind == _TEXT:
        return str(raw, "utf-32-le")
    kind = kind.lower()
    if kind not in number_types.NAMES:
        raise ValueError(f"{name} is of type {kind}")
    shape = () if dims == (0,) else dims  # MindSpore before 2.0 wrote a number's shape so
    expected = math.prod(shape) * number_types.bytes_each(kind)
    if len(raw) != expected:
        raise ValueError(f"{name} of shape {printable(shape)} takes {len(raw)} bytes, expected {expected}")
    return number_types.numbers(raw, kind).reshape(shape)


def _fields(message: memoryview, number: int) -> list[int | memoryview]:
    """Return the values of every field ``number`` of a protobuf message: ints, or memoryviews of bytes.

    Raises ``ValueError``, ``IndexError`` or ``TypeError`` where the message ends early or is none.
    """
    values, position = [], 0
    while position < len(message):
        key, position = _varint(message, position)
        value, wire = None, key & 7
        if wire == 0:
            value, position = _varint(message, position)
        elif wire == 2:
            length, position = _varint(message, position)
            value, position = message[position : position + length], position + length
        if value is None or position > len(message):
            raise ValueError(f"it ends, or turns into something else, at byte {min(position, len(message))}")
        if key >> 3 == number:
            values.append(value)
    return values


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number of more than ten bytes")
