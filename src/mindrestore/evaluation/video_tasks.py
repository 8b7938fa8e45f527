"""What each task is given of a clip, what it must give back, and what stands beside it in the table.

Everything is a stream that can be opened more than once, so that a clip of any length is evaluated in little memory.
"""
import itertools
from dataclasses import dataclass
from typing import Callable, Iterator, Optional

import numpy as np

from mindrestore.data.degradation import degraded
from mindrestore.data.resize import imresize
from mindrestore.errors import UserError
from mindrestore.models.kind import INTERPOLATED_FRAMES
from mindrestore.restore.video import restore_space_time, restore_video

VIMEO_FRAMES, VIMEO_CENTRE = 7, 3
PLAIN = {"sr": "bicubic", "space-time-sr": "bicubic, mean of neighbours", "interpolate": "mean of neighbours",
         "deblur": "as given", "denoise": "as given"}
"""By task: what is scored beside the network, because it costs nothing."""

Stream = Callable[[], Iterator[np.ndarray]]


@dataclass(frozen=True)
class Case:
    """One clip of one task. All streams give frames (3, H, W), 0–1.

    Attributes:
        name: of the clip.
        given: what the network is given; ``count`` frames, None if nobody knows.
        plain, truth: what stands beside every restored frame; ``truth`` is None without ground truth.
        whole: whether ``truth`` must end where what is restored ends.
        picked: the one restored frame that is kept; None: all.
    """

    name: str
    given: Stream
    count: Optional[int]
    plain: Stream
    truth: Optional[Stream]
    whole: bool
    picked: Optional[int] = None

    def restored(self, networks, config):
        """Restore the clip: an iterator over the frames that ``plain`` and ``truth`` go with.

        ``networks`` are the configuration's: one, or for space-time super-resolution the interpolating one before it.
        """
        options = dict(config.tiling.model_dump(), progress=self.name, total=self.count)
        if config.task == "space-time-sr":
            interpolation = dict(config.interpolation.tiling.model_dump(), total=self.count)
            frames = restore_space_time(*networks, self.given(), interpolation, {
                **options, "total": self.count and 2 * self.count - 1})
        elif config.task == "interpolate":
            frames = restore_video(*networks, self.given(), between_only=self.truth is not None, **options)
        else:
            frames = restore_video(*networks, self.given(), sigma=config.evaluation.sigma, **options)
        return frames if self.picked is None else itertools.islice(frames, self.picked, self.picked + 1)


def case(clip, config):
    """Make the ``Case`` of a clip.

    Args:
        clip: ``mindrestore.data.video_sets.VideoClip``.
        config: ``mindrestore.config.VideoConfig``.

    Raises:
        UserError: frame counts of ground truth and low quality that do not fit each other, too few frames, or no noise
            level.
    """
    task, settings, scale = config.task, config.evaluation, config.scale
    if task == "denoise" and settings.sigma is None:
        raise UserError("evaluation.sigma is missing: this network denoises at a given noise level; give --sigma, such "
                        "as 25.")
    if clip.lq is None:
        step = 2 if task in ("interpolate", "space-time-sr") else 1  # every other frame is left out, to be made
        truth = _opened(clip.gt, settings.frames, scale)
        given, count = _low_quality(truth, step, config), _count(clip.gt, settings.frames)
        count = count and (count + step - 1) // step
        if task == "interpolate":
            truth = _from_third(truth)  # given frames 0, 2, 4, 6 make 3; 2, 4, 6, 8 make 5
    else:
        given, count = _opened(clip.lq, settings.frames), _count(clip.lq, settings.frames)
        truth = clip.gt and _opened(clip.gt)
        _check_counts(clip, task)
    if clip.gt and task == "interpolate" and count is not None and count < INTERPOLATED_FRAMES:
        raise UserError(f"clip {clip.name}: too few frames, {count} to interpolate between where a score needs "
                        f"{INTERPOLATED_FRAMES}: give a clip of {2 * INTERPOLATED_FRAMES - 1} or more.")
    evaluated = Case(clip.name, given, count, plain=_plain(given, task, scale, clip.gt), truth=truth,
                     whole=clip.lq is not None and settings.frames is None)
    return _centre_of_vimeo(evaluated) if settings.set == "vimeo90k" and task == "sr" else evaluated


def _check_counts(clip, task):
    count, truth = clip.lq.count(), clip.gt and clip.gt.count()
    if count is None or truth is None:
        return
    fitting = {"interpolate": count - INTERPOLATED_FRAMES + 1, "space-time-sr": 2 * count - 1}.get(task, count)
    if truth != fitting:
        raise UserError(f"clip {clip.name}: low quality in {clip.lq} has {count} frames, which takes {fitting} of "
                        f"ground truth; {clip.gt} has {truth}.")


def _count(source, limit):
    count = source.count()
    return count if limit is None or count is None else min(count, limit)


def _opened(source, limit=None, scale=1) -> Stream:
    """A source's first frames, cut at the lower and right border to multiples of ``scale``."""
    def frames():
        for frame in itertools.islice(source.frames(), limit):
            yield frame[:, :frame.shape[1] // scale * scale, :frame.shape[2] // scale * scale]
    return frames


def _low_quality(truth, step, config) -> Stream:
    """Low quality made from every ``step``-th frame of ground truth."""
    def given():
        frames = itertools.islice(truth(), 0, None, step)
        if config.degradation is None:
            return frames
        settings = config.evaluation
        return degraded(frames, config.degradation, config.scale, settings.sigma, settings.seed)
    return given


def _plain(given, task, scale, scored) -> Stream:
    """What costs nothing: see ``PLAIN``."""
    if task == "interpolate":
        return _from_third(lambda: _doubled(given())) if scored else lambda: _doubled(given())
    if task == "space-time-sr":
        return lambda: (imresize(frame, scale) for frame in _doubled(given()))
    return (lambda: (imresize(frame, scale) for frame in given())) if task == "sr" else given


def _doubled(frames):
    """Frames with the mean of any two between them."""
    last = None
    for frame in frames:
        if last is not None:
            yield (last + frame) / 2
        yield frame
        last = frame


def _from_third(stream) -> Stream:
    return lambda: itertools.islice(stream(), 3, None, 2)


def _centre_of_vimeo(septuplet):
    """Vimeo-90K's super-resolution: seven frames, the last one twice, of which the one in the middle is scored."""
    if septuplet.count != VIMEO_FRAMES:
        raise UserError(f"clip {septuplet.name}: has {septuplet.count} frames, expected the {VIMEO_FRAMES} of a Vimeo-90K "
                        "septuplet.")

    def padded():
        for frame in septuplet.given():
            yield frame
        yield frame

    def centre(stream):
        return stream and (lambda: itertools.islice(stream(), VIMEO_CENTRE, VIMEO_CENTRE + 1))
    return Case(septuplet.name, padded, VIMEO_FRAMES + 1, plain=centre(septuplet.plain), truth=centre(septuplet.truth),
                whole=False, picked=VIMEO_CENTRE)
