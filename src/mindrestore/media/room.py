"""How much room clips take on a disk, told before they are made."""

from __future__ import annotations

from mindrestore.media.pixels import TYPES

LEAST = 0.25
"""Of what pixels take in memory, what they take in PNG files and compressed arrays, at least: of four photographs, as they are,
blurred and enlarged, between 0.26 and 0.66. Scenes that are drawn or black take less.
"""


def room_for(frames: int, height: int, width: int, *, bits: int = 8, grey: bool = False) -> float:
    """Return how many bytes frames of natural scenes take, stored without loss, at least."""
    return LEAST * frames * height * width * (1 if grey else 3) * TYPES[bits]().itemsize
