"""The allow-list: the names that a PyTorch pickle may use, and what each stands for here.

A name on the list stands for code of ours. A name that is not on it may be the class of an object with the attributes of
a ``torch.nn.Module``, and then stands for nothing but those attributes; but not where it is of Python's standard library,
which holds no networks. A file with any other name is refused. No name is ever imported; PyTorch need not be installed.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

import numpy as np

from mindrestore.checkpoints import number_types
from mindrestore.checkpoints.inert_pickle import InertPickle, Name, PickleError, Refused, hashable
from mindrestore.checkpoints.torch_objects import Allowance, Module, NumpyArray, NumpyType, Storage, Tensor

Expected = TypeVar("Expected")
_STORAGE_KINDS = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": number_types.BFLOAT16,
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
}
_STORAGES = {
    **{f"{package}.{name}": kind for name, kind in _STORAGE_KINDS.items() for package in ("torch", "torch.cuda")},
    "torch.storage.UntypedStorage": "uint8",
    "torch.UntypedStorage": "uint8",
}
_STANDARD_LIBRARY = {*getattr(sys, "stdlib_module_names", sys.builtin_module_names), "__builtin__"}  # from 3.10 on


class TorchPickle(InertPickle):
    """Reads the pickle of a PyTorch file into the descriptions of ``torch_objects``.

    Args:
        storage: called with (key, kind, count) for every storage that the pickle refers to; returns it, or raises
            ``PickleError`` where there is none.
        nested: called with the bytes of a PyTorch file inside the pickle; returns its description, or raises
            ``PickleError``.
        allowance: bounds what calls may copy.
    """

    def __init__(
        self, storage: Callable[[str, str, int], Storage], nested: Callable[[bytes], Any], allowance: Allowance
    ) -> None:
        self.nested = nested
        self._storage = storage
        self._allowance = allowance
        self._mentioned = {}  # spelling -> Name, of names that are not on the list
        self._module_classes = set()  # the spellings among them that turned out to be a module's class

    def load(self, stream: BinaryIO) -> Any:
        description = super().load(stream)
        for spelling, name in self._mentioned.items():
            if spelling not in self._module_classes:
                raise Refused(name)
        return description

    def name(self, module: str, attribute: str) -> Name:
        name = Name(module, attribute)
        if str(name) not in _LISTED:
            self._mentioned.setdefault(str(name), name)
        return name

    def call(self, function: Name, arguments: tuple) -> Any:
        if str(function) not in _CALLS:
            raise Refused(function)
        self._allowance.spend_on_copies(arguments)
        return _CALLS[str(function)](self, *arguments)

    def instantiate(self, class_name: Name, arguments: tuple) -> Any:
        if str(class_name) in _LISTED:
            return self.call(class_name, arguments)
        if arguments or class_name.module.split(".")[0] in _STANDARD_LIBRARY:
            raise Refused(class_name)
        return Module(class_name)

    def build(self, target: Any, state: Any) -> None:
        if isinstance(target, (OrderedDict, Tensor)):
            return  # a state_dict's version numbers, a parameter's Python attributes: nothing that holds weights
        if not isinstance(target, (Module, NumpyArray, NumpyType)):
            super().build(target, state)
        if isinstance(target, NumpyArray):
            self._allowance.spend_on_copies(state)
        target.fill(state)
        if isinstance(target, Module):
            self._module_classes.add(str(target.name))

    def persistent(self, identifier: Any) -> Any:
        if type(identifier) is not tuple or identifier[:1] not in [("storage",), ("module",)]:
            raise PickleError("refused: it refers to data outside its pickle that is no storage")
        if identifier[0] == "module":
            _, class_name, _source_file, _source = identifier
            return class_name
        _, storage_class, key, _device, count, *view = identifier
        if type(key) is not str or not isinstance(storage_class, Name) or str(storage_class) not in _STORAGES:
            raise Refused(storage_class if isinstance(storage_class, Name) else "a storage without a type")
        if view not in ([], [None]):
            raise PickleError("refused: it holds views of storages, as PyTorch wrote them before 0.4")
        return self._storage(key, _STORAGES[str(storage_class)], count)


# What the listed names stand for when they are called: functions of (the pickle being read, the file's arguments).
# PyTorch's own are in torch/_utils.py, NumPy's in numpy/core/multiarray.py.


def _ordered_dict(_: TorchPickle, pairs: Any = ()) -> OrderedDict:
    return OrderedDict((hashable(key), value) for key, value in _checked(pairs, (list, tuple)))


def _counter(_: TorchPickle, counts: Any) -> dict:
    return dict(_checked(counts, dict))


def _set(_: TorchPickle, items: Any) -> set:
    return set(map(hashable, _checked(items, (list, tuple))))


def _frozen_set(_: TorchPickle, items: Any) -> frozenset:
    return frozenset(map(hashable, _checked(items, (list, tuple))))


def _bytes(_: TorchPickle, text: Any, encoding: Any) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise PickleError("is damaged: bytes spelt in an encoding other than latin-1")
    return _checked(text, str).encode("latin-1")


def _size(_: TorchPickle, lengths: Any) -> tuple:
    return tuple(_checked(lengths, (list, tuple)))


def _device(_: TorchPickle, kind: Any, index: Any = None) -> str:
    return _checked(kind, str) if index is None else f"{_checked(kind, str)}:{_checked(index, int)}"


def _tensor(
    _: TorchPickle,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    _requires_grad: Any = False,
    _hooks: Any = None,
    metadata: Any = None,
) -> Tensor:
    return _view(storage, offset, size, stride=stride, metadata=metadata)


def _tensor_of_untyped(
    _: TorchPickle,
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    _requires_grad: Any,
    _hooks: Any,
    kind: Any,
    metadata: Any = None,
) -> Tensor:
    if not isinstance(kind, Name) or str(kind) not in _TYPES:
        raise Refused(kind if isinstance(kind, Name) else "a tensor without a type")
    return _view(storage, offset, size, stride=stride, metadata=metadata, kind=_TYPES[str(kind)])


def _view(storage: Any, offset: Any, size: Any, *, stride: Any, metadata: Any, kind: str | None = None) -> Tensor:
    if metadata:
        raise PickleError("refused: it holds a tensor that is conjugated or negated lazily")
    return Tensor(storage, offset, size, stride=stride, kind=kind)


def _parameter(_: TorchPickle, tensor: Any, *_flags: Any) -> Tensor:
    return _checked(tensor, Tensor)


def _tensor_of_class(pickle: TorchPickle, function: Any, _class: Any, arguments: Any, _state: Any) -> Tensor:
    if str(_checked(function, Name)) not in _TENSOR_CALLS:
        raise Refused(function)
    return pickle.call(function, _checked(arguments, tuple))


def _nested_storage(pickle: TorchPickle, data: Any) -> Storage:
    return _checked(pickle.nested(_checked(data, bytes)), Storage)


def _object_without_state(pickle: TorchPickle, class_name: Any, base: Any, state: Any) -> Any:
    if str(_checked(base, Name)) not in ("builtins.object", "__builtin__.object") or state is not None:
        raise Refused(class_name)
    return pickle.instantiate(_checked(class_name, Name), ())


def _numpy_array(_: TorchPickle, _class: Any, _shape: Any, _code: Any) -> NumpyArray:
    return NumpyArray()


def _numpy_array_of_bytes(_: TorchPickle, raw: Any, kind: Any, shape: Any, order: Any) -> NumpyArray:
    array = NumpyArray()
    array.fill((1, shape, kind, order == "F", bytes(raw) if type(raw) is bytearray else raw))
    return array


def _numpy_type(_: TorchPickle, code: Any, _align: Any = False, _copy: Any = False) -> NumpyType:
    return NumpyType(code)


def _numpy_number(_: TorchPickle, kind: Any, raw: Any) -> Any:
    raw = raw.encode("latin-1") if type(raw) is str else raw
    (number,) = np.frombuffer(_checked(raw, bytes), _checked(kind, NumpyType).dtype)
    return number.item()


def _checked(value: Any, expected: type[Expected] | tuple[type[Expected], ...]) -> Expected:
    """Return ``value`` if its type is exactly ``expected``, or one of them; ``TypeError`` if not."""
    kinds = expected if isinstance(expected, tuple) else (expected,)
    if type(value) not in kinds:
        raise TypeError(f"a {type(value).__name__} where a {' or '.join(kind.__name__ for kind in kinds)} belongs")
    return value


_TENSOR_CALLS = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_untyped,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
}
_CALLS = {
    **_TENSOR_CALLS,
    "torch._tensor._rebuild_from_type_v2": _tensor_of_class,
    "torch.storage._load_from_bytes": _nested_storage,
    "torch.Size": _size,
    "torch.device": _device,
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _counter,
    "builtins.set": _set,
    "__builtin__.set": _set,
    "builtins.frozenset": _frozen_set,
    "__builtin__.frozenset": _frozen_set,
    "copyreg._reconstructor": _object_without_state,
    "copy_reg._reconstructor": _object_without_state,
    "_codecs.encode": _bytes,
    **{f"numpy.{core}.multiarray._reconstruct": _numpy_array for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _numpy_array_of_bytes for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _numpy_number for core in ("core", "_core")},
    "numpy.dtype": _numpy_type,
}
_TYPES = {f"torch.{kind}": kind for kind in number_types.NAMES}
_ARGUMENTS = {"builtins.object", "__builtin__.object", "numpy.ndarray", "torch.Tensor", "torch._tensor.Tensor"}
_LISTED = frozenset([*_CALLS, *_STORAGES, *_TYPES, *_ARGUMENTS])
