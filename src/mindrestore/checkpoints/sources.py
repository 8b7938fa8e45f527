"""Weights from wherever they are: any file format we know, or a dict, as name -> NumPy array."""

from __future__ import annotations

import collections
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from mindrestore.checkpoints import mindspore_file, number_types, torch_file
from mindrestore.checkpoints.named import located
from mindrestore.checkpoints.torch_file import DAMAGED
from mindrestore.errors import UserError, printable, some_of
from mindrestore.files import PathLike, existing
from mindrestore.readers.numpy_files import read_npz
from mindrestore.readers.untrusted import reading

WRAPPERS = ("params_ema", "params", "state_dict", "model", "net")
"""Keys under which training programs store a network's weights, the first that is there counts. BasicSR stores the running
average of the weights beside them and restores with the average."""

_WRAPPING = re.compile(r"\A(?:(?:module|_orig_mod)\.)+|(?<=\.)_orig_mod\.")
"""What data-parallel training puts before every name, once for each wrapping, and compiling before those of its parts."""
_LONGEST_NAME = 500
_PREFIX_PARTS, _PREFIXES = 3, 3  # that are looked for
_SAFETENSORS_KINDS = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": number_types.BFLOAT16,
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}
Arrays = dict[str, np.ndarray]
Source = PathLike | Mapping[str, np.ndarray]
_EXPECTED = "expected a PyTorch file (.pth, .pt, .bin, .pkl), .npz, .safetensors or a MindSpore .ckpt"


def read_arrays(source: Source) -> Arrays:
    """Return the weights in ``source`` as name -> NumPy array.

    ``source`` is the path of a PyTorch file, .npz, .safetensors or MindSpore .ckpt (told apart by their content, not
    by their suffix), a word for published weights such as ``"006"``, or a dict whose values are arrays or tensors
    (anything with ``numpy()``).
    Where there is one of ``WRAPPERS`` with something in it, the weights are what lies under it. ``module.`` and ``_orig_mod.``
    are taken off names; half precision becomes float32; numbers and text among the weights are left out. Arrays may share
    memory and may be read-only. Raises ``UserError`` if the source cannot be read or holds no weights.
    """
    return arrays_in(read_contents(source), described(source))


def arrays_in(contents: Any, where: str) -> Arrays:
    """As ``read_arrays``, of the ``contents`` that ``read_contents`` gives; ``where`` names their source in an error."""
    weights = _unwrapped(contents)
    if not isinstance(weights, Mapping):
        raise UserError(f"{where}: holds a {type(weights).__name__}; expected arrays by name.")
    arrays = {}
    for name, value in weights.items():
        array = _array(value)
        if array is not None:
            arrays[_plain_name(name, weights, where)] = number_types.for_use(array)
        elif isinstance(value, (Mapping, list, tuple)):
            raise UserError(
                f"{where}: holds a {type(value).__name__} under {printable(name)}, where weights would be arrays by "
                f"name, or under one of {', '.join(WRAPPERS)}."
            )
    if not arrays:
        raise UserError(f"{where}: holds no weights, only {some_of(weights) or 'nothing'}; expected arrays by name.")
    return arrays


def prefixes(names: Iterable[str]) -> Iterator[str]:
    """Iterate over what ``names`` may have in front of a network's own, such as ``generator.``: the beginnings, up to a full
    stop, that most of them share, of one to ``_PREFIX_PARTS`` parts.
    """
    split = [name.split(".") for name in names]
    for parts in range(1, _PREFIX_PARTS + 1):
        begins = collections.Counter(tuple(name[:parts]) for name in split if len(name) > parts)
        yield from (".".join((*begin, "")) for begin, _ in begins.most_common(_PREFIXES))


def described(source: Source) -> str:
    """Return what to call ``source`` in a message."""
    return str(Path(source)) if isinstance(source, (str, os.PathLike)) else "the weights given"


def is_mindspore_file(path: PathLike) -> bool:
    """Tell whether ``path`` is MindSpore's kind of checkpoint, by its first bytes. Raises ``UserError`` if absent."""
    return _reader(existing(path, "checkpoint file")) is mindspore_file.read


def read_contents(source: Source) -> Any:
    """Return everything that a source holds: of a file what its format's reader gives, of a dict itself."""
    if isinstance(source, Mapping):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise UserError(f"weights cannot be read from a {type(source).__name__}; expected a path or a dict of arrays.")
    source = located(source)
    return _reader(source)(source)


def _reader(path: PathLike) -> Callable[[PathLike], Any]:
    """Return the function that reads the file at ``path``, chosen by how the file begins."""
    path = existing(path, "checkpoint file")
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {_EXPECTED}.") from error
    if head.startswith(torch_file.ZIP_START):
        return read_npz if _is_npz(path) else torch_file.read
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
        return _read_safetensors
    if head.startswith(torch_file.PICKLE_START):
        return torch_file.read
    if head.startswith(mindspore_file.START):
        return mindspore_file.read
    raise UserError(f"{path}: is {'no checkpoint' if head else 'empty'}; {_EXPECTED}.")


def _is_npz(path: PathLike) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return all(name.endswith(".npy") for name in archive.namelist())
    except (*DAMAGED, OSError):
        return Path(path).suffix == ".npz"


def _read_safetensors(path: PathLike) -> Arrays:
    arrays = {}
    with reading(path, "safetensors file"):
        for name, entry in safetensors.deserialize(Path(path).read_bytes()):
            kind = _SAFETENSORS_KINDS.get(entry["dtype"])
            if kind is None:
                raise UserError(f"{path}: {printable(name)} is of type {entry['dtype']}, which is not supported.")
            arrays[name] = number_types.numbers(entry["data"], kind).reshape(entry["shape"])
    return arrays


def _unwrapped(contents: Any) -> Any:
    """Return what lies under one of ``WRAPPERS``, or ``contents`` where there is none or all are empty."""
    for _ in WRAPPERS:  # one may be inside another
        if isinstance(contents, Mapping):
            inner = [contents[key] for key in WRAPPERS if isinstance(contents.get(key), Mapping)]
            contents = next((weights for weights in inner if weights), contents)
    return contents


def _array(value: Any) -> np.ndarray | None:
    """Return ``value`` as a NumPy array, or None if it is neither an array of numbers nor a tensor."""
    if isinstance(value, np.ndarray):
        return value if value.dtype.name in number_types.NAMES else None
    if not hasattr(value, "numpy"):
        return None
    value = value.detach().cpu() if hasattr(value, "detach") else value
    value = value.float() if "bfloat16" in str(value.dtype).lower() else value  # NumPy has none
    return value.numpy()


def _plain_name(name: Any, weights: Mapping[Any, Any], where: str) -> str:
    """Return ``name`` without ``_WRAPPING``."""
    if not isinstance(name, str):
        raise UserError(f"{where}: has {printable(name)} for a name; expected text such as conv1.0.weight.")
    if len(name) > _LONGEST_NAME:
        raise UserError(
            f"{where}: has a name of {len(name)} letters ({printable(name)}); expected text such as conv1.0.weight."
        )
    plain = _WRAPPING.sub("", name)
    if plain != name and plain in weights:
        raise UserError(f"{where}: holds both {printable(name)} and {printable(plain)}; expected one of them.")
    return plain
