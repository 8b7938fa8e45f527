"""Scenes to score a reconstruction on: a clip that is known, in measurements of T frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindrestore.data.folders import VIDEO_SUFFIXES, files_ending, find_clips, refuse_gap
from mindrestore.data.frames import read_clip
from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing
from mindrestore.mat_files import find, pick, read_mat, time_first
from mindrestore.sensing.masks import MASK_KEYS
from mindrestore.sensing.values import as_mask, finite, refuse

CLIP_KEYS = ("orig", "patch_save", "p1", "p2", "p3")

# Published name -> (how files spell it, measurements of 8 frames that published results score), in the papers' order.
BENCHMARK = {
    "Kobe": ("kobe", 4),
    "Traffic": ("traffic", 6),
    "Runner": ("runner", 1),
    "Drop": ("drop", 1),
    "Aerial": ("aerial", 4),
    "Vehicle": ("crash|vehicle", 4),
}


@dataclass(frozen=True, eq=False)
class Scene:
    """A known clip.

    Attributes:
        name: to print.
        clip: ``(F, H, W)`` or, colour, ``(3, F, H, W)``; float32 in 0..1.
        mask: ``(T, H, W)`` stored beside the clip, or ``None``. Which mask a result was made with must be said: the one
            stored in benchmark files is not the one that published networks were trained with.
    """

    name: str
    clip: np.ndarray
    mask: np.ndarray | None = None

    @property
    def colour(self) -> bool:
        """Whether the clip is RGB."""
        return self.clip.ndim == 4

    def snapshots(self, frames: int) -> list[np.ndarray]:
        """The clip in groups of ``frames`` frames, in order: a list of ``(T, H, W)`` or ``(3, T, H, W)``.

        What is left over at the end is not scored. Raises ``UserError`` if not even one fits.
        """
        total = self.clip.shape[-3]
        if not 1 <= frames <= total:
            raise UserError(
                f"scene {self.name} has {total} frames, which makes no measurement of {frames}; "
                f"use a mask of 1 to {total} planes."
            )
        return [self.clip[..., start : start + frames, :, :] for start in range(0, total - frames + 1, frames)]


def load_scene(path: PathLike, name: str | None = None, colour: bool = False) -> Scene:
    """Read a scene from a benchmark file, a folder of frames or a video.

    Args:
        path: ``.mat`` with ``H x W x F`` or ``H x W x 3 x F`` under one of ``CLIP_KEYS``, its values 0..255 or, if none
            exceeds 1, 0..1. A measurement stored there is ignored, it belongs to some other mask. Or what ``read_clip``
            takes.
        name: to print; the file's own by default.
        colour: how to read frames and videos; a ``.mat`` decides by its shape.

    Raises:
        UserError: no such file, not readable, no clip in it, a clip of the wrong shape or range, or a folder with a gap in
            the numbers of its frames: a measurement is of frames that follow one another.
    """
    path = existing(path, "scene")
    name = path.stem if name is None else name
    if path.is_dir():
        refuse_gap(path)
    if path.suffix.lower() != ".mat" or path.is_dir():
        return Scene(name, read_clip(path, colour))
    arrays = read_mat(path)
    clip = _clip_of_mat(pick(arrays, CLIP_KEYS, path, "clip"), path)
    mask = find(arrays, MASK_KEYS, path)
    return Scene(name, clip, None if mask is None else as_mask(time_first(mask), path))


def scene_paths(path: PathLike) -> list[Path]:
    """The scenes at a path, as paths for ``load_scene``: a file itself, otherwise the folders of frames, videos and ``.mat``
    files that ``find_clips`` finds there.

    Raises ``UserError`` if there are none, or as ``find_clips`` does.
    """
    path = existing(path, "scene or folder of scenes")
    if not path.is_dir():
        return [path]
    scenes = [clip.path for clip in find_clips(path, (".mat", *VIDEO_SUFFIXES)).values()]
    if not scenes:
        raise UserError(f"{path}: no scenes in it; expected .mat files, videos, or folders of frames.")
    return scenes


def find_benchmark_scenes(folder: PathLike) -> dict[str, Path | None]:
    """Find the files of the six benchmark scenes in ``folder``, by the ways in which their names are spelled.

    Returns:
        dict of published name (all keys of ``BENCHMARK``, in order) -> path, or ``None`` for an absent one.

    Raises:
        UserError: no such folder, or two files that could be one scene.
    """
    folder = existing(folder, "folder of scenes")
    files = files_ending(folder, ".mat")
    return {name: _only_match(files, spelling, name, folder) for name, (spelling, _) in BENCHMARK.items()}


def _only_match(files: Sequence[Path], spelling: str, name: str, folder: Path) -> Path | None:
    matches = [path for path in files if re.search(f"(^|[^a-z])({spelling})", path.stem.lower())]
    if len(matches) > 1:
        names = " and ".join(path.name for path in matches)
        raise UserError(f"{folder}: {names} could all be the scene {name}; keep one of them.")
    return matches[0] if matches else None


def _clip_of_mat(stored: np.ndarray, path: Path) -> np.ndarray:
    clip = time_first(stored)
    if clip.ndim == 4 and clip.shape[-1] == 3:
        clip = np.moveaxis(clip, -1, 0)
    elif clip.ndim != 3:
        shape = " x ".join(map(str, stored.shape))
        raise UserError(f"{path}: a clip has shape H x W x F or H x W x 3 x F, got {shape}.")
    clip = np.ascontiguousarray(clip, np.float32)
    if not clip.size:
        raise UserError(f"{path}: the clip has no values; its shape is {' x '.join(map(str, stored.shape))}.")
    frames = np.moveaxis(clip, -3, 0)  # (F, H, W), colour (F, 3, H, W)
    finite(frames, f"{path}: the clip", "frame")
    refuse(frames, (frames < 0) | (frames > 255), f"{path}: the clip", "frame", expected="0..255, or 0..1")
    return clip if stored.dtype.kind == "f" and clip.max() <= 1 else clip / 255
