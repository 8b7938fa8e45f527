"""The allow-list: the names that a PyTorch pickle may use, and what each stands for here.

Every name a file mentions is either on this list, and then stands for code of ours, or is the class of an object with
the attributes of a ``torch.nn.Module``, and then stands for nothing but those attributes. Any other name refuses the
file, and so does any name of Python's standard library that is not listed: there are no networks in it. No name is
ever imported; PyTorch need not be installed.
"""
import sys
from collections import OrderedDict

import numpy as np

from mindrestore.checkpoints import number_types
from mindrestore.checkpoints.inert_pickle import InertPickle, Name, PickleError, Refused, hashable
from mindrestore.checkpoints.torch_objects import Module, NumpyArray, NumpyType, Storage, Tensor

_STORAGE_KINDS = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": number_types.BFLOAT16, "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16",
    "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
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

    ``storage`` is called with (key, kind, count) for every storage the pickle refers to and returns a ``Storage``;
    ``nested`` is called with the bytes of a PyTorch file inside the pickle and returns its description. Both raise
    ``PickleError`` for what they cannot find. The ``allowance`` bounds what calls may copy.
    """

    def __init__(self, storage, nested, allowance):
        self.nested = nested
        self._storage = storage
        self._allowance = allowance
        self._mentioned = {}  # spelling -> Name, of names that are not on the list
        self._module_classes = set()  # the spellings among them that turned out to be a module's class

    def load(self, stream):
        description = super().load(stream)
        for spelling, name in self._mentioned.items():
            if spelling not in self._module_classes:
                raise Refused(name)
        return description

    def name(self, module, attribute):
        name = Name(module, attribute)
        if str(name) not in _LISTED:
            self._mentioned.setdefault(str(name), name)
        return name

    def call(self, function, arguments):
        if str(function) not in _CALLS:
            raise Refused(function)
        self._allowance.spend_on_copies(arguments)
        return _CALLS[str(function)](self, *arguments)

    def instantiate(self, class_name, arguments):
        if str(class_name) in _LISTED:
            return self.call(class_name, arguments)
        if arguments or class_name.module.split(".")[0] in _STANDARD_LIBRARY:
            raise Refused(class_name)
        return Module(class_name)

    def build(self, target, state):
        if isinstance(target, (OrderedDict, Tensor)):
            return  # a state_dict's version numbers, a parameter's Python attributes: nothing that holds weights
        if not isinstance(target, (Module, NumpyArray, NumpyType)):
            super().build(target, state)
        if isinstance(target, NumpyArray):
            self._allowance.spend_on_copies(state)
        target.fill(state)
        if isinstance(target, Module):
            self._module_classes.add(str(target.name))

    def persistent(self, identifier):
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


def _ordered_dict(_, pairs=()):
    return OrderedDict((hashable(key), value) for key, value in pairs)


def _counter(_, counts):
    return dict(_checked(counts, dict))


def _set(_, items):
    return set(map(hashable, items))


def _frozen_set(_, items):
    return frozenset(map(hashable, items))


def _bytes(_, text, encoding):
    if encoding not in ("latin1", "latin-1"):
        raise PickleError("is damaged: bytes spelt in an encoding other than latin-1")
    return _checked(text, str).encode("latin-1")


def _size(_, lengths):
    return tuple(lengths)


def _device(_, kind, index=None):
    return _checked(kind, str) if index is None else f"{_checked(kind, str)}:{_checked(index, int)}"


def _tensor(_, storage, offset, size, stride, _requires_grad=False, _hooks=None, metadata=None):
    return _view(storage, offset, size, stride, metadata)


def _tensor_of_untyped(_, storage, offset, size, stride, _requires_grad, _hooks, kind, metadata=None):
    if not isinstance(kind, Name) or str(kind) not in _TYPES:
        raise Refused(kind if isinstance(kind, Name) else "a tensor without a type")
    return _view(storage, offset, size, stride, metadata, _TYPES[str(kind)])


def _view(storage, offset, size, stride, metadata, kind=None):
    if metadata:
        raise PickleError("refused: it holds a tensor that is conjugated or negated lazily")
    return Tensor(storage, offset, size, stride, kind)


def _parameter(_, tensor, *_flags):
    return _checked(tensor, Tensor)


def _tensor_of_class(pickle, function, _class, arguments, _state):
    if str(_checked(function, Name)) not in _TENSOR_CALLS:
        raise Refused(function)
    return pickle.call(function, _checked(arguments, tuple))


def _nested_storage(pickle, data):
    return _checked(pickle.nested(_checked(data, bytes)), Storage)


def _object_without_state(pickle, class_name, base, state):
    if str(_checked(base, Name)) not in ("builtins.object", "__builtin__.object") or state is not None:
        raise Refused(class_name)
    return pickle.instantiate(_checked(class_name, Name), ())


def _numpy_array(_, _class, _shape, _code):
    return NumpyArray()


def _numpy_array_of_bytes(_, raw, kind, shape, order):
    array = NumpyArray()
    array.fill((1, shape, kind, order == "F", bytes(raw) if type(raw) is bytearray else raw))
    return array


def _numpy_type(_, code, _align=False, _copy=False):
    return NumpyType(code)


def _numpy_number(_, kind, raw):
    raw = raw.encode("latin-1") if type(raw) is str else raw
    (number,) = np.frombuffer(_checked(raw, bytes), _checked(kind, NumpyType).dtype)
    return number.item()


def _checked(value, wanted):
    if type(value) is not wanted:
        raise TypeError(f"a {type(value).__name__} where a {wanted.__name__} belongs")
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
