"""Padding by reflection at the end. Needs no MindSpore."""

from __future__ import annotations

import numpy as np


def reflected(length: int, longer: int) -> np.ndarray:
    """Return the positions that pad ``length`` to ``longer`` by reflection at the end, repeated if needed: (longer,) int32."""
    return np.pad(np.arange(length, dtype=np.int32), (0, longer - length), "reflect" if length > 1 else "edge")
