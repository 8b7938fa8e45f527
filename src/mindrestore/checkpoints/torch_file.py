"""PyTorch's files, read without PyTorch: the zip format (1.6 on), the older stream of pickles, and plain pickles."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TypeVar

from mindrestore.checkpoints.inert_pickle import PickleError
from mindrestore.checkpoints.torch_objects import Allowance, Storage, plain
from mindrestore.checkpoints.torch_pickle import TorchPickle
from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike

ZIP_START = b"PK\x03\x04"
PICKLE_START = b"\x80"  # the opcode that states a pickle's protocol
DAMAGED = (
    zipfile.BadZipFile,  # no directory at the end, a header that is none, a checksum that does not hold
    EOFError,  # a record that ends too early
    zlib.error,
    lzma.LZMAError,  # compressed bytes that do not unpack
    struct.error,  # a field that is cut short
    RuntimeError,  # a record marked as encrypted, or of a version or compression that zipfile does not know
    ValueError,  # a name that is no text (UnicodeDecodeError)
)
"""Errors that the zip library raises for a damaged archive. It also raises ``OSError``: for a place before the start of the
file, bzip2 that does not unpack, and a file that cannot be read at all. Catch these around calls of the library only, because
code of our own may raise them by mistake."""
Argument = TypeVar("Argument")
Result = TypeVar("Result")
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def read(path: PathLike) -> Any:
    """Return what ``torch.save`` wrote to ``path``, as plain Python containers and NumPy arrays.

    Tensors and parameters become arrays of their shape and number type (bfloat16 becomes float32) that may share
    memory and may be read-only; a pickled network becomes its ``state_dict()``. Nothing in the file is executed or
    imported, see ``torch_pickle``. Raises ``UserError`` for a file that is cut short, damaged, asks for anything but
    data, or is not PyTorch's.

    Source: ``torch/serialization.py``, ``_save`` and ``_legacy_save``.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            is_zip = file.read(len(ZIP_START)) == ZIP_START
        allowance = Allowance(path.stat().st_size)
        description = _read_zip(path, allowance) if is_zip else _read_stream(io.BytesIO(path.read_bytes()), allowance)
        return plain(description, allowance)
    except PickleError as error:
        raise UserError(f"{path}: {error}.") from error
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError, MemoryError, struct.error) as error:
        reason = printable(" ".join(str(error).split()))  # values that fit neither each other nor memory
        raise UserError(f"{path}: is cut short or damaged ({type(error).__name__}: {reason}).") from error
    except RecursionError as error:
        raise UserError(f"{path}: refused: its values are nested too deeply for a checkpoint.") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); expected a PyTorch file.") from error


def _read_zip(path: Path, allowance: Allowance) -> Any:
    with _from_library(zipfile.ZipFile, path) as archive:
        return _Archive(archive, path.stat().st_size).description(allowance)


def _from_library(call: Callable[[Argument], Result], argument: Argument) -> Result:
    """Return ``call(argument)``, a call of the zip library; ``PickleError`` where it finds the archive damaged."""
    try:
        return call(argument)
    except DAMAGED as error:
        raise PickleError(f"is cut short or damaged ({type(error).__name__}: {printable(error)})") from error


class _Archive:
    """The records of a zip file: ``<root>/data.pkl``, ``<root>/data/<key>`` per storage, ``<root>/byteorder``.

    Records are looked up among the archive's own names and read from it alone; they must be stored uncompressed, as
    PyTorch stores them, so none can be larger than the file.
    """

    def __init__(self, archive: zipfile.ZipFile, file_bytes: int) -> None:
        self._archive = archive
        self._records = {record.filename: record for record in archive.infolist()}
        self._bytes_left = file_bytes
        self._storages = {}
        pickles = [name for name in self._records if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise PickleError("is a zip archive but not PyTorch's: it holds no single <folder>/data.pkl")
        self._root = pickles[0][: -len("data.pkl")]
        if f"{self._root}constants.pkl" in self._records:
            raise PickleError("is a TorchScript program; expected weights, saved by torch.save(net.state_dict(), path)")
        byteorder = self._read("byteorder") if f"{self._root}byteorder" in self._records else b"little"
        if byteorder not in (b"little", b"big"):
            raise PickleError("is damaged: its byteorder is neither little nor big")
        self._byteorder = byteorder.decode()

    def description(self, allowance: Allowance) -> Any:
        """Return what the archive's pickle describes."""
        pickle = TorchPickle(self._storage, _nested(allowance), allowance)
        return pickle.load(io.BytesIO(self._read("data.pkl")))

    def _storage(self, key: str, kind: str, count: int) -> Storage:
        if key not in self._storages:
            self._storages[key] = Storage(kind, count)
            self._storages[key].fill(self._read(f"data/{key}"), self._byteorder)
        return _agreeing(self._storages[key], kind, count)

    def _read(self, name: str) -> bytes:
        record = self._records.get(self._root + name)
        if record is None:
            raise PickleError(f"is damaged: its record {printable(name)} is missing")
        if record.compress_type != zipfile.ZIP_STORED:
            raise PickleError(f"refused: its record {printable(name)} is compressed, and PyTorch compresses none")
        self._bytes_left -= record.file_size
        if self._bytes_left < 0:
            raise PickleError(f"is damaged: its record {printable(name)} is larger than the file")
        return _from_library(self._archive.read, record)


def _read_stream(stream: BinaryIO, allowance: Allowance, nested: Callable[[bytes], Any] | None = None) -> Any:
    """Read the format before PyTorch 1.6, or a plain pickle, and return what it describes.

    Five pickles: magic number, protocol, facts about the machine, the value, the keys of the storages; then for each
    key the count of its numbers as int64, and the numbers, little-endian on every machine.
    """
    storages = {}

    def storage(key: str, kind: str, count: int) -> Storage:
        return _agreeing(storages.setdefault(key, Storage(kind, count)), kind, count)

    def load() -> Any:
        return TorchPickle(storage, nested or _nested(allowance), allowance).load(stream)

    if stream.read(1) != PICKLE_START:
        raise PickleError("is not a PyTorch file; expected what torch.save writes")
    stream.seek(0)
    first = load()
    if type(first) is not int or first != _LEGACY_MAGIC:
        return first
    protocol = load()
    if type(protocol) is not int or protocol != _LEGACY_PROTOCOL:
        raise PickleError(f"is damaged: the number of its format is not {_LEGACY_PROTOCOL}")
    load()  # the machine: its byte order and the sizes of its C types, of no consequence
    description = load()
    keys = load()
    if type(keys) is not list or not all(type(key) is str and key in storages for key in keys):
        raise PickleError("is damaged: its list of storages is not that of its tensors")
    for key in keys:
        if stream.read(8) != struct.pack("<q", storages[key].count):
            raise PickleError("is cut short or damaged: a storage has not the size that its tensors expect")
        storages[key].fill(stream.read(storages[key].nbytes))
    return description


def _nested(allowance: Allowance) -> Callable[[bytes], Any]:
    """Return a reader of PyTorch files inside the file, as plain ``pickle`` writes storages; they may not hold more files."""

    def read(data: bytes) -> Any:
        return _read_stream(io.BytesIO(data), allowance, nested=refuse)

    def refuse(_: bytes) -> NoReturn:
        raise PickleError("refused: it holds files within files within files")

    return read


def _agreeing(storage: Storage, kind: str, count: int) -> Storage:
    """Return ``storage`` if it has this type and count; ``PickleError`` if not."""
    if (storage.kind, storage.count) != (kind, count):
        raise PickleError("is damaged: it gives one storage two sizes or types")
    return storage
