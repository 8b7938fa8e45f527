"""REDS regrouped as papers use it: its 240 training and 30 validation clips side by side, validation clip n as 240 + n."""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from mindrestore.data.folders import entries, frame_files
from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike, cannot_be_written, existing

TRAINING_CLIPS, VALIDATION_CLIPS = 240, 30
VARIANTS = ("sharp", "sharp_bicubic/X4", "blur", "blur_bicubic/X4", "blur_comp")


class Placed(NamedTuple):
    """What ``regroup`` did for one variant."""

    folder: Path  # of all clips
    clips: int
    new: int  # clips that were not there before


def regroup(root: PathLike, output: PathLike | None = None, link: bool = False, frames: int = 100) -> list[Placed]:
    """Bring the validation clips of REDS to the training clips.

    Args:
        root: holds ``train/train_sharp`` and ``val/val_sharp``, as the archives unpack, or ``train_sharp`` and
            ``val_sharp``; the variants ``sharp_bicubic/X4``, ``blur``, ``blur_bicubic/X4`` and ``blur_comp`` alike where
            they are there.
        output: where ``train_sharp`` and so on are to be made anew; by default the validation clips are put beside the
            training clips where these are.
        link: symbolic links to the clips instead of copies.
        frames: that every clip must have, numbered from 00000000.

    Returns:
        A ``Placed`` for each variant found.

    Raises:
        UserError: no variant found, half of one, clips missing or incomplete, or a clip in the way that is another: nothing was
            placed then; or a clip cannot be written.
    """
    root = existing(root, "REDS folder")
    plans = []
    for variant in VARIANTS:
        train, val = _find(root, "train", variant), _find(root, "val", variant)
        if bool(train) != bool(val):
            present, absent = (train, "val") if train else (val, "train")
            raise UserError(f"{root}: it has {present.relative_to(root)} but no {absent}_{variant}; unpack that too.")
        if train:
            plans.append((variant, train, val))
    if not plans:
        raise UserError(f"{root}: no train_sharp and val_sharp in it; unpack REDS there.")
    moves = [
        (variant, _moves(train, val, Path(output) / f"train_{variant}" if output else train, frames))
        for variant, train, val in plans
    ]
    return [
        Placed(
            Path(output) / f"train_{variant}" if output else train,
            len(pairs),
            sum(_place(source, target, link) for source, target in pairs),
        )
        for (variant, pairs), (_, train, _) in zip(moves, plans)
    ]


def _find(root: Path, part: str, variant: str) -> Path | None:
    candidates = root / part / f"{part}_{variant}", root / f"{part}_{variant}"
    return next((path for path in candidates if path.is_dir()), None)


def _moves(train: Path, val: Path, target: Path, frames: int) -> list[tuple[Path, Path]]:
    """Pairs (clip, its place among all clips); ``UserError`` for a clip that is incomplete or has another in its place."""
    sources = {**_clips(train, TRAINING_CLIPS, 0, also=VALIDATION_CLIPS), **_clips(val, VALIDATION_CLIPS, TRAINING_CLIPS)}
    for number, source in sources.items():
        _check_frames(source, frames)
        place = target / f"{number:03d}"
        if place.exists() and not _same(source, place):
            raise UserError(f"{place}: it is another clip than {source}; remove it or choose another output.")
    return [(source, target / f"{number:03d}") for number, source in sources.items()]


def _clips(folder: Path, count: int, offset: int, also: int = 0) -> dict[int, Path]:
    """Number -> folder of each of ``count`` clips, from ``offset`` on. ``also`` more may follow, from an earlier run."""
    clips = {}
    for path in entries(folder):
        if path.is_dir():
            if not path.name.isdecimal() or len(path.name) != 3 or int(path.name) >= count + also:
                raise UserError(f"{path}: no clip of REDS has this name; expected 000 to {count - 1:03d}.")
            if int(path.name) < count:
                clips[offset + int(path.name)] = path
    absent = [number for number in range(offset, offset + len(clips)) if number not in clips]
    if absent or not clips:
        raise UserError(f"{folder}: clip {(absent or [offset])[0] - offset:03d} is missing; unpack it again.")
    return clips


def _check_frames(clip: Path, frames: int) -> None:
    names = [path.stem for path in frame_files(clip)]
    expected = [f"{number:08d}" for number in range(frames)]
    if names != expected:
        absent = next((name for name in expected if name not in names), None)
        problem = f"frame {absent} is missing" if absent else f"it has {len(names)} frames"
        raise UserError(f"{clip}: {problem}, expected {frames} from 00000000; unpack it again.")


def _same(source: Path, place: Path) -> bool:
    """Whether two clips have files of the same names and sizes, and the same first frame."""
    if os.path.samefile(source, place):
        return True
    files, others = (frame_files(folder) for folder in (source, place))
    if [(path.name, path.stat().st_size) for path in files] != [(path.name, path.stat().st_size) for path in others]:
        return False
    return filecmp.cmp(files[0], others[0], shallow=False)


def _place(source: Path, place: Path, link: bool) -> bool:
    """Put one clip into its place, whole or not at all; return whether it was not there before."""
    if place.exists():
        return False
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if link:
            place.symlink_to(source.resolve(), target_is_directory=True)
        else:
            partial = place.with_name(f".{place.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            try:
                shutil.copytree(source, partial)
            except shutil.Error as error:  # one of its own, with all failures in it
                shutil.rmtree(partial, ignore_errors=True)
                raise UserError(
                    f"{place}: cannot be copied from {source} ({printable(error.args[0][0][2])}); free some space, "
                    "and run this again: clips in place are left alone."
                ) from error
            os.replace(partial, place)
    except OSError as error:
        raise cannot_be_written(place, error) from error
    return True
