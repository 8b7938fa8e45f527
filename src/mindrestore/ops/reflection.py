"""Reflection of what is too short, at its end."""
import numpy as np


def reflected(length, longer):
    """Return which positions make ``length`` into ``longer`` by reflecting at the end, to and fro if need be: int32."""
    return np.pad(np.arange(length, dtype=np.int32), (0, longer - length), "reflect" if length > 1 else "edge")
