"""The settings of a RevSCI, found from the names and shapes of published weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mindrestore.errors import UserError

_BLOCK = re.compile(r"layers\.([0-9]{1,6})\.(?:f1|g1|f\.([0-9]{1,6})\.nn_layer)\.[02]\.(?:weight|bias)")
_PLANES = {1: (1, False), 2: (3, True)}  # planes into the head -> (planes out of the tail, colour)


def settings_from_shapes(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Return the settings of the RevSCI that ``shapes`` (name -> shape, as published) belong to.

    The keys are ``blocks``, ``groups``, ``coupling`` ("two_way" | "multi_group"), ``colour`` and ``channels``, as
    ``mindrestore.models.create_model("revsci", ...)`` takes them. Two-way blocks are named ``layers.k.f1`` and
    ``layers.k.g1``, the groups of multi-group blocks ``layers.k.f.i``; a colour network has two planes into its head
    and three out of its tail. Raises ``UserError`` if these are the shapes of no RevSCI.
    """
    head, tail, last = (_five(shapes, name) for name in ("conv1.0.weight", "conv2.6.weight", "conv1.6.weight"))
    planes_out, colour = _PLANES.get(head[1], (None, None))
    if tail[0] != planes_out:
        raise UserError(
            f"is no RevSCI: {head[1]} planes go into conv1.0.weight and {tail[0]} come out of conv2.6.weight, expected "
            "1 and 1 (grey) or 2 and 3 (colour)."
        )
    channels = last[0]
    if last[1] * 2 != channels:
        raise UserError(f"is no RevSCI: conv1.6.weight is {last}, expected half as many channels in as out.")
    matches = [match for match in map(_BLOCK.fullmatch, shapes) if match]
    blocks = _count({int(match[1]) for match in matches}, "blocks layers.k")
    indices = {match[2] for match in matches}
    if None in indices and len(indices) > 1:
        raise UserError("is no RevSCI: it has both two-way (layers.k.f1) and multi-group (layers.k.f.i) blocks.")
    two_way = None in indices
    groups = 2 if two_way else _count({int(index) for index in indices}, "groups layers.k.f.i")
    width = channels // groups
    for match in matches:
        expected = (width,) if match[0].endswith("bias") else (width, width, 3, 3, 3)
        if tuple(shapes[match[0]]) != expected:
            raise UserError(f"is no RevSCI: {match[0]} is {tuple(shapes[match[0]])}, expected {expected}.")
    return {
        "blocks": blocks,
        "groups": groups,
        "coupling": "two_way" if two_way else "multi_group",
        "colour": colour,
        "channels": channels,
    }


def _five(shapes: Mapping[str, Sequence[int]], name: str) -> tuple[int, ...]:
    shape = shapes.get(name, ())
    if len(shape) != 5:
        raise UserError(f"is no RevSCI: it has no five-dimensional {name}.")
    return tuple(shape)


def _count(indices: set[int], parts: str) -> int:
    if indices != set(range(len(indices))) or not indices:
        raise UserError(f"is no RevSCI: its {parts} are not numbered from 0 without a gap.")
    return len(indices)
