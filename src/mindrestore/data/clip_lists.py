"""Lists of clips: a text file with a line a clip, ``name frames (height,width,channels) first-frame``.

The last two may be missing, as in published lists (REDS ``000 100 (720,1280,3)``, Vimeo-90K ``00001/0001 7 (256,448,3)``,
GoPro ``GOPR0372_07_00 100 (720,1280,3) 000047``), and so may the count (Vimeo-90K's own lists hold names alone).
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing, write_text

_LINE = re.compile(r"(\S+)(?:\s+(\d+)(?:\s+\((\d+),\s*(\d+),\s*(\d+)\)(?:\s+(\d+))?)?)?")


class ListedClip(NamedTuple):
    """A line of a list.

    Attributes:
        name: path of the clip below the data set's root, with slashes.
        frames: how many, ``None`` where the list does not say.
        shape: (height, width, channels) or ``None``.
        first: number of the first frame, ``None`` where the list does not say.
    """

    name: str
    frames: int | None = None
    shape: tuple[int, int, int] | None = None
    first: int | None = None


def read_list(path: PathLike) -> list[ListedClip]:
    """Read a list of clips.

    Raises:
        UserError: no such file, a line that is none, a clip named twice, or no clips at all.
    """
    path = existing(path, "list of clips")
    clips = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise UserError(f'{path}, line {number}: "{line.strip()[:80]}" is no clip; expected a line such as '
                            f'"000 100 (720,1280,3) 0": name, frames, shape, first frame.')
        name, frames, *shape, first = match.groups()
        if name in clips:
            raise UserError(f"{path}, line {number}: clip {name} is listed twice; remove one of the lines.")
        clips[name] = ListedClip(name, _number(frames), tuple(map(int, shape)) if shape[0] else None, _number(first))
    if not clips:
        raise UserError(f"{path}: no clips in it; expected a line a clip.")
    return list(clips.values())


def write_list(path: PathLike, clips: Iterable[ListedClip]) -> None:
    """Write ``clips``, an iterable of ``ListedClip`` that say everything, as ``read_list`` reads them."""
    write_text(path, "".join(f"{name} {frames} ({','.join(map(str, shape))}) {first}\n"
                             for name, frames, shape, first in clips))


def _number(digits: str | None) -> int | None:
    return None if digits is None else int(digits)
