"""Several clips in one call, or a folder of videos: each into a file or folder of its own in one folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mindrestore.data.folders import IMAGE_SUFFIXES, PAGED_SUFFIXES, entries, holds_frames
from mindrestore.errors import UserError
from mindrestore.files import existing
from mindrestore.media.video_writer import CONTAINERS
from mindrestore.media.writing import kind_of
from mindrestore.restore.request import Request
from mindrestore.restore.run import restore

DONE, MISTAKE, DAMAGED = 0, 2, 3  # exit statuses of ``mindrestore restore``
WORST = (DONE, DAMAGED, MISTAKE)  # the last is worst
VIDEOS = (*CONTAINERS, ".webm", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".wmv", ".flv", ".3gp", ".ogv", ".mxf")
"""Endings by which files in a folder are taken for videos; a file that is named itself may end in anything."""


def sources_in(inputs: Sequence[str | Path]) -> list[Path]:
    """Return the clips that are meant: each input, or for a folder that holds videos and no frames the videos in it.

    Raises ``UserError`` for an input that is not there.
    """
    sources = []
    for given in inputs:
        path = existing(given, "video, folder of frames or picture")
        videos = videos_in(path)
        sources += videos or [path]
    return sources


def videos_in(path: Path) -> list[Path]:
    """The videos in a folder that holds some and no frames, in natural order; else nothing."""
    if not path.is_dir() or holds_frames(path):
        return []
    return [entry for entry in entries(path) if entry.is_file() and entry.suffix.lower() in VIDEOS]


def targets_of(sources: Sequence[Path], folder: str | Path) -> list[Path]:
    """Return where the result of each source goes: into ``folder``, under its own name.

    A video keeps its kind where that is written, and is an .mp4 otherwise; measurements become an .mp4.

    Raises:
        UserError: ``folder`` is named like a file or is one, or two sources would go to one place.
    """
    folder = Path(folder)
    if kind_of(folder) != "folder" or folder.is_file():
        raise UserError(f"{folder}: several inputs need a folder to go to; give a name without a suffix.")
    targets = []
    for source in sources:
        target = folder / _name(source)
        if target in targets:
            raise UserError(
                f"{target}: both {sources[targets.index(target)]} and {source} would be written there; restore "
                "one of them apart."
            )
        targets.append(target)
    return targets


def restore_all(request: Request, sources: Sequence[Path], say: Callable[[str], None] = print) -> int:
    """Restore every source into the folder ``request.target``, go on after one that fails, and end with a line about each.

    Returns:
        The worst of the exit statuses.

    Raises:
        UserError: before anything is done, where the names of the results cannot be.
        KeyboardInterrupt: passed on.
    """
    targets = targets_of(sources, request.target)
    statuses, account = [], []
    try:
        for source, target in zip(sources, targets):
            say(f"{source}:")
            try:
                whole = restore(replace(request, source=source, target=target), say)
            except UserError as error:
                print(f"mindrestore: error: {error}", file=sys.stderr)
                statuses.append(MISTAKE)
                account.append(f"{source}: not restored, {error}")
                continue
            statuses.append(DONE if whole else DAMAGED)
            done = "looked at" if request.only_looks else "done" if whole else "done, but the input is damaged"
            account.append(f"{source}: {done}, {target}")
    except KeyboardInterrupt:
        account += [f"{source}: not done" for source in sources[len(account) :]]
        raise
    finally:
        say("")
        for line in account:
            say(line)
    return max(statuses, key=WORST.index)


def _name(source: Path) -> str:
    if source.is_dir():
        return source.resolve().name
    suffix = source.suffix.lower()
    if suffix in PAGED_SUFFIXES:
        return f"{source.stem}.tif"
    if suffix in IMAGE_SUFFIXES:
        return f"{source.stem}.png"
    return f"{source.stem}{suffix if suffix in CONTAINERS else '.mp4'}"
