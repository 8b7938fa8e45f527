"""The functions that execute pieces: compiled once for each kind of piece, and by MindSpore for each shape.

Weights are arguments, so all pieces of a kind share a function, in whatever network they are. A compiled function takes tensors
alone, in this order: items, the constants that are not None, shared tensors, weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import mindspore as ms
from mindspore import Tensor

from mindrestore import native
from mindrestore.models.piece import Added, ItemOperator, Itemwise, Piece, named
from mindrestore.runtime import execution

Present = tuple[bool, ...]
Places = tuple[int, ...]
_functions: dict[tuple, Callable[..., Any]] = {}


def forward(piece: Itemwise, *, compiles: bool, items: int, present: Present, shared: int) -> Callable[..., Tensor]:
    """Return the function (*items, *constants, *shared, *weights) -> items.

    compiles: whether to compile it; items, shared: how many there are; present: for each constant whether it is not None.
    """
    operator = _operator(piece)
    if operator is not None:
        return operator.forward
    return _cached(
        piece,
        compiles,
        ("forward", items, present, shared),
        lambda: _on_items(piece, piece.compute, items, present=present, shared=shared),
    )


def backward(
    piece: Itemwise, *, compiles: bool, items: int, present: Present, shared: int, wanted: Places
) -> Callable[..., tuple[Tensor, ...]]:
    """Return the function (gradient, *items, *constants, *shared, *weights) -> their gradients at the places ``wanted``."""
    operator = _operator(piece)
    if operator is not None:
        return functools.partial(operator.backward, wanted)
    return _cached(
        piece,
        compiles,
        ("backward", items, present, shared, wanted),
        lambda: _pulled_back(_on_items(piece, piece.compute, items, present=present, shared=shared), wanted),
    )


def backward_undoing(
    piece: Added, *, compiles: bool, items: int, present: Present, shared: int, wanted: Places
) -> Callable[..., tuple[Tensor, ...]]:
    """Return for an ``Added`` the function (gradient, result, *others, *constants, *shared, *weights) -> (its first items,
    *gradients at the places ``wanted``, which count from the others on).
    """
    return _cached(
        piece,
        compiles,
        ("backward undoing", items, present, shared, wanted),
        lambda: _undone(_on_items(piece, piece.change, items - 1, present=present, shared=shared), wanted),
    )


def shared(piece: Itemwise, *, compiles: bool, items: int, present: Present) -> Callable[..., Sequence[Tensor]]:
    """Return the function (*tables, *weights) -> shared tensors of ``items`` at a time; present: of the tables."""
    return _cached(piece, compiles, ("shared", items, present), lambda: _shared(piece, items, present))


def shared_backward(
    piece: Itemwise, *, compiles: bool, items: int, present: Present, count: int, wanted: Places
) -> Callable[..., tuple[Tensor, ...]]:
    """Return the function (*gradients, *tables, *weights) -> gradients at the places ``wanted``.

    count: of ``gradients``, those of the shared tensors; wanted: counted from the tables on.
    """
    return _cached(
        piece,
        compiles,
        ("shared backward", items, present, count, wanted),
        lambda: _pulled_back_tuple(_shared(piece, items, present), count, wanted),
    )


def forward_room(piece: Piece) -> int:
    """Return how many times as many values a piece may work on at a time forwards as backwards."""
    operator = _operator(piece) if isinstance(piece, Itemwise) else None
    return 1 if operator is None else operator.forward_room


def _operator(piece: Itemwise) -> ItemOperator | None:
    return piece.operator if piece.operator is not None and native.available() else None


def _cached(piece: Itemwise, compiles: bool, role: tuple, build: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """Return the function of a role for the kind of a piece, built once: pieces of a kind differ in nothing else."""
    compiles = compiles and execution.mode() == "graph"
    key = (piece.kind, role, compiles)
    if key not in _functions:
        _functions[key] = execution.compiled(build()) if compiles else build()
    return _functions[key]


def _on_items(
    piece: Itemwise, compute: Callable[..., Tensor], items: int, *, present: Present, shared: int
) -> Callable[..., Tensor]:
    names, first_shared = piece.names, items + sum(present)
    first_weight = first_shared + shared

    def run(*tensors: Tensor) -> Tensor:
        constants = _with_gaps(present, tensors[items:first_shared])
        return compute(named(names, tensors[first_weight:]), tensors[first_shared:first_weight], constants, *tensors[:items])

    return run


def _shared(piece: Itemwise, items: int, present: Present) -> Callable[..., Sequence[Tensor]]:
    names, tables = piece.names, sum(present)

    def run(*tensors: Tensor) -> Sequence[Tensor]:
        return piece.shared(named(names, tensors[tables:]), items, *_with_gaps(present, tensors[:tables]))

    return run


def _pulled_back(function: Callable[..., Tensor], wanted: Places) -> Callable[..., tuple[Tensor, ...]]:
    def pull(gradient: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        _, pull_back = ms.vjp(function, *tensors)
        return _selected(pull_back(gradient), wanted)

    return pull


def _undone(change: Callable[..., Tensor], wanted: Places) -> Callable[..., tuple[Tensor, ...]]:
    def pull(gradient: Tensor, result: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        value, pull_back = ms.vjp(change, *tensors)
        return (result - value,) + _selected(pull_back(gradient), wanted)

    return pull


def _pulled_back_tuple(
    function: Callable[..., Sequence[Tensor]], count: int, wanted: Places
) -> Callable[..., tuple[Tensor, ...]]:
    def pull(*tensors: Tensor) -> tuple[Tensor, ...]:
        _, pull_back = ms.vjp(function, *tensors[count:])
        return _selected(pull_back(tensors[:count]), wanted)

    return pull


def _selected(gradients: Sequence[Tensor], wanted: Places) -> tuple[Tensor, ...]:
    selected = ()
    for place in wanted:
        selected = selected + (gradients[place],)
    return selected


def _with_gaps(present: Present, tensors: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the tensors in order, with None where ``present`` is False."""
    filled, place = [], 0
    for is_present in present:
        if is_present:
            filled.append(tensors[place])
            place += 1
        else:
            filled.append(None)
    return filled
