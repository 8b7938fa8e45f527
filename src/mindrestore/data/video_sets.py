"""The clips of an evaluation: those of a data set known by name, and anybody's folders of frames."""
from dataclasses import dataclass
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple, Union

from mindrestore.data import named_sets
from mindrestore.data.degradation import rounded_to_8_bits
from mindrestore.data.demo import demo_scenes
from mindrestore.data.frames import IMAGE_SUFFIXES, VIDEO_SUFFIXES, frame_files, stream_frames, visible
from mindrestore.data.scenes import Scene
from mindrestore.errors import UserError
from mindrestore.files import existing


class Source(NamedTuple):
    """Frames of one clip: a folder, a video file, or files one by one."""

    path: Union[Path, Tuple[Path, ...]]

    def frames(self):
        """An iterator over frames (3, H, W), float32 0–1."""
        return stream_frames(self.path, colour=True)

    def count(self):
        """How many frames there are, None for a video file."""
        if isinstance(self.path, tuple):
            return len(self.path)
        return len(frame_files(self.path)) if self.path.is_dir() else None

    def __str__(self):
        return str(self.path[0].parent if isinstance(self.path, tuple) else self.path)


class SceneSource(NamedTuple):
    """Frames of a demonstration scene."""

    scene: Scene

    def frames(self):
        """An iterator over frames (3, H, W), float32 0–1, rounded to 8 bits as a file has them."""
        return map(rounded_to_8_bits, self.scene.clip.swapaxes(0, 1))

    def count(self):
        return self.scene.clip.shape[1]

    def __str__(self):
        return f"demonstration scene {self.scene.name}"


@dataclass(frozen=True)
class VideoClip:
    """A clip by name, with ground truth, low quality or both."""

    name: str
    gt: Union[Source, SceneSource, None] = None
    lq: Optional[Source] = None


UCF101_GIVEN, UCF101_TRUTH = ("frame0.png", "frame1.png", "frame2.png", "frame3.png"), "framet.png"


def evaluation_clips(settings, degradation) -> List[VideoClip]:
    """Find the clips that an evaluation asks for.

    Args:
        settings: with ``set``, ``path``, ``gt``, ``lq`` and ``clips`` (``mindrestore.config.video.VideoEvaluation``).
            ``gt`` and ``lq`` are used instead of what the data set would have; of a data set whose scored clips are
            known by name those alone, where all are there.
        degradation: which low quality of the data set; None: no clip has any.

    Returns:
        Clips in natural order. A data set without low quality gives clips of ground truth alone.

    Raises:
        UserError: nothing is there, or ground truth and low quality do not have the same clips and frame counts.
    """
    kind = named_sets.SETS.get(settings.set)
    if settings.set == named_sets.DEMO and not (settings.path or settings.gt or settings.lq):
        return _chosen([VideoClip(scene.name, SceneSource(scene)) for scene in demo_scenes(colour=True)], settings.clips)
    if settings.path and kind is None:
        raise UserError("evaluation.path is for data sets such as reds4 (evaluation.set); give --gt or --lq for "
                        "folders of your own.")
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
            raise UserError(f"{root}: holds no clips of {settings.set}; expected {' or '.join(kind.gt)}, {{}} being "
                            "the clip's name.")
        names = kind.names or _listed(root, kind.list_files)
    if settings.set == "ucf101" and gt and not lq:
        gt, lq = _quintuplets(gt)
    return _chosen(_paired(gt, lq), settings.clips or names)


def _clips_of_set(root, patterns, levels):
    """Clips by name under the first pattern that there is something for."""
    for pattern in patterns:
        before, after = (part.strip("/") for part in pattern.split("{}"))
        base = root / before
        folders = [base] if base.is_dir() else []
        for _ in range(levels):
            folders = [entry for folder in folders for entry in visible(folder) if entry.is_dir()]
        clips = {folder.relative_to(base).as_posix(): Source(folder / after) for folder in folders
                 if _holds_frames(folder / after)}
        if clips:
            return clips
    return {}


def _own_clips(path):
    """Clips by name at a path of the user's: one clip, or a folder of clips, in folders of folders if need be."""
    path = existing(path, "folder of frames, video file or folder of clips")
    if path.is_file() or _holds_frames(path):
        return {path.stem if path.is_file() else path.resolve().name: Source(path)}
    folders = [entry for entry in visible(path) if entry.is_dir()]
    clips = {entry.stem: Source(entry) for entry in visible(path) if entry.suffix.lower() in VIDEO_SUFFIXES}
    clips.update((folder.name, Source(folder)) for folder in folders if _holds_frames(folder))
    if not clips:
        clips = {f"{folder.name}/{entry.name}": Source(entry) for folder in folders for entry in visible(folder)
                 if entry.is_dir() and _holds_frames(entry)}
    if not clips:
        raise UserError(f"{path}: no clips in it; expected frames ending in {', '.join(IMAGE_SUFFIXES)}, folders of "
                        "them, or videos.")
    return clips


def _holds_frames(folder):
    return folder.is_dir() and any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in folder.iterdir())


def _listed(root, list_files):
    """The names in the first of ``list_files`` that is there, a line a clip, the name first; None without one."""
    for name in list_files:
        if (root / name).is_file():
            return [line.split()[0] for line in (root / name).read_text(encoding="utf-8").splitlines() if line.strip()]
    return None


def _quintuplets(clips):
    """UCF101: of each folder, the frame in the middle is ground truth and the four around it are given."""
    for source in clips.values():
        for name in (*UCF101_GIVEN, UCF101_TRUTH):
            existing(source.path / name, "frame")
    return ({name: Source((source.path / UCF101_TRUTH,)) for name, source in clips.items()},
            {name: Source(tuple(source.path / frame for frame in UCF101_GIVEN)) for name, source in clips.items()})


def _paired(gt, lq):
    """Clips of both by name; two single clips belong together whatever they are called."""
    if len(gt) == len(lq) == 1:
        lq = dict(zip(gt, lq.values()))
    if gt and lq:
        for one, other, where in ((gt, lq, "low quality"), (lq, gt, "ground truth")):
            missing = [name for name in one if name not in other]
            if missing:
                there = next(iter(other.values()))
                raise UserError(f"clip {missing[0]}: is at {one[missing[0]]} but has no {where} beside {there}; both "
                                "must hold clips of the same names.")
    return [VideoClip(name, gt.get(name), lq.get(name)) for name in (gt or lq)]


def _chosen(clips, names):
    """The clips called ``names``; all of them if that is None."""
    if names is None:
        return clips
    by_name = {clip.name: clip for clip in clips}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise UserError(f"clip {missing[0]}: not there; the clips found are {', '.join(list(by_name)[:8])}"
                        f"{', ...' if len(by_name) > 8 else ''}.")
    return [by_name[name] for name in names]
