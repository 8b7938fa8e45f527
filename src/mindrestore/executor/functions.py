"""The functions that pieces are executed by: compiled once for each kind of piece, and by MindSpore for each shape.

Weights are arguments, so all pieces of a kind share a function, in whatever network they are. A compiled function is called
with tensors alone, one after the other: items, those of the constants that are there, what is shared, weights.
"""
import functools
from typing import Callable, Tuple

import mindspore as ms

from mindrestore import native
from mindrestore.models.piece import Added, Itemwise, named
from mindrestore.runtime import execution

Present = Tuple[bool, ...]
Places = Tuple[int, ...]
_known = {}


def forward(piece: Itemwise, compiles: bool, items: int, present: Present, shared: int) -> Callable:
    """Return the function (*items, *constants, *shared, *weights) -> items.

    compiles: whether it is to be compiled; items, shared: how many there are; present: of each constant whether it is there.
    """
    operator = _operator(piece)
    if operator is not None:
        return operator.forward
    return _known_or_made(piece, compiles, ("forward", items, present, shared),
                          lambda: _on_items(piece, piece.compute, items, present, shared))


def backward(piece: Itemwise, compiles: bool, items: int, present: Present, shared: int, wanted: Places) -> Callable:
    """Return the function (gradient, *items, *constants, *shared, *weights) -> their gradients at the places ``wanted``."""
    operator = _operator(piece)
    if operator is not None:
        return functools.partial(operator.backward, wanted)
    return _known_or_made(piece, compiles, ("backward", items, present, shared, wanted),
                          lambda: _pulled_back(_on_items(piece, piece.compute, items, present, shared), wanted))


def backward_undoing(piece: Added, compiles: bool, items: int, present: Present, shared: int, wanted: Places) -> Callable:
    """Return for an ``Added`` the function (gradient, result, *others, *constants, *shared, *weights) -> its first items, then
    gradients at the places ``wanted``, counted from the others on.
    """
    return _known_or_made(piece, compiles, ("backward undoing", items, present, shared, wanted),
                          lambda: _undone(_on_items(piece, piece.change, items - 1, present, shared), wanted))


def shared(piece: Itemwise, compiles: bool, items: int, present: Present) -> Callable:
    """Return the function (*tables, *weights) -> a tuple of what ``items`` at a time share; ``present`` of tables."""
    return _known_or_made(piece, compiles, ("shared", items, present), lambda: _shared(piece, items, present))


def shared_backward(piece: Itemwise, compiles: bool, items: int, present: Present, count: int, wanted: Places) -> Callable:
    """Return the function (*gradients, *tables, *weights) -> gradients at the places ``wanted``; count: of ``gradients``."""
    return _known_or_made(piece, compiles, ("shared backward", items, present, count, wanted),
                          lambda: _pulled_back_tuple(_shared(piece, items, present), count, wanted))


def _operator(piece):
    return piece.operator if piece.operator is not None and native.available() else None


def _known_or_made(piece, compiles, what, make):
    """The first piece of a kind stands for all: nothing is read of it but what its kind says."""
    compiles = compiles and execution.mode() == "graph"
    key = (piece.kind, what, compiles)
    if key not in _known:
        _known[key] = execution.compiled(make()) if compiles else make()
    return _known[key]


def _on_items(piece, compute, items, present, shared):
    names, first_shared = piece.names, items + sum(present)
    first_weight = first_shared + shared

    def run(*tensors):
        constants = _with_gaps(present, tensors[items:first_shared])
        return compute(named(names, tensors[first_weight:]), tensors[first_shared:first_weight], constants, *tensors[:items])
    return run


def _shared(piece, items, present):
    names, tables = piece.names, sum(present)

    def run(*tensors):
        return piece.shared(named(names, tensors[tables:]), items, *_with_gaps(present, tensors[:tables]))
    return run


def _pulled_back(function, wanted):
    def pull(gradient, *tensors):
        _, pull_back = ms.vjp(function, *tensors)
        return _selected(pull_back(gradient), wanted)
    return pull


def _undone(change, wanted):
    def pull(gradient, result, *tensors):
        value, pull_back = ms.vjp(change, *tensors)
        return (result - value,) + _selected(pull_back(gradient), wanted)
    return pull


def _pulled_back_tuple(function, count, wanted):
    def pull(*tensors):
        _, pull_back = ms.vjp(function, *tensors[count:])
        return _selected(pull_back(tensors[:count]), wanted)
    return pull


def _selected(gradients, wanted):
    selected = ()
    for place in wanted:
        selected = selected + (gradients[place],)
    return selected


def _with_gaps(present, tensors):
    """Return the tensors in order, with None where ``present`` says that there is none."""
    filled, place = [], 0
    for there in present:
        if there:
            filled.append(tensors[place])
            place += 1
        else:
            filled.append(None)
    return filled
