"""MindSpore's own checkpoint format, read and written without MindSpore.

The format is one protobuf message, ``Checkpoint`` of mindspore/ccsrc/utils/checkpoint.proto::

    Checkpoint: repeated Value value = 1
    Value: string tag = 1, TensorProto tensor = 2
    TensorProto: repeated int64 dims = 1, string tensor_type = 2, bytes tensor_content = 3

An array larger than 512 MB comes as several values with one tag. After the message may stand a checksum of it, which MindSpore
writes and checks where it is asked to (``crc_check``) and passes over elsewhere: ``crc_num`` and the message's CRC-32 as ten
bytes, the highest first. Every single flipped bit changes a CRC-32.

It is read by code of our own because a file may be a stranger's, or damaged: ``mindspore.load_checkpoint`` believes the dims
that it reads, and then writes outside its memory. It is written by code of our own because ``mindspore.save_checkpoint`` holds
everything in memory once more, and prints a page of its own where a disk is full.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from mindrestore.checkpoints import number_types
from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike, replacing

SUFFIX = ".ckpt"
START = b"\x0a"  # the tag of the message's first and only field
CHECKSUM = b"crc_num"  # begins what may follow the message
_CHECKSUM_BYTES = 10
_LARGEST_VALUE = 2**29  # bytes of an array in one value
_TEXT = "str"  # tensor_type of a text entry, which is stored as UTF-32, little-endian
Entry = np.ndarray | str


def read(path: PathLike) -> dict[str, Entry]:
    """Return what a MindSpore checkpoint holds: name -> NumPy array (read-only), or str for a text entry.

    Raises ``UserError`` if the file is cut short, damaged or not MindSpore's.
    """
    path = Path(path)
    try:
        return _entries(_checked(memoryview(path.read_bytes())))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a MindSpore checkpoint.") from error
    except (ValueError, IndexError, TypeError) as error:
        raise UserError(
            f"{path}: is no MindSpore checkpoint, or one that is cut short or damaged ({printable(error)})."
        ) from error


def write(path: PathLike, arrays: Mapping[str, np.ndarray], texts: Mapping[str, str], former: PathLike | None = None) -> None:
    """Write ``arrays`` (name -> NumPy array) and ``texts`` (name -> str) to ``path``, whole or not at all, with a checksum.

    ``mindspore.load_checkpoint`` reads the file. The texts come last, so that a file cut short lacks them. ``former``: what
    ``path`` held is then called so. Raises ``UserError`` if the path does not end in .ckpt or cannot be written, ``ValueError``
    for an array without values, which MindSpore's format cannot hold.
    """
    path = Path(path)
    check_suffix(path)
    for name, array in arrays.items():
        if array.size == 0:
            raise ValueError(f"{name} has shape {array.shape}: MindSpore's checkpoints cannot hold an empty array")
    checksum = 0
    with replacing(path, former) as scratch, open(scratch, "wb") as file:
        for piece in _message(arrays, texts):
            checksum = zlib.crc32(piece, checksum)
            file.write(piece)
        file.write(CHECKSUM + checksum.to_bytes(_CHECKSUM_BYTES, "big"))


def check_suffix(path: Path) -> None:
    """Raise ``UserError`` unless ``path`` ends as checkpoints that are written do."""
    if path.suffix != SUFFIX:
        raise UserError(f"{path}: a checkpoint is written as {SUFFIX}; choose a name that ends so.")


def _message(arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """Yield the message piece by piece; arrays are not copied."""
    for name, array in arrays.items():
        little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        kind = array.dtype.name.capitalize().replace("Uint", "UInt")
        content = little.reshape(-1).view(np.uint8).data
        for start in range(0, len(content), _LARGEST_VALUE):
            yield from _value(name, array.shape, kind, content[start : start + _LARGEST_VALUE])
    for name, text in texts.items():
        yield from _value(name, (0,), _TEXT, text.encode("utf-32-le"))


def _value(name: str, dims: Sequence[int], kind: str, content: bytes | memoryview) -> Iterator[bytes | memoryview]:
    """Yield the field ``value`` of a message: what comes before its content, and the content."""
    tag = _delimited(1, name.encode())
    about = b"".join(b"\x08" + _coded(length) for length in dims) + _delimited(2, kind.encode())
    before = about + b"\x1a" + _coded(len(content))
    tensor = b"\x12" + _coded(len(before) + len(content))
    yield b"\x0a" + _coded(len(tag) + len(tensor) + len(before) + len(content)) + tag + tensor + before
    yield content


def _delimited(number: int, content: bytes) -> bytes:
    """Return field ``number``, at most 15, of bytes or text."""
    return bytes([number << 3 | 2]) + _coded(len(content)) + content


def _coded(number: int) -> bytes:
    """Return ``number`` as protobuf's varint."""
    coded = bytearray()
    while number > 0x7F:
        coded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*coded, number])


def _checked(content: memoryview) -> memoryview:
    """Return the message in a file's content; ``ValueError`` if a checksum follows and is not the message's."""
    size = len(CHECKSUM) + _CHECKSUM_BYTES
    message, end = content[:-size], content[-size:]
    if bytes(end[: len(CHECKSUM)]) != CHECKSUM:
        return content
    if zlib.crc32(message) != int.from_bytes(end[len(CHECKSUM) :], "big"):
        raise ValueError("its checksum is not that of its content")
    return message


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
