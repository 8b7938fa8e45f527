"""Lists of clips: a text file with a line a clip, ``name frames (height,width,channels) first-frame``.

The last two may be missing, as in published lists (REDS ``000 100 (720,1280,3)``, Vimeo-90K ``00001/0001 7 (256,448,3)``,
GoPro ``GOPR0372_07_00 100 (720,1280,3) 000047``), and so may the count (Vimeo-90K's own lists hold names alone). A name with
spaces needs frames and shape behind it: nothing else says where it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike, existing, write_text

SHAPE = r"\(([0-9]{1,9}),\s*([0-9]{1,9}),\s*([0-9]{1,9})\)"  # (height,width,channels)
_WHOLE_LINE = re.compile(rf"(.+?)\s+([0-9]{{1,9}})\s+{SHAPE}(?:\s+([0-9]{{1,300}}))?")
_SHORT_LINE = re.compile(r"(\S+)(?:\s+([0-9]{1,9}))?")


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
        UserError: no such file, not UTF-8, a line that is none, a clip named twice, or no clips at all.
    """
    path = existing(path, "list of clips")
    clips = {}
    for number, line in numbered_lines(path):
        clip = _listed_clip(line)
        if clip is None:
            raise UserError(
                f'{path}, line {number}: "{printable(line)}" is no clip; expected a line such as '
                f'"000 100 (720,1280,3) 0": name, frames, shape, first frame.'
            )
        if clip.name in clips:
            raise UserError(f"{path}, line {number}: clip {clip.name} is listed twice; remove one of the lines.")
        clips[clip.name] = clip
    if not clips:
        raise UserError(f"{path}: no clips in it; expected a line a clip.")
    return list(clips.values())


def write_list(path: PathLike, clips: Iterable[ListedClip]) -> None:
    """Write ``clips`` that have frames, shape and first frame as ``read_list`` reads them.

    Raises ``UserError`` as ``check_name`` does, or for a path that cannot be written.
    """
    lines = []
    for name, frames, shape, first in clips:
        check_name(name)
        lines.append(f"{name} {frames} ({','.join(map(str, shape))}) {first}\n")
    write_text(path, "".join(lines))


def check_name(name: str) -> None:
    """Raise ``UserError`` for the name of a clip or frame that a line of text cannot hold."""
    if name != name.strip() or any(ord(character) < 32 for character in name):
        raise UserError(
            f"clip {printable(repr(name))}: a list cannot hold this name, as it begins or ends in white space or "
            "contains a control character; rename the folder."
        )


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that hold something, stripped, with their numbers from 1.

    UTF-8, with or without byte-order mark; ``UserError`` for another encoding or a file that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give a text file.") from error
    return ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _listed_clip(line: str) -> ListedClip | None:
    match = _WHOLE_LINE.fullmatch(line)
    if match:
        name, frames, height, width, channels, first = match.groups()
        shape = int(height), int(width), int(channels)
        return ListedClip(name, int(frames), shape, None if first is None else int(first))
    match = _SHORT_LINE.fullmatch(line)
    return match and ListedClip(match[1], None if match[2] is None else int(match[2]))
