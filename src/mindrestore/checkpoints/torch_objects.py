"""What a PyTorch pickle describes: storages, tensors that view them and modules that hold these; and their plain form.

A description is made while the pickle is read; the numbers may come later in the file. ``plain`` turns a finished
description into Python containers and NumPy arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mindrestore.checkpoints import number_types
from mindrestore.checkpoints.inert_pickle import Name, PickleError, Refused
from mindrestore.errors import printable

MOST_DIMENSIONS = 32  # NumPy's limit
_NUMPY_CODES = frozenset("b1 i1 i2 i4 i8 u1 u2 u4 u8 f2 f4 f8 c8 c16".split())
_ITEM_BYTES = 256  # at most what an entry of a dict takes beside its name's letters


class Allowance:
    """How many bytes a file may unfold to: a few times its own size, and something to spare for small ones.

    Within a pickle anything may be referred to again and again, tensors may share a storage or repeat its values by a
    stride of 0, and modules may share children. Without a bound a few kilobytes could ask for terabytes.
    """

    TIMES_ITS_SIZE = 4
    SPARE_BYTES = 2**26

    def __init__(self, file_bytes: int) -> None:
        self._left = self.SPARE_BYTES + self.TIMES_ITS_SIZE * file_bytes

    def spend_on_copies(self, values: Iterable[Any]) -> None:
        """Spend what a shallow copy of each of ``values`` would take."""
        texts = sum(len(value) for value in values if isinstance(value, (str, bytes, bytearray)))
        items = sum(len(value) for value in values if isinstance(value, (list, tuple, dict, set, frozenset)))
        self.spend(texts + _ITEM_BYTES * items)

    def spend(self, amount: int) -> None:
        """Take ``amount`` bytes off the allowance; raises ``PickleError`` when it is used up."""
        self._left -= amount
        if self._left < 0:
            raise PickleError("refused: it unfolds to far more than its size, or contains itself")


class Storage:
    """A run of ``count`` numbers of type ``kind`` (see ``number_types``) that tensors are views of."""

    def __init__(self, kind: str, count: int) -> None:
        if not _is_count(count):
            raise PickleError("is damaged: a storage whose size is no count")
        self.kind = kind
        self.count = count
        self._raw = None
        self._values = {}

    @property
    def nbytes(self) -> int:
        """Bytes that the numbers take in the file."""
        return self.count * number_types.bytes_each(self.kind)

    def fill(self, raw: bytes, byteorder: str = "little") -> None:
        """Give the storage its bytes. Raises ``PickleError`` if there are more or fewer than it needs."""
        if len(raw) != self.nbytes:
            raise PickleError(
                f"is cut short or damaged: a storage of {self.count} {self.kind} numbers has {len(raw)} bytes, "
                f"expected {self.nbytes}"
            )
        self._raw, self._byteorder = raw, byteorder

    def values(self, kind: str | None = None) -> np.ndarray:
        """Return the numbers as a 1-D array, read as ``kind`` instead of the storage's own if one is given."""
        kind = kind or self.kind
        if self._raw is None:
            raise PickleError("is damaged: a tensor whose storage is not in the file")
        if kind not in self._values:
            self._values[kind] = number_types.numbers(self._raw, kind, self._byteorder)
        return self._values[kind]


class Tensor:
    """A strided view of a storage: element (i, j, ...) is number ``offset + i * stride[0] + j * stride[1] + ...``.

    ``kind`` is None where the storage's own type is meant.
    """

    def __init__(
        self, storage: Storage, offset: int, size: Sequence[int], *, stride: Sequence[int], kind: str | None = None
    ) -> None:
        if not isinstance(storage, Storage) or not all(map(_is_count, (offset, *size, *stride))):
            raise PickleError("is damaged: a tensor whose storage, offset, size or stride is none")
        if len(size) != len(stride) or len(size) > MOST_DIMENSIONS:
            raise PickleError(f"is damaged: a tensor with {len(size)} sizes and {len(stride)} strides")
        self.storage = storage
        self.offset = offset
        self.size = tuple(size)
        self.stride = tuple(stride)
        self.kind = kind or storage.kind

    @property
    def nbytes(self) -> int:
        """Bytes that the elements take, were they copied."""
        return math.prod(self.size) * number_types.bytes_each(self.kind)

    def array(self) -> np.ndarray:
        """Return the tensor as a view of its storage's array. Raises ``PickleError`` if it reaches outside."""
        values = self.storage.values(self.kind)
        if 0 in self.size:
            return self._empty(values.dtype)
        last = self.offset + sum((length - 1) * step for length, step in zip(self.size, self.stride))
        if last >= len(values):
            raise PickleError(
                f"is cut short or damaged: a tensor of shape {printable(self.size)} reaches to number {last} of a "
                f"storage that holds {len(values)}"
            )
        strides = [step * values.itemsize if length > 1 else 0 for length, step in zip(self.size, self.stride)]
        return np.ndarray(self.size, values.dtype, buffer=values, offset=self.offset * values.itemsize, strides=strides)

    def _empty(self, dtype: np.dtype) -> np.ndarray:
        try:
            return np.zeros(self.size, dtype)
        except ValueError as error:
            raise PickleError(f"is damaged: an empty tensor of shape {printable(self.size)}") from error


class Module:
    """The inert stand-in for an object of a class that the file names: its name and, once filled, its attributes.

    The only state it takes is that of a ``torch.nn.Module``: a dict in which ``_parameters``, ``_buffers`` and
    ``_modules`` are dicts.
    """

    def __init__(self, name: Name) -> None:
        self.name = name
        self.state = None

    def fill(self, state: Any) -> None:
        """Take the pickled attributes; ``Refused`` if they are not those of a ``torch.nn.Module``."""
        parts = [state.get(part) for part in ("_parameters", "_buffers", "_modules")] if type(state) is dict else []
        if not parts or not all(isinstance(part, dict) and all(type(key) is str for key in part) for part in parts):
            raise Refused(self.name)
        if not isinstance(state.get("_non_persistent_buffers_set", set()), (set, frozenset)):
            raise Refused(self.name)
        self.state = state

    def entries(self, allowance: Allowance) -> dict[str, Any]:
        """Return what PyTorch's ``state_dict()`` of this module holds: full name -> ``Tensor``, in its order."""
        state = {}
        pending = [("", self)]
        while pending:
            prefix, module = pending.pop()
            own, children = _parts(module)
            allowance.spend(sum(len(prefix) + len(name) + _ITEM_BYTES for name in [*own, *children]))
            state.update((prefix + name, value) for name, value in own.items())
            pending += [(f"{prefix}{name}.", child) for name, child in reversed(children.items())]
        return state


def _parts(module: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a module's own tensors and its children, each as name -> value, as its ``state_dict()`` has them."""
    if not isinstance(module, Module) or module.state is None:
        raise Refused(module.name if isinstance(module, Module) else f"a {type(module).__name__} as a network module")
    state = module.state
    transient = state.get("_non_persistent_buffers_set", set())
    buffers = {name: value for name, value in state["_buffers"].items() if name not in transient}
    own = {name: value for name, value in {**state["_parameters"], **buffers}.items() if value is not None}
    children = {name: child for name, child in state["_modules"].items() if child is not None}
    return own, children


class NumpyType:
    """The stand-in for a ``numpy.dtype`` of numbers, such as ``f8``; anything else is refused."""

    def __init__(self, code: str) -> None:
        if type(code) is not str or code not in _NUMPY_CODES:
            raise Refused(f"the NumPy type {code}" if type(code) is str else "a NumPy type without a name")
        self.dtype = np.dtype(code)

    def fill(self, state: Sequence[Any]) -> None:
        """Take the byte order out of the pickled state."""
        order = state[1]
        self.dtype = self.dtype.newbyteorder({"<": "<", ">": ">"}.get(order, "="))


class NumpyArray:
    """The stand-in for a ``numpy.ndarray``, filled from its pickled state."""

    def __init__(self) -> None:
        self.array = None

    def fill(self, state: Sequence[Any]) -> None:
        """Take (version, shape, type, column-major or not, bytes); ``PickleError`` where these are no numbers."""
        _, shape, kind, column_major, raw = state
        raw = raw.encode("latin-1") if type(raw) is str else raw  # Python 2 wrote bytes as text
        if not isinstance(kind, NumpyType) or type(raw) is not bytes:
            raise PickleError("is damaged: a NumPy array without numbers")
        values = np.frombuffer(raw, kind.dtype)
        native = values.astype(kind.dtype.newbyteorder("="), copy=False)
        self.array = native.reshape(shape, order="F" if column_major else "C")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def plain(value: Any, allowance: Allowance) -> Any:
    """Return a pickle's ``value`` as dicts, lists, tuples, text, numbers and NumPy arrays.

    A module becomes its ``state_dict()``, a dtype its name, an ordered dict a dict. Arrays may share memory and may
    not be writable. Raises ``PickleError`` for what has no plain form or exceeds the ``allowance``.
    """
    return _Plain(allowance).of(value)


class _Plain:
    """Makes plain forms; one object a file."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._plain_forms = {}  # by id, so that what is shared stays shared; None while it is being made

    def of(self, value: Any) -> Any:
        """Return the plain form of ``value``."""
        if isinstance(value, (str, int, float, bytes, bytearray, type(None))):
            return value
        key = id(value)
        if key not in self._plain_forms:
            self._plain_forms[key] = None
            self._plain_forms[key] = self._converted(value)
        elif self._plain_forms[key] is None:
            raise PickleError(f"is damaged: a {type(value).__name__} that contains itself")
        return self._plain_forms[key]

    def _converted(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            self._allowance.spend(value.nbytes)
            return value.array()
        if isinstance(value, dict):
            return {key: self.of(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)([self.of(item) for item in value])
        if isinstance(value, (set, frozenset)):
            return value
        if isinstance(value, Module):
            return {name: self.of(item) for name, item in value.entries(self._allowance).items()}
        if isinstance(value, NumpyArray) and value.array is not None:
            return value.array
        if isinstance(value, Storage):
            return value.values()
        if isinstance(value, Name) and value.module == "torch" and value.attribute in number_types.NAMES:
            return value.attribute
        raise Refused(value if isinstance(value, Name) else f"a {type(value).__name__}")
