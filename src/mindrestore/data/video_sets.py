"""The clips of an evaluation: those of a data set known by name, or of a user's folders and videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from mindrestore.data import named_sets
from mindrestore.data.clip_lists import read_list
from mindrestore.data.degradation import rounded_to_8_bits
from mindrestore.data.demo import demo_scenes
from mindrestore.data.folders import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    entries,
    find_clips,
    frame_files,
    gap_sentence,
    holds_frames,
    refuse_mismatch,
)
from mindrestore.data.frames import stream_frames
from mindrestore.data.scenes import Scene
from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing


class Source(NamedTuple):
    """Frames of one clip: a folder, a video file, or files one by one."""

    path: Path | tuple[Path, ...]

    def frames(self) -> Iterator[np.ndarray]:
        """An iterator over frames (3, H, W), float32 0–1."""
        return stream_frames(self.path, colour=True)

    def count(self) -> int | None:
        """How many frames there are, None for a video file."""
        if isinstance(self.path, tuple):
            return len(self.path)
        return len(frame_files(self.path)) if self.path.is_dir() else None

    def frame_names(self) -> list[str] | None:
        """The names of the frames in a folder, without suffix; ``None`` for other sources."""
        if isinstance(self.path, tuple) or not self.path.is_dir():
            return None
        return [file.stem for file in frame_files(self.path)]

    def __str__(self) -> str:
        return str(self.path[0].parent if isinstance(self.path, tuple) else self.path)


class SceneSource(NamedTuple):
    """Frames of a demonstration scene."""

    scene: Scene

    def frames(self) -> Iterator[np.ndarray]:
        """An iterator over frames (3, H, W), float32 0–1, rounded to 8 bits as a file has them."""
        return map(rounded_to_8_bits, self.scene.clip.swapaxes(0, 1))

    def count(self) -> int:
        """How many frames there are."""
        return self.scene.clip.shape[1]

    def frame_names(self) -> None:
        """``None``: the frames are no files."""
        return None

    def __str__(self) -> str:
        return f"demonstration scene {self.scene.name}"


@dataclass(frozen=True)
class VideoClip:
    """A clip by name, with ground truth, low quality or both."""

    name: str
    gt: Source | SceneSource | None = None
    lq: Source | None = None

    def gap(self) -> str | None:
        """A sentence that says where numbers of frames have a gap, ``None`` if they have none."""
        for source in filter(None, (self.gt, self.lq)):
            sentence = gap_sentence(f"clip {self.name}, {source}", source.frame_names() or ())
            if sentence:
                return sentence
        return None


Sources = dict[str, Source]  # by the name of the clip


class ClipChoice(Protocol):
    """What of a configuration decides the clips (``mindrestore.config.video.VideoEvaluation``)."""

    set: str
    path: str | None
    gt: str | None
    lq: str | None
    clips: Sequence[str] | None


UCF101_LQ, UCF101_GT = ("frame0.png", "frame1.png", "frame2.png", "frame3.png"), "framet.png"


def evaluation_clips(settings: ClipChoice, degradation: str | None) -> list[VideoClip]:
    """Find the clips that an evaluation asks for.

    Args:
        settings: ``gt`` and ``lq`` take the place of the data set's folders. Where the data set names the clips that are
            scored and all of them are there, only those are taken.
        degradation: which low quality of the data set is taken; ``None`` takes none.

    Returns:
        Clips in natural order. A data set without low quality gives clips of ground truth alone.

    Raises:
        UserError: no clips are found, ground truth and low quality do not have the same clips, or as many frames under other
            names, or as for ``find_clips``.
    """
    kind = named_sets.SETS.get(settings.set)
    if settings.set == named_sets.DEMO and not (settings.path or settings.gt or settings.lq):
        return _named([VideoClip(scene.name, SceneSource(scene)) for scene in demo_scenes(colour=True)], settings.clips)
    if settings.path and kind is None:
        raise UserError(
            "evaluation.path is for data sets such as reds4 (evaluation.set); give --gt or --lq for folders of your own."
        )
    if settings.gt or settings.lq:
        gt, lq = (_own_clips(path) if path else {} for path in (settings.gt, settings.lq))
        clips = gt or lq
        names = kind.names if kind and kind.names and all(name in clips for name in kind.names) else None
    elif kind is None or not settings.path:
        wanted = "evaluation.path, the folder of the data set, or " if kind else ""
        raise UserError(f"no clips to evaluate: give {wanted}--gt and --lq, folders of frames.")
    else:
        root = existing(settings.path, f"folder of {settings.set}")
        gt = _clips_of_set(root, kind.gt, kind.levels)
        lq = _clips_of_set(root, kind.lq.get(degradation, ()), kind.levels)
        if not gt:
            raise UserError(
                f"{root}: holds no clips of {settings.set}; expected {' or '.join(kind.gt)}, {{}} being the clip's name."
            )
        names = kind.names or _listed(root, kind.list_files)
    if settings.set == "ucf101" and gt and not lq:
        gt, lq = _quintuplets(gt)
    return _named(_paired(gt, lq), settings.clips or names)


def _clips_of_set(root: Path, patterns: Sequence[str], levels: int) -> Sources:
    """The clips of the first of ``patterns`` that matches any."""
    for pattern in patterns:
        before, after = (part.strip("/") for part in pattern.split("{}"))
        base = root / before
        folders = [base] if base.is_dir() else []
        for _ in range(levels):
            folders = [entry for folder in folders for entry in entries(folder) if entry.is_dir()]
        clips = {
            folder.relative_to(base).as_posix(): Source(folder / after) for folder in folders if holds_frames(folder / after)
        }
        if clips:
            return clips
    return {}


def _own_clips(path: PathLike) -> Sources:
    """The clips at a path of the user's: a file, or what ``find_clips`` finds in a folder."""
    path = existing(path, "folder of frames, video file or folder of clips")
    if path.is_file():
        return {path.stem: Source(path)}
    clips = find_clips(path, VIDEO_SUFFIXES)
    if not clips:
        raise UserError(
            f"{path}: no clips in it; expected frames ending in {', '.join(IMAGE_SUFFIXES)}, folders of them, or videos."
        )
    return {path.resolve().name if name == "." else name: Source(clip.path) for name, clip in clips.items()}


def _listed(root: Path, list_files: Sequence[str]) -> list[str] | None:
    """The clips that the first existing of ``list_files`` names; ``None`` if none exists."""
    for name in list_files:
        if (root / name).is_file():
            return [clip.name for clip in read_list(root / name)]
    return None


def _quintuplets(clips: Sources) -> tuple[Sources, Sources]:
    """UCF101: in each folder the middle frame is ground truth, and the two before and after it are low quality."""
    for source in clips.values():
        for name in (*UCF101_LQ, UCF101_GT):
            existing(source.path / name, "frame")
    return (
        {name: Source((source.path / UCF101_GT,)) for name, source in clips.items()},
        {name: Source(tuple(source.path / frame for frame in UCF101_LQ)) for name, source in clips.items()},
    )


def _paired(gt: Sources, lq: Sources) -> list[VideoClip]:
    """Ground truth and low quality by name; two single clips are a pair whatever their names."""
    if len(gt) == len(lq) == 1:
        lq = dict(zip(gt, lq.values()))
    if gt and lq:
        _refuse_unpaired(gt, lq, "low quality")
        _refuse_unpaired(lq, gt, "ground truth")
    clips = [VideoClip(name, gt.get(name), lq.get(name)) for name in (gt or lq)]
    flat = {}  # results of a clip are called by its name with _ for /
    for clip in clips:
        twin = flat.setdefault(clip.name.replace("/", "_"), clip)
        if twin is not clip:
            raise UserError(f"clips {twin.name} and {clip.name}: their results would have one name; rename one of the folders.")
        gt_names, lq_names = (source and source.frame_names() for source in (clip.gt, clip.lq))
        if gt_names and lq_names and len(gt_names) == len(lq_names):  # other counts are the task's to judge
            refuse_mismatch(clip.name, (clip.gt, gt_names), (clip.lq, lq_names))
    return clips


def _refuse_unpaired(clips: Sources, others: Sources, what: str) -> None:
    missing = [name for name in clips if name not in others]
    if missing:
        raise UserError(
            f"clip {missing[0]}: is at {clips[missing[0]]} but has no {what} beside {next(iter(others.values()))}; "
            "both must hold clips of the same names."
        )


def _named(clips: Sequence[VideoClip], names: Sequence[str] | None) -> list[VideoClip]:
    """The clips called ``names``; all of them if that is ``None``."""
    if names is None:
        return list(clips)
    by_name = {clip.name: clip for clip in clips}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise UserError(
            f"clip {missing[0]}: not there; the clips found are {', '.join(list(by_name)[:8])}"
            f"{', ...' if len(by_name) > 8 else ''}."
        )
    return [by_name[name] for name in names]
