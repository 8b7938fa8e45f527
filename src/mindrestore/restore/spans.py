"""Which part of a clip: from one time to another, or so many frames."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from mindrestore.errors import UserError
from mindrestore.media.clips import Clip

USUAL_RATE = 25.0
TIME = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:\.\d*)?|\.\d+)")  # h:mm:ss, m:ss or seconds


def seconds_of(text: str, option: str) -> Fraction:
    """Return the seconds that ``90``, ``1:30.5`` or ``1:02:03`` mean; ``UserError`` about ``option`` if they mean none."""
    match = TIME.fullmatch(text.strip())
    hours, minutes, seconds = match.groups() if match else (None, None, None)
    if match is None or minutes is not None and Fraction(seconds) >= 60:
        raise UserError(f"--{option} {text}: is no time; give seconds, m:ss or h:mm:ss, such as 90, 1:30 or 1:30.5.")
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + Fraction(seconds)


def part_of(clip: Clip, start: Fraction | None, end: Fraction | None, frames: int | None, rate: float | None) -> Clip:
    """Return the part of a clip that is asked for; the clip itself where nothing is.

    Args:
        clip: the whole one.
        start, end: seconds; the frames that begin at ``start`` or later and before ``end`` are meant.
        frames: how many at most.
        rate: frames a second that are to be counted by, instead of the clip's own times.

    Raises:
        UserError: it would have no frame.
    """
    if frames is not None and frames < 1:
        raise UserError(f"--frames {frames}: it must be 1 or more.")
    if start is not None and end is not None and end <= start:
        raise UserError(f"--end {float(end):g}: it must be later than --start {float(start):g}.")
    first = 0 if start is None else _number_at(clip, start, rate)
    stop = clip.count if end is None else _number_at(clip, end, rate)
    stop = stop if frames is None else min(stop, first + frames)
    if first >= clip.count:
        raise UserError(
            f"--start {float(start):g}: {clip.path} ends before, after {_seconds_at(clip, clip.count, rate):g} seconds."
        )
    if first >= stop:
        raise UserError(
            f"--end {float(end):g}: no frame of {clip.path} begins before that and at or after --start; give a later one."
        )
    return clip if (first, stop) == (0, clip.count) else clip.part(first, stop - first)


def span_of(clip: Clip) -> tuple[Fraction, Fraction] | None:
    """Return (begin, end) in seconds of a part of a video in that video; None for a whole one."""
    whole = clip.contents.times
    if (clip.begin, clip.count) == (0, clip.contents.count):
        return None
    last = clip.begin + clip.count - 1
    return whole.begin(clip.begin) * whole.base, (whole.begin(last) + whole.length(last)) * whole.base


def _number_at(clip: Clip, moment: Fraction, rate: float | None) -> int:
    """How many frames begin before a moment; those within a thousandth of a second begin at it."""
    if rate or clip.contents is None:
        number = math.ceil(moment * Fraction(rate or clip.rate or USUAL_RATE) - Fraction(1, 1000))
        return min(clip.count, max(0, number))
    times, moment = clip.contents.times, moment - Fraction(1, 1000)
    return sum(times.begin(number) * times.base < moment for number in range(clip.count))


def _seconds_at(clip: Clip, number: int, rate: float | None) -> float:
    if rate or clip.contents is None:
        return number / (rate or clip.rate or USUAL_RATE)
    times = clip.contents.times
    return float((times.begin(number - 1) + times.length(number - 1)) * times.base)
