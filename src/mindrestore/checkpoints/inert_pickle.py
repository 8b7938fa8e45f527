"""A pickle machine that can describe and cannot act.

Python's unpickler looks names up, imports them and calls them; that is how a weight file runs a program. This one
takes the opcodes from the standard library's ``pickletools`` and interprets them over plain data. A global is a
``Name``: two strings, never looked up and never imported, and nothing on the stack can be called. A subclass says what
names mean, in ``call``, ``instantiate``, ``build`` and ``persistent``, with code of its own.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any, BinaryIO

from mindrestore.errors import printable

_LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE "
    "SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set, "EMPTY_TUPLE": tuple}
_TUPLE_LENGTHS = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = frozenset(["PUT", "BINPUT", "LONG_BINPUT"])
_GETS = frozenset(["GET", "BINGET", "LONG_BINGET"])
_IGNORED = frozenset(["PROTO", "FRAME"])
_KEY_TYPES = (str, int, float, bytes, type(None))  # bool is an int
_KEY_BITS = 64
_LONGEST_NAME = 500


class PickleError(ValueError):
    """What a pickle says cannot be accepted. The message continues a sentence that begins with the file's name."""


class Refused(PickleError):
    """A pickle asks for something other than data."""

    def __init__(self, request: object) -> None:
        super().__init__(
            f"refused: the file asks for {printable(request)}, and only tensors, the containers that hold them and "
            "network modules are read"
        )


@dataclass(frozen=True)
class Name:
    """A global that a pickle names, such as ``collections.OrderedDict``: its spelling, and no more."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"


class InertPickle:
    """Reads pickles off a stream, one at a time. Subclasses say what names mean; this class refuses every one."""

    def load(self, stream: BinaryIO) -> Any:
        """Read one pickle, up to and with its STOP, from ``stream`` (``read``, ``readline`` and ``tell``).

        Raises ``PickleError`` for a pickle that is cut short, malformed or refused.
        """
        self._stack, self._marked, self._memo = [], [], {}
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                self._step(opcode.name, argument)
            return self._stack.pop()
        except PickleError:
            raise
        except (ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError) as error:
            raise PickleError(f"is cut short or damaged ({type(error).__name__}: {printable(error)})") from error

    # What names mean

    def name(self, module: str, attribute: str) -> Any:
        """Return what a global puts on the stack: its ``Name``; or raise ``Refused``."""
        return Name(module, attribute)

    def call(self, function: Name, arguments: tuple) -> Any:
        """Return the data that ``function(*arguments)`` stands for."""
        raise Refused(function)

    def instantiate(self, class_name: Name, arguments: tuple) -> Any:
        """Return the data that a new, unfilled object of ``class_name`` stands for."""
        raise Refused(class_name)

    def build(self, target: Any, state: Any) -> None:
        """Fill ``target`` with ``state``."""
        raise Refused(f"an object state for a {type(target).__name__}")

    def persistent(self, identifier: Any) -> Any:
        """Return the data that a reference to something outside the pickle stands for."""
        raise Refused("data outside the pickle")

    # The machine

    def _step(self, opcode: str, argument: Any) -> None:
        stack = self._stack
        if opcode in _LITERALS:
            stack.append(argument)
        elif opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode in _EMPTY:
            stack.append(_EMPTY[opcode]())
        elif opcode in _GETS:
            stack.append(self._memo[int(argument)])
        elif opcode in _PUTS:
            self._memo[int(argument)] = stack[-1]
        elif opcode in _TUPLE_LENGTHS:
            stack.append(tuple(self._pop(_TUPLE_LENGTHS[opcode])))
        elif opcode not in _IGNORED:
            handler = self._HANDLERS.get(opcode)
            if handler is None:
                raise Refused(f"the pickle instruction {opcode}")
            handler(self, argument)

    def _pop(self, count: int) -> list[Any]:
        if count > len(self._stack):
            raise IndexError("the stack is empty")
        values = self._stack[-count:]
        del self._stack[-count:]
        return values

    def _pop_to_mark(self) -> list[Any]:
        values, self._stack = self._stack, self._marked.pop()
        return values

    def _mark(self, _: None) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _drop(self, _: None) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_to_mark()

    def _drop_to_mark(self, _: None) -> None:
        self._pop_to_mark()

    def _duplicate(self, _: None) -> None:
        self._stack.append(self._stack[-1])

    def _memoize(self, _: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _stop(self, _: None) -> None:
        if len(self._stack) != 1 or self._marked:
            raise PickleError("is damaged: its pickle ends in the middle of a value")

    def _list(self, _: None) -> None:
        values = self._pop_to_mark()
        self._stack.append(values)

    def _tuple(self, _: None) -> None:
        values = self._pop_to_mark()
        self._stack.append(tuple(values))

    def _dict(self, _: None) -> None:
        items = self._pop_to_mark()
        self._stack.append({})
        self._set_items(items)

    def _frozen_set(self, _: None) -> None:
        values = self._pop_to_mark()
        self._stack.append(frozenset(map(hashable, values)))

    def _append(self, _: None) -> None:
        self._extend(self._pop(1))

    def _append_many(self, _: None) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise TypeError(f"append to a {type(target).__name__}")
        target.extend(values)

    def _set_item(self, _: None) -> None:
        self._set_items(self._pop(2))

    def _set_many_items(self, _: None) -> None:
        self._set_items(self._pop_to_mark())

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise TypeError(f"{len(items)} keys and values for a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2]):
            target[hashable(key)] = value

    def _add_items(self, _: None) -> None:
        values = self._pop_to_mark()
        target = self._stack[-1]
        if type(target) is not set:
            raise TypeError(f"add to a {type(target).__name__}")
        target.update(map(hashable, values))

    def _global(self, argument: str) -> None:
        module, _, attribute = argument.partition(" ")
        self._stack.append(self._named(module, attribute))

    def _stack_global(self, _: None) -> None:
        module, attribute = self._pop(2)
        if type(module) is not str or type(attribute) is not str:
            raise TypeError("a global whose name is no text")
        self._stack.append(self._named(module, attribute))

    def _named(self, module: str, attribute: str) -> Any:
        if len(module) + len(attribute) > _LONGEST_NAME:
            raise Refused(Name(module, attribute))
        return self.name(module, attribute)

    def _persistent_text(self, argument: str) -> None:
        self._stack.append(self.persistent(argument))

    def _persistent(self, _: None) -> None:
        self._stack.append(self.persistent(*self._pop(1)))

    def _reduce(self, _: None) -> None:
        function, arguments = self._pop(2)
        self._stack.append(self.call(*_named_call(function, arguments)))

    def _new_object(self, _: None) -> None:
        class_name, arguments = self._pop(2)
        self._stack.append(self.instantiate(*_named_call(class_name, arguments)))

    def _new_object_with_keywords(self, _: None) -> None:
        class_name, arguments, keywords = self._pop(3)
        if type(keywords) is not dict or keywords:
            raise Refused(class_name)
        self._stack.append(self.instantiate(*_named_call(class_name, arguments)))

    def _instance(self, argument: str) -> None:
        module, _, attribute = argument.partition(" ")
        arguments = tuple(self._pop_to_mark())
        self._stack.append(self.call(self._named(module, attribute), arguments))

    def _object(self, _: None) -> None:
        function, *arguments = self._pop_to_mark()
        self._stack.append(self.call(*_named_call(function, tuple(arguments))))

    def _build(self, _: None) -> None:
        (state,) = self._pop(1)
        self.build(self._stack[-1], state)

    _HANDLERS = {
        "MARK": _mark,
        "POP": _drop,
        "POP_MARK": _drop_to_mark,
        "DUP": _duplicate,
        "MEMOIZE": _memoize,
        "STOP": _stop,
        "LIST": _list,
        "TUPLE": _tuple,
        "DICT": _dict,
        "FROZENSET": _frozen_set,
        "APPEND": _append,
        "APPENDS": _append_many,
        "SETITEM": _set_item,
        "SETITEMS": _set_many_items,
        "ADDITEMS": _add_items,
        "GLOBAL": _global,
        "STACK_GLOBAL": _stack_global,
        "PERSID": _persistent_text,
        "BINPERSID": _persistent,
        "REDUCE": _reduce,
        "NEWOBJ": _new_object,
        "NEWOBJ_EX": _new_object_with_keywords,
        "INST": _instance,
        "OBJ": _object,
        "BUILD": _build,
    }


def hashable(value: Any) -> Any:
    """Return ``value`` if it may be a key: text, a number, bytes or None.

    Raises ``PickleError`` for others and for integers of more than ``_KEY_BITS`` bits: a tuple that holds itself many
    times over, or a number of a million digits, could take for ever to hash.
    """
    if not isinstance(value, _KEY_TYPES) or isinstance(value, int) and value.bit_length() > _KEY_BITS:
        raise PickleError(f"refused: it has a {type(value).__name__} for a key that is no text or plain number")
    return value


def _named_call(function: Any, arguments: Any) -> tuple[Name, tuple]:
    if not isinstance(function, Name) or type(arguments) is not tuple:
        raise TypeError(f"a call of a {type(function).__name__} with a {type(arguments).__name__}")
    return function, arguments
