"""Padding by zeros on both sides."""

from __future__ import annotations

from mindspore import Tensor, ops


def with_zeros(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Pad ``x`` by ``before`` and ``after`` zeros along an axis."""
    parts = []
    for length in (before, after):
        shape = list(x.shape)
        shape[axis] = length
        parts.append(ops.zeros(tuple(shape), x.dtype) if length else None)
    parts = [part for part in (parts[0], x, parts[1]) if part is not None]
    return ops.cat(parts, axis) if len(parts) > 1 else x
