"""Where a scene ends and another begins.

Frames are compared as small grey pictures, block by block, each block with the best of its shifts, so that motion counts for
little. A cut stands out from the changes around it, unlike fast motion; and nothing soon after it looks like something shortly
before it, unlike a flash.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

import cv2
import numpy as np

HEIGHT, WIDTH = 36, 64  # of the small pictures
BLOCKS = (8, 4)  # columns and rows of blocks in one
SHIFT = 4  # of its pixels, up to which motion is followed
FAINT = 3  # grey levels of 255; pictures of less contrast are all alike
LEAST = 0.4  # deviations by which frames beside a cut differ at least; slow motion stays below
STANDING_OUT = 1.6  # times the changes around it, by which fast motion is told apart
AROUND = 3  # changes on either side
FLASH = 3  # frames that a flash lasts at most


def find_cuts(frames: Iterable[np.ndarray]) -> list[int]:
    """Find the cuts of a clip.

    Args:
        frames: iterable of frames (3, H, W), RGB, 0–1. Little more than the frames at hand is held.

    Returns:
        Numbers of the frames that begin another scene, ascending; never 0.
    """
    changes, lasting = [0.0], {}  # by frame: the change before it, and whether it is one after a flash could be over
    held = collections.deque(maxlen=2 * (FLASH + 1))  # the pictures on either side of a change
    for number, frame in enumerate(frames):
        held.append(_small(frame))
        if number:
            changes.append(_difference(held[-2], held[-1]))
        _judge(number - FLASH, changes, list(held), later=FLASH, lasting=lasting)
    for missing in range(FLASH - 1, -1, -1):  # behind the last frame a flash ends with the clip
        if len(changes) > missing:
            _judge(len(changes) - 1 - missing, changes, list(held), later=missing, lasting=lasting)
    return [number for number in sorted(lasting) if lasting[number] and _stands_out(changes, number)]


def _judge(number: int, changes: Sequence[float], held: list[np.ndarray], *, later: int, lasting: dict[int, bool]) -> None:
    """Note whether the change before frame ``number`` lasts; of ``held`` ``later`` pictures come after that frame."""
    if number < 1 or changes[number] < LEAST:
        return
    place = len(held) - 1 - later
    before, after = held[max(0, place - FLASH - 1) : place], held[place:]
    lasting[number] = all(_difference(one, other) >= LEAST for one in before for other in after)


def _stands_out(changes: Sequence[float], number: int) -> bool:
    """Whether a change is larger than most around it; two of six may be cuts themselves."""
    around = sorted([*changes[max(1, number - AROUND) : number], *changes[number + 1 : number + 1 + AROUND]], reverse=True)
    return len(around) < 3 or changes[number] >= STANDING_OUT * around[len(around) // 3]


def _small(frame: np.ndarray) -> np.ndarray:
    """A frame as a grey picture (HEIGHT, WIDTH) of mean 0 and deviation 1, or less where there is hardly any: neither exposure
    nor darkness counts.
    """
    red, green, blue = (cv2.resize(plane, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for plane in frame)
    grey = 255 * (0.299 * red + 0.587 * green + 0.114 * blue)
    grey -= grey.mean()
    return grey / (grey.std() + FAINT)


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference of small pictures, each block at its best shift."""
    wide = np.pad(other, SHIFT, mode="edge")
    best = np.full(BLOCKS[::-1], np.inf, np.float32)
    for top in range(2 * SHIFT + 1):
        for left in range(2 * SHIFT + 1):
            apart = cv2.absdiff(one, wide[top : top + HEIGHT, left : left + WIDTH])
            np.minimum(best, cv2.resize(apart, BLOCKS, interpolation=cv2.INTER_AREA), out=best)
    return float(best.mean())
