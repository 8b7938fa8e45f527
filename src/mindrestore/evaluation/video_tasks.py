"""By task: the low quality of a clip, the frames that are scored, their ground truth, and a trivial method to compare with.

All are streams that can be opened more than once, so that a clip of any length is evaluated in little memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from mindspore import nn

from mindrestore.config.video import VideoConfig
from mindrestore.data.degradation import degraded
from mindrestore.data.resize import imresize
from mindrestore.data.video_sets import SceneSource, Source, VideoClip
from mindrestore.errors import UserError
from mindrestore.evaluation.results import AS_GIVEN
from mindrestore.models.kind import INTERPOLATED_FRAMES
from mindrestore.restore.video import restore_space_time, restore_video

VIMEO_FRAMES, VIMEO_CENTRE = 7, 3
PLAIN = {
    "sr": "bicubic",
    "space-time-sr": "bicubic, mean of neighbours",
    "interpolate": "mean of neighbours",
    "deblur": AS_GIVEN,
    "denoise": AS_GIVEN,
}
"""By task: the trivial method that is scored beside the network."""

Stream = Callable[[], Iterator[np.ndarray]]
AnySource = Source | SceneSource


@dataclass(frozen=True)
class Case:
    """One clip of one task. All streams give frames (3, H, W), 0–1.

    Attributes:
        name: of the clip.
        low_quality: what the network restores.
        count: of its frames, None where that is not known.
        plain: the frames of the trivial method, one for every restored frame.
        truth: ground truth of every restored frame, or None.
        equally_long: whether ``truth`` must have no more frames than are restored.
        scored: number of the only restored frame that is scored; None: all are.
    """

    name: str
    low_quality: Stream
    count: int | None
    plain: Stream
    truth: Stream | None
    equally_long: bool
    scored: int | None = None

    def restored(self, networks: Sequence[nn.Cell], config: VideoConfig) -> Iterator[np.ndarray]:
        """Return an iterator over the restored frames, one for each of ``plain`` and of ``truth``.

        ``networks`` are the configuration's: one; for space-time super-resolution two, the interpolating one first.
        """
        options = dict(config.tiling.model_dump(), progress=self.name, total=self.count, ensemble=config.evaluation.ensemble)
        if config.task == "space-time-sr":
            interpolation = dict(
                config.interpolation.tiling.model_dump(), total=self.count, ensemble=config.evaluation.ensemble
            )
            upscaling = {**options, "total": self.count and 2 * self.count - 1}
            frames = restore_space_time(*networks, self.low_quality(), interpolation, upscaling)
        elif config.task == "interpolate":
            frames = restore_video(*networks, self.low_quality(), between_only=self.truth is not None, **options)
        else:
            frames = restore_video(*networks, self.low_quality(), sigma=config.evaluation.sigma, **options)
        return frames if self.scored is None else itertools.islice(frames, self.scored, self.scored + 1)


def case_of(clip: VideoClip, config: VideoConfig) -> Case:
    """Return the ``Case`` of a clip for the task of a configuration.

    Raises:
        UserError: frame counts of ground truth and low quality that do not fit each other, too few frames, or no noise
            level.
    """
    task, settings, scale = config.task, config.evaluation, config.scale
    if task == "denoise" and settings.sigma is None:
        raise UserError("evaluation.sigma is missing: this network denoises at a given noise level; give --sigma, such as 25.")
    if clip.lq is None:
        step = 2 if task in ("interpolate", "space-time-sr") else 1  # every other frame is left out, to be interpolated
        truth = _opened(clip.gt, settings.frames, scale)
        low_quality, count = _low_quality(truth, step, config), _count(clip.gt, settings.frames)
        count = count and (count + step - 1) // step
        if task == "interpolate":
            truth = _from_third(truth)  # frames 0, 2, 4, 6 make frame 3; 2, 4, 6, 8 make 5
    else:
        low_quality, count = _opened(clip.lq, settings.frames), _count(clip.lq, settings.frames)
        truth = clip.gt and _opened(clip.gt)
        _check_counts(clip, task)
    if clip.gt and task == "interpolate" and count is not None and count < INTERPOLATED_FRAMES:
        raise UserError(
            f"clip {clip.name}: too few frames, {count} to interpolate between where a score needs "
            f"{INTERPOLATED_FRAMES}: give a clip of {2 * INTERPOLATED_FRAMES - 1} or more."
        )
    plain = _plain(low_quality, task, scale, scored=clip.gt is not None)
    equally_long = clip.lq is not None and settings.frames is None
    case = Case(clip.name, low_quality, count, plain=plain, truth=truth, equally_long=equally_long)
    return _centre_of_vimeo(case) if settings.set == "vimeo90k" and task == "sr" else case


def _check_counts(clip: VideoClip, task: str) -> None:
    """Raise ``UserError`` unless a clip has as much ground truth as its low quality takes; pass where a count is unknown."""
    count, truth = clip.lq.count(), clip.gt and clip.gt.count()
    if count is None or truth is None:
        return
    expected = {"interpolate": count - INTERPOLATED_FRAMES + 1, "space-time-sr": 2 * count - 1}.get(task, count)
    if truth != expected:
        raise UserError(
            f"clip {clip.name}: low quality in {clip.lq} has {count} frames, which takes {expected} of "
            f"ground truth; {clip.gt} has {truth}."
        )


def _count(source: AnySource, limit: int | None) -> int | None:
    """Return how many of a source's frames are used, at most ``limit``; None where that is not known."""
    count = source.count()
    return count if limit is None or count is None else min(count, limit)


def _opened(source: AnySource, limit: int | None = None, scale: int = 1) -> Stream:
    """Return the stream of a source's frames, ``limit`` at most, cropped at bottom and right to multiples of ``scale``."""

    def frames() -> Iterator[np.ndarray]:
        for frame in itertools.islice(source.frames(), limit):
            yield frame[:, : frame.shape[1] // scale * scale, : frame.shape[2] // scale * scale]

    return frames


def _low_quality(truth: Stream, step: int, config: VideoConfig) -> Stream:
    """Return the stream of low quality made from every ``step``-th frame of ground truth."""

    def low_quality() -> Iterator[np.ndarray]:
        frames = itertools.islice(truth(), 0, None, step)
        if config.degradation is None:
            return frames
        settings = config.evaluation
        return degraded(frames, config.degradation, config.scale, sigma=settings.sigma, seed=settings.seed)

    return low_quality


def _plain(low_quality: Stream, task: str, scale: int, scored: bool) -> Stream:
    """Return the stream of the trivial method, see ``PLAIN``; ``scored``: there is ground truth."""
    if task == "interpolate":
        return _from_third(lambda: _doubled(low_quality())) if scored else lambda: _doubled(low_quality())
    if task == "space-time-sr":
        return lambda: (imresize(frame, scale) for frame in _doubled(low_quality()))
    return (lambda: (imresize(frame, scale) for frame in low_quality())) if task == "sr" else low_quality


def _doubled(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield frames, and between any two their mean."""
    last = None
    for frame in frames:
        if last is not None:
            yield (last + frame) / 2
        yield frame
        last = frame


def _from_third(stream: Stream) -> Stream:
    """Return the stream of frames 3, 5, 7, ...: those in between that interpolation has two given frames on either side of."""
    return lambda: itertools.islice(stream(), 3, None, 2)


def _centre_of_vimeo(septuplet: Case) -> Case:
    """Return the case of a Vimeo-90K septuplet: its last frame is repeated, and only the middle one is scored."""
    if septuplet.count != VIMEO_FRAMES:
        raise UserError(
            f"clip {septuplet.name}: has {septuplet.count} frames, expected the {VIMEO_FRAMES} of a Vimeo-90K septuplet."
        )

    def padded() -> Iterator[np.ndarray]:
        for frame in septuplet.low_quality():
            yield frame
        yield frame

    def centre(stream: Stream) -> Stream:
        return lambda: itertools.islice(stream(), VIMEO_CENTRE, VIMEO_CENTRE + 1)

    return Case(
        septuplet.name,
        padded,
        VIMEO_FRAMES + 1,
        plain=centre(septuplet.plain),
        truth=septuplet.truth and centre(septuplet.truth),
        equally_long=False,
        scored=VIMEO_CENTRE,
    )
