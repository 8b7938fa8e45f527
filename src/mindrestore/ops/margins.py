"""Padding: by zeros on both sides, or by reflection at the end."""

from __future__ import annotations

import numpy as np
from mindspore import Tensor, ops


def reflected(length: int, longer: int) -> np.ndarray:
    """Return the positions that pad ``length`` to ``longer`` by reflection at the end, repeated if needed: (longer,) int32."""
    return np.pad(np.arange(length, dtype=np.int32), (0, longer - length), "reflect" if length > 1 else "edge")


def with_zeros(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Pad ``x`` by ``before`` and ``after`` zeros along an axis."""
    parts = []
    for length in (before, after):
        shape = list(x.shape)
        shape[axis] = length
        parts.append(ops.zeros(tuple(shape), x.dtype) if length else None)
    parts = [part for part in (parts[0], x, parts[1]) if part is not None]
    return ops.cat(parts, axis) if len(parts) > 1 else x
