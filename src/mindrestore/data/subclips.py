"""Subclips to train on, consecutive frames of a clip: cut out of a data set's clips, or rendered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from mindrestore.data.folders import gap_sentence, refuse_mismatch, runs
from mindrestore.data.frame_stores import FrameStore
from mindrestore.data.named_sets import REDS4
from mindrestore.data.photographs import TRAIN_PHOTOGRAPHS
from mindrestore.data.rendered import RenderedClips
from mindrestore.errors import UserError

REDS_OFFICIAL = tuple(f"{number}" for number in range(240, 270))
HELD_OUT = {"reds4": REDS4, "official": REDS_OFFICIAL}
"""Clips of REDS that training leaves out: the four of the papers, or the official validation set after regrouping."""


class Subclip(NamedTuple):
    gt: np.ndarray  # (T, 3, H, W) float32 0–1
    lq: np.ndarray | None  # (T, 3, h, w) float32 0–1; None where it is to be made from gt


class SubclipSource(Protocol):
    """What training draws subclips from. Index and generator alone decide a subclip."""

    holds_lock: bool
    """Whether making one keeps Python's lock much of the time (``mindrestore.runtime.dataset.Samples``)."""

    def __len__(self) -> int:
        """Subclips of one pass."""

    def name(self, index: int) -> str:
        """Clip and first frame of subclip ``index``."""

    def subclip(self, index: int, rng: np.random.Generator) -> Subclip:
        """Subclip ``index``, its patch at a place drawn from ``rng``."""


class StoredSubclips:
    """Subclips of a data set, cut to a patch at a random place. None crosses the border of a clip or a gap in the numbers of
    its frames (``mindrestore.data.folders.runs``); ``notes`` are sentences that say where there are gaps.

    Args:
        gt: store of ground truth (``mindrestore.data.frame_stores``).
        lq: store of low quality, with these clips at least and the same frames in them, by name or by number; or ``None`` to
            have it made from ground truth.
        frames: of a subclip.
        patch: height and width of the ground truth cut out.
        scale: ground truth's size over low quality's.
        clips: names to use, all of ``gt`` by default.
        held_out: names not to use.

    Raises:
        UserError: clips named but missing, none left, none long enough, or low quality that has other clips or frames.
    """

    holds_lock = False  # decoding releases it

    def __init__(
        self,
        gt: FrameStore,
        lq: FrameStore | None = None,
        frames: int = 6,
        patch: int = 256,
        scale: int = 1,
        *,
        clips: Sequence[str] | None = None,
        held_out: Collection[str] = (),
    ) -> None:
        self.gt, self.lq, self.frames, self.patch, self.scale = gt, lq, frames, patch, scale
        if patch % scale:
            raise UserError(f"patch is {patch}; it must be a multiple of the scale {scale}.")
        missing = [clip for clip in clips or () if clip not in gt.clips]
        if missing:
            raise UserError(f"{gt.root}: {len(missing)} listed clips are not in it, the first is {missing[0]}.")
        deeper = [clip for clip in gt.clips if clip not in held_out and clip.rpartition("/")[2] in held_out]
        if deeper:
            raise UserError(
                f"{gt.root}: clip {deeper[0]} is to be held out by its name, but lies deeper; give the folder that "
                "holds the clips themselves, or data.held_out=none."
            )
        names = [clip for clip in clips or gt.clips if clip not in held_out]
        if lq is not None:
            for clip in names:
                _check_pair(gt, lq, clip)
        self._starts = [
            (clip, start) for clip in names for run in runs(gt.clips[clip]) for start in range(run.start, run.stop - frames + 1)
        ]
        self.notes = list(filter(None, (gap_sentence(f"{gt.root}, clip {clip}", gt.clips[clip]) for clip in names)))
        if not self._starts:
            raise UserError(
                f"{gt.root}: no clip of {frames} frames to train on; expected at least one that is not held out"
                f"{f' ({self.notes[0]})' if self.notes else ''}."
            )

    def __len__(self) -> int:
        """Subclips of one pass."""
        return len(self._starts)

    def subclip(self, index: int, rng: np.random.Generator) -> Subclip:
        """Subclip ``index``, its patch at a place drawn from ``rng``; ``UserError`` for frames that do not fit."""
        clip, start = self._starts[index]
        places = slice(start, start + self.frames)
        gt = _read(self.gt, clip, places)
        height, width = gt[0].shape[:2]
        if min(height, width) < self.patch:
            raise UserError(
                f"{self.gt.root}, clip {clip}: frames of {width} x {height} pixels are smaller than the patch "
                f"of {self.patch}; choose a smaller data.patch."
            )
        patch = self.patch // self.scale
        top, left = (int(rng.integers(extent // self.scale - patch + 1)) for extent in (height, width))
        lq = None
        if self.lq is not None:
            lq = _read(self.lq, clip, places)
            rows, columns = lq[0].shape[:2]
            if (height, width) != (rows * self.scale, columns * self.scale):
                raise UserError(
                    f"{self.lq.root}, clip {clip}: frames of {columns} x {rows} pixels, expected those of "
                    f"ground truth, {width} x {height}, divided by {self.scale}."
                )
            lq = _cut(lq, top, left, patch)
        return Subclip(_cut(gt, top * self.scale, left * self.scale, self.patch), lq)

    def name(self, index: int) -> str:
        """Clip and first frame of a subclip, such as 000/00000007; in an LMDB that is the frame's key."""
        clip, start = self._starts[index]
        return f"{clip}/{self.gt.clips[clip][start]}"


class RenderedSubclips:
    """Subclips that ``RenderedClips`` draws from ``photographs``, ``clips`` of them a pass, up to ``defocus`` out of focus.

    Low quality is to be made from them.
    """

    holds_lock = True

    def __init__(
        self,
        frames: int,
        patch: int,
        clips: int = 1000,
        defocus: float = 0.0,
        photographs: Sequence[str] = TRAIN_PHOTOGRAPHS,
    ) -> None:
        self.clips = RenderedClips(frames, patch, patch, photographs, colour=True, length=clips, defocus=defocus)

    def __len__(self) -> int:
        """Subclips of one pass."""
        return len(self.clips)

    def subclip(self, index: int, rng: np.random.Generator) -> Subclip:
        """Subclip ``index``, drawn from ``rng``; without low quality."""
        return Subclip(np.ascontiguousarray(self.clips.clip(index, rng).swapaxes(0, 1)), None)

    def name(self, index: int) -> str:
        """Where subclip ``index`` is from."""
        return self.clips.name(index)


def _check_pair(gt: FrameStore, lq: FrameStore, clip: str) -> None:
    if clip not in lq.clips:
        raise UserError(f"{lq.root}: clip {clip} of {gt.root} is missing in it.")
    refuse_mismatch(clip, (gt.root, gt.clips[clip]), (lq.root, lq.clips[clip]))


def _read(store: FrameStore, clip: str, places: slice) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 of one size, not stacked: they are large, and only a patch of each is wanted."""
    names = store.clips[clip][places]
    frames = [store.read(clip, name) for name in names]
    for name, frame in zip(names, frames):
        if frame.shape != frames[0].shape:
            raise UserError(
                f"{store.root}, clip {clip}, frame {name}: {frame.shape[1]} x {frame.shape[0]} pixels, expected "
                f"{frames[0].shape[1]} x {frames[0].shape[0]} as the frames before it."
            )
    return frames


def _cut(frames: Sequence[np.ndarray], top: int, left: int, side: int) -> np.ndarray:
    """T frames (H, W, 3) uint8 -> their squares at one place, (T, 3, side, side) float32 0–1."""
    planes = np.empty((len(frames), 3, side, side), np.float32)
    for plane, frame in zip(planes, frames):
        np.divide(frame[top : top + side, left : left + side].transpose(2, 0, 1), 255, out=plane, dtype=np.float32)
    return planes
