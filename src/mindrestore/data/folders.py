"""The one scanner of folders: which files are frames, which folders are clips, and in what order.

Restoring, scoring, training and the tools that prepare data all find their files here, by the rules that ``docs/data.md``
states ("What is taken from a folder"). Nothing is decoded.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median_low
from typing import NamedTuple

from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike, existing

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
PAGED_SUFFIXES = (".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv", ".gif")
SYSTEM_FOLDERS = ("__MACOSX", "@eaDir")  # of macOS archives and Synology disks: copies that are no frames
SPECIAL_FILES = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


class FoundClip(NamedTuple):
    """A clip in a folder of clips.

    Attributes:
        path: of its folder or file.
        frames: files in natural order; ``None`` for a clip that is one file.
    """

    path: Path
    frames: tuple[Path, ...] | None


def natural_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """A sorting key that takes runs of digits as numbers: ``2`` before ``10``; the name decides between ``1`` and ``01``."""
    parts = re.split("([0-9]+)", name)  # texts and numbers in turn
    significant = [part.lstrip("0") if place % 2 else part for place, part in enumerate(parts)]
    return [(len(part) if place % 2 else -1, part) for place, part in enumerate(significant)], name


def entries(folder: PathLike) -> list[Path]:
    """What a folder holds, in natural order, without hidden entries (``.name``, ``._name``) and ``SYSTEM_FOLDERS``.

    Raises ``UserError`` for a folder that cannot be listed.
    """
    return [Path(entry.path) for entry in _listing(folder)]


def files_ending(folder: PathLike, *suffixes: str) -> list[Path]:
    """The files of a folder that end in one of ``suffixes``, in upper case or lower, in natural order.

    Raises ``UserError`` as ``entries`` does, or if two of them differ in their suffixes alone.
    """
    files: dict[str, Path] = {}
    for path in entries(folder):
        if path.suffix.lower() in suffixes and path.is_file():
            if path.stem in files:
                raise UserError(
                    f"{folder}: both {files[path.stem].name} and {path.name} are called {path.stem}; rename one of them."
                )
            files[path.stem] = path
    return list(files.values())


def frame_files(folder: PathLike) -> list[Path]:
    """The pictures in a folder itself, in natural order.

    Raises:
        UserError: the folder is missing, cannot be listed, or holds no pictures; something has the name of a picture but is
            none; two pictures differ in their suffixes alone; or a name is not UTF-8.
    """
    folder = existing(folder, "folder of frames")
    files = _frames(folder, _listing(folder))
    if not files:
        raise UserError(f"{folder}: no frames in it; expected images ending in {', '.join(IMAGE_SUFFIXES)}.")
    return files


def holds_frames(folder: Path) -> bool:
    """Whether ``folder`` is a folder with pictures in it; ``UserError`` as for ``frame_files``."""
    return folder.is_dir() and bool(_frames(folder, _listing(folder)))


def find_clips(root: PathLike, files: Sequence[str] = ()) -> dict[str, FoundClip]:
    """The clips at ``root`` and, at any depth, below it.

    Args:
        root: an existing folder.
        files: suffixes, in lower case, of files that are clips of their own, such as ``VIDEO_SUFFIXES``.

    Returns:
        dict of name -> ``FoundClip`` in natural order; empty if there are none. A name is the path below ``root`` with
        slashes, a file's without suffix; ``.`` for pictures in ``root`` itself. A folder that links lead to is taken once.

    Raises:
        UserError: as ``frame_files`` does; or pictures lie beside clips, or two clips have one name.
    """
    root = Path(root)
    clips: dict[str, FoundClip] = {}
    for folder, listing in _walk(root):
        frames = _frames(folder, listing)
        here = [(folder, FoundClip(folder, tuple(frames)))] if frames else []
        named = [entry for entry in listing if _suffix(entry) in files and not _is_folder(entry)]
        here += [(path.with_suffix(""), FoundClip(path, None)) for path in _regular_files(named)]
        for path, clip in here:
            name = path.relative_to(root).as_posix()
            if name in clips:
                raise UserError(f"{clip.path}: {clips[name].path.name} beside it is clip {name} too; rename one of them.")
            _check_text(clip.path, name)
            clips[name] = clip
    _refuse_stray_pictures(clips)
    return {name: clips[name] for name in sorted(clips, key=natural_order)}


def clips_folder(folder: Path) -> Path:
    """The folder of clips in a data set as it is unpacked: ``JPEGImages/480p`` of DAVIS, ``sequences`` of Vimeo-90K; any other
    folder itself. ``UserError`` for a DAVIS of other resolutions only.
    """
    if (folder / "JPEGImages").is_dir():
        return existing(folder / "JPEGImages" / "480p", "folder of clips")
    if [entry.name for entry in entries(folder) if entry.is_dir()] == ["sequences"]:
        return folder / "sequences"
    return folder


def identity(path: PathLike) -> list[int | str]:
    """Size and time of the last change of a file; of a folder of frames their number and a digest of those of each frame.

    They differ where a file or frame was exchanged, which a folder's own time does not show. ``UserError`` as for
    ``frame_files``.
    """
    path = Path(path)
    if not path.is_dir():
        state = path.stat()
        return [state.st_size, state.st_mtime_ns]
    files = frame_files(path)
    return [len(files), digest((file.name, file) for file in files)]


def digest(files: Iterable[tuple[str, Path]]) -> str:
    """A digest of files: of the names given for them, their sizes and times of the last change.

    Raises ``UserError`` for one that is gone.
    """
    states = hashlib.sha256()
    for name, file in files:
        try:
            state = file.stat()
        except OSError as error:
            raise UserError(f"{file}: cannot be read ({error.strerror}); copy it again.") from error
        states.update(repr((name, state.st_size, state.st_mtime_ns)).encode())
    return states.hexdigest()


# Numbers of frames


def frame_numbers(names: Sequence[str]) -> Sequence[int | None]:
    """The number in each frame's name (without suffix); ``None`` for a name without one.

    Names alike but for their digits (``00000000x4``, ``00000001x4``) are counted by the first of their numbers that rises from
    each to the next, or else by the last that changes; other names by the number that they end in.
    """
    split = [re.split("([0-9]+)", name) for name in names]
    columns = [list(map(_number, column)) for column in zip(*(parts[1::2] for parts in split))]
    if columns and len({tuple(parts[::2]) for parts in split}) == 1:
        rising = [column for column in columns if all(number < following for number, following in zip(column, column[1:]))]
        changing = [column for column in columns if len(set(column)) > 1] or columns
        return (rising if len(names) > 1 and rising else changing[::-1])[0]
    return [_number(parts[-2]) if len(parts) > 1 and not parts[-1] else None for parts in split]


def runs(names: Sequence[str]) -> list[range]:
    """The stretches of frames without a gap, as ranges of places in ``names``.

    A gap is where numbers do not rise, or rise by twice the usual step or more: every second frame of a clip, and names that
    are times, have none. Frames whose names hold no number follow one another.
    """
    numbers = frame_numbers(names)
    pairs = list(zip(numbers, numbers[1:]))
    steps = [None if before is None or after is None else after - before for before, after in pairs]
    usual = median_low([step for step in steps if step is not None and step > 0] or [1])
    starts = [
        place
        for place, (pair, step) in enumerate(zip(pairs, steps), 1)
        if pair != (None, None) and (step is None or not 0 < step < 2 * usual)
    ]
    return [range(start, end) for start, end in zip([0, *starts], [*starts, len(names)]) if start < end]


def gap_sentence(clip: object, names: Sequence[str]) -> str | None:
    """One sentence that says where frames of ``clip`` are missing, ``None`` if none are."""
    starts = [run.start for run in runs(names)[1:]]
    if not starts:
        return None
    more = f", the first of {len(starts)} gaps" if len(starts) > 1 else ""
    return f"{clip}: frames are missing between {names[starts[0] - 1]} and {names[starts[0]]}{more}"


def refuse_gap(folder: Path) -> None:
    """Raise ``UserError`` for a folder with a gap, where only frames that follow one another can be used."""
    sentence = gap_sentence(folder, [file.stem for file in frame_files(folder)])
    if sentence:
        raise UserError(f"{sentence}; give a folder for each part.")


def refuse_mismatch(clip: str, gt: tuple[object, Sequence[str]], lq: tuple[object, Sequence[str]]) -> None:
    """Raise ``UserError`` naming the first frame of ground truth without low quality, or the other way.

    ``gt`` and ``lq`` are where they lie and their names, without suffix, in order. Frames belong together by name or, where all
    of both are numbered, by number.
    """
    (gt_place, gt_names), (lq_place, lq_names) = gt, lq
    if list(gt_names) == list(lq_names):
        return
    gt_keys: Sequence[object] = frame_numbers(gt_names)
    lq_keys: Sequence[object] = frame_numbers(lq_names)
    if any(None in keys or len(set(keys)) < len(keys) for keys in (gt_keys, lq_keys)):
        gt_keys, lq_keys = gt_names, lq_names
    for names, keys, others, place, other_place in (
        (gt_names, gt_keys, set(lq_keys), gt_place, lq_place),
        (lq_names, lq_keys, set(gt_keys), lq_place, gt_place),
    ):
        alone = next((name for name, key in zip(names, keys) if key not in others), None)
        if alone is not None:
            raise UserError(
                f"clip {clip}: frame {alone} of {place} has no counterpart in {other_place}; ground truth and low "
                "quality need frames of the same names or numbers."
            )


def _number(digits: str) -> int:
    return int(digits[-300:])  # of more digits Python makes no number


# Listing


def _listing(folder: PathLike) -> list[os.DirEntry[str]]:
    """The entries that rules speak of, sorted."""
    try:
        with os.scandir(folder) as scan:
            listed = [entry for entry in scan if not entry.name.startswith(".") and entry.name not in SYSTEM_FOLDERS]
    except OSError as error:
        raise _unreadable(folder, error) from error
    return sorted(listed, key=lambda entry: natural_order(entry.name))


def _unreadable(folder: PathLike, error: OSError) -> UserError:
    return UserError(f"{folder}: this folder cannot be read ({error.strerror}); give one that you may list.")


def _walk(root: Path) -> Iterator[tuple[Path, list[os.DirEntry[str]]]]:
    """Every folder from ``root`` down with its listing, each once: links are followed last, to folders not seen yet."""
    visited = set()
    folders, links = deque([root]), deque[Path]()
    while folders or links:
        folder = folders.popleft() if folders else links.popleft()
        try:
            state = os.stat(folder)
        except OSError as error:
            raise _unreadable(folder, error) from error
        if (state.st_dev, state.st_ino) in visited:
            continue
        visited.add((state.st_dev, state.st_ino))
        listing = _listing(folder)
        for entry in listing:
            if _is_folder(entry):
                (links if entry.is_symlink() else folders).append(Path(entry.path))
        yield folder, listing


def _frames(folder: Path, listing: Sequence[os.DirEntry[str]]) -> list[Path]:
    """The pictures of a folder's listing. Folders called like pictures are folders, unless they lie among pictures."""
    named = [entry for entry in listing if _suffix(entry) in IMAGE_SUFFIXES]
    if all(_is_folder(entry) for entry in named):
        return []
    by_stem: dict[str, Path] = {}
    for path in _regular_files(named):
        _check_text(path, path.name)
        if path.stem in by_stem:
            raise UserError(
                f"{folder}: both {by_stem[path.stem].name} and {path.name} are frame {path.stem}; remove one of them."
            )
        by_stem[path.stem] = path
    return list(by_stem.values())


def _regular_files(named: Sequence[os.DirEntry[str]]) -> list[Path]:
    """The paths of entries whose names are those of files to read; ``UserError`` for one that is no file."""
    for entry in named:
        if not _is_file(entry):
            raise UserError(f"{entry.path}: is {_kind(entry)} where its name says a file to read; remove or rename it.")
    return [Path(entry.path) for entry in named]


def _refuse_stray_pictures(clips: dict[str, FoundClip]) -> None:
    for name, clip in clips.items():
        for parent in Path(name).parents:  # of "." there is none
            outer = clips.get(parent.as_posix())
            if outer and outer.frames:
                raise UserError(
                    f"{outer.path}: holds pictures, such as {outer.frames[0].name}, beside the clip {clip.path}; "
                    "move the ones or the other elsewhere, or give the folder of the clip alone."
                )


def _check_text(path: Path, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{printable(path.parent)}: the name {printable(name)} in it is not UTF-8; rename it.") from None


def _suffix(entry: os.DirEntry[str]) -> str:
    return os.path.splitext(entry.name)[1].lower()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        mode = entry.stat().st_mode
    except OSError:
        return "a link that leads nowhere"
    return next((kind for is_kind, kind in SPECIAL_FILES if is_kind(mode)), "a device")
