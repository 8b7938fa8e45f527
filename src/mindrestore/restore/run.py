"""Restore a clip on disk into another: look, choose, restore frame by frame, write, and say what was done."""
from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mindrestore.data.folders import frame_files, gap_sentence, identity
from mindrestore.data.measurements import load_measurements
from mindrestore.data.video_file import damage
from mindrestore.errors import UserError
from mindrestore.files import check_writable
from mindrestore.locks import held
from mindrestore.media.clips import Clip, open_clip
from mindrestore.media.pixels import to_image
from mindrestore.media.room import room_for
from mindrestore.media.trust import mean_residual, write_trust
from mindrestore.media.video_writer import CODECS, VideoSettings
from mindrestore.media.writing import check_encoder, check_picture, check_target, kind_of, stored_size, write_clip
from mindrestore.restore.finished import FinishedFrames, folder_of
from mindrestore.restore.networks import TaskNetwork, choose
from mindrestore.restore.progress import FrameBar
from mindrestore.restore.restorers import SnapshotRestorer, VideoRestorer
from mindrestore.restore.side_by_side import write_beside, write_preview
from mindrestore.restore.tasks import PROBLEMS
from mindrestore.runtime import precision
from mindrestore.version import __version__

USUAL_RATE = 25.0
USUAL_CODEC = "h264"


@dataclass(frozen=True)
class Request:
    """What is to be done.

    Attributes:
        source, target: paths of the clip, or for ``sci`` of the measurements, and of the result.
        task: one of ``mindrestore.restore.tasks.TASKS``.
        checkpoints, models: as for ``choose``; without any what ships.
        sigma: noise level of 0–255, for denoising.
        mask: file of the mask that measurements were made through, where their own file does not hold it.
        trust: file of the trust maps of reconstructed measurements, to be written too.
        tile, overlap: (frames, height, width), None for the task's.
        ensemble: average over mirror images and the reversal in time, in eight times the time.
        rate: frames a second of the source, where it does not say or says wrong.
        codec, crf: of a video that is written, as in ``mindrestore.media.video_writer.VideoSettings``; None for H.264 and 18.
        preview: write a picture of a few frames first.
        compare: write a clip of input and output side by side too.
        resume: go on with a run that was stopped.
    """

    source: Path
    target: Path
    task: str
    checkpoints: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    sigma: float | None = None
    mask: str | None = None
    trust: str | None = None
    tile: tuple[int, int, int] | None = None
    overlap: tuple[int, int, int] | None = None
    ensemble: bool = False
    rate: float | None = None
    codec: str | None = None
    crf: int | None = None
    preview: bool = False
    compare: bool = False
    resume: bool = False


class Job(NamedTuple):
    """A request that can be done: what restores, by what, and what the result keeps of the source."""

    restorer: VideoRestorer | SnapshotRestorer
    networks: list[TaskNetwork]
    rate: float | None  # of the source, None where nobody says it
    bits: int
    grey: bool
    names: tuple[str, ...] | None  # of the frames
    video: VideoSettings  # of the result, where it is one
    clip: Clip | None  # the source, None for measurements


def restore(request: Request, say: Callable[[str], None] = print) -> bool:
    """Do what a ``Request`` asks for; ``say`` is given each line of the account.

    Returns:
        Whether all frames that the source announces were there; False for a damaged video, of which what decodes is restored.

    Raises:
        UserError: something of it cannot be, or another process is writing the same result; nothing is written then but frames
            that are finished.
        KeyboardInterrupt: passed on; finished frames are kept.
    """
    target, place = Path(request.target), Path(os.path.realpath(request.target))
    trust = request.trust and Path(request.trust)
    for path in (target, _compared(request), _previewed(request), folder_of(target), trust):
        if path is not None:
            check_writable(path)
            _check_apart(path, Path(request.source))
    if trust:
        check_picture(trust, "--trust")
    with held(target, place.parent / f".{place.name}.lock"):
        return _restore(request, say)


def _restore(request: Request, say: Callable[[str], None]) -> bool:
    """Do what a ``Request`` asks for, its place held; return as ``restore``."""
    target, compared = Path(request.target), _compared(request)
    trust = request.trust and Path(request.trust)
    job = _prepared(request, kind_of(target))
    _say_gap(Path(request.source), say)
    count, speed, size = job.restorer.count, job.restorer.speed, (job.restorer.height, job.restorer.width)
    for path in filter(None, (target, compared)):
        check_target(path, count, size, job.video)
        check_encoder(path)
    rate = speed * (job.rate or USUAL_RATE)
    finished = FinishedFrames(target, _record(request, job), request.resume)
    try:
        _check_room(target, job, finished)
        picture = _previewed(request)
        if picture:
            write_preview(picture, job.restorer)
            say(f"Preview: {picture}")
        if finished.count:
            say(f"Going on after {finished.count} of {count} frames.")
        _restore_frames(finished, job)
        notes = write_clip(target, finished.images(), count, rate=rate, names=job.names, video=job.video)
        if compared:
            beside = replace(job.video, deep=False, source=None)
            write_beside(compared, job.restorer.beside(), finished.images(), count, rate=rate, video=beside)
            say(f"Input and output side by side: {compared}")
        if trust:
            say(_write_trust(trust, job.restorer.unexplained(finished.images())))
    except BaseException as error:
        if not finished.count:
            finished.discard()
        elif isinstance(error, (KeyboardInterrupt, UserError)):
            print(f"\nKept {finished.count} of {count} frames in {finished.folder}; the same command with --resume goes on "
                  "from there.", file=sys.stderr)
        raise
    finished.discard()
    say(_account(target, job, rate))
    for note in [*notes, *_unkept(job.clip, target)]:
        say(note)
    if job.clip is None or job.clip.contents is None or job.clip.contents.expected == job.clip.count:
        return True
    say(damage(job.clip.path, job.clip.contents))
    return False


def _check_apart(path: Path, source: Path) -> None:
    if path.exists() and source.exists() and path.samefile(source):
        raise UserError(f"{path}: is the input itself; give another name for the output.")


def _prepared(request: Request, kind: str) -> Job:
    """Look at the source and load what restores it."""
    problem = PROBLEMS[request.task]
    for other, (_, options) in RESTORERS.items():
        for name in options:
            if other != problem and getattr(request, name) is not None:
                raise UserError(f"--{name}: has no meaning for --task {request.task}; leave it away.")
    for name in ("codec", "crf"):
        if kind != "video" and getattr(request, name) is not None:
            raise UserError(f"--{name}: has no meaning for {request.target}, which is no video; leave it away.")
    make, _ = RESTORERS[problem]
    return make(request, Path(request.source), kind)


def _check_room(target: Path, job: Job, finished: FinishedFrames) -> None:
    """Raise ``UserError`` if the disk has no room for the frames to come, and for the result if that holds pictures too."""
    restorer = job.restorer
    frames = restorer.count - finished.count + (0 if kind_of(target) == "video" else restorer.count)
    check_writable(target, room_for(frames, restorer.height, restorer.width, bits=job.bits, grey=job.grey))


def _say_gap(source: Path, say: Callable[[str], None]) -> None:
    gap = gap_sentence(source, [file.stem for file in frame_files(source)]) if source.is_dir() else None
    if gap:
        say(f"{gap}; they are restored as if they followed one another.")


def _of_measurements(request: Request, source: Path, kind: str) -> Job:
    measurements = load_measurements(source, request.mask)
    networks = choose(request.task, request.checkpoints, request.models)
    restorer = SnapshotRestorer(measurements, networks, request.ensemble)
    return Job(restorer, networks, rate=request.rate or measurements.rate, bits=8, grey=False,
               names=None, video=VideoSettings(request.codec or USUAL_CODEC, request.crf), clip=None)


def _of_a_clip(request: Request, source: Path, kind: str) -> Job:
    clip = open_clip(source)
    networks = choose(request.task, request.checkpoints, request.models, tile=request.tile, overlap=request.overlap,
                      size=(clip.height, clip.width))
    restorer = VideoRestorer(clip, networks, request.sigma, request.ensemble)
    names = clip.names if restorer.count == clip.count else None
    video = _video_settings(request, clip, restorer.speed)
    bits = clip.bits if kind != "video" or video.deep else 8
    return Job(restorer, networks, rate=request.rate or clip.rate, bits=bits, grey=clip.grey, names=names, video=video,
               clip=clip)


RESTORERS = {"video": (_of_a_clip, ("sigma", "tile", "overlap")), "snapshot": (_of_measurements, ("mask", "trust"))}
"""By problem: what makes the ``Job`` of a request, and the options that only such requests have."""


def _video_settings(request: Request, clip: Clip, speed: int) -> VideoSettings:
    """How a restored video is written: as the source is, but for the codec. Pictures become 8 bits in codecs of 8 or 10, so
    that every player takes them.
    """
    codec = request.codec or USUAL_CODEC
    settings = VideoSettings(codec, request.crf, deep=clip.bits > 8 and (clip.is_video or not CODECS[codec].lossy))
    if clip.video is None:
        return settings
    times = None if request.rate else clip.contents.times
    return replace(settings, colour=clip.video.colour, pixel_aspect=clip.video.pixel_aspect, source=clip.path,
                   times=times.doubled() if times and speed == 2 else times)


def _write_trust(path: Path, maps: Iterator[np.ndarray]) -> str:
    """Write the trust maps of all measurements; return a sentence about them."""
    named = {f"measurement {number + 1}": image for number, image in enumerate(maps)}
    write_trust(path, named)
    mean = mean_residual(np.stack(list(named.values())))
    return f"Trust map: {path}; |y - sum M x| is {mean:.2f} a pixel on average, white being 255."


def _unkept(clip: Clip | None, target: Path) -> list[str]:
    """Sentences about what a result differs in from a video, or could not keep."""
    if clip is None or clip.video is None:
        return []
    said = []
    if clip.video.turned:
        said.append("Frames were turned upright, as the input asks of players; the result asks for no turn.")
    if kind_of(target) != "video" and any(kind == "audio" for kind, _ in clip.contents.streams):
        said.append("Audio is not carried over into pictures.")
    return said


def _restore_frames(finished: FinishedFrames, job: Job) -> None:
    count = job.restorer.count
    if finished.count == count:
        return
    with FrameBar(job.networks[-1].origin.stem, count, finished.count) as bar:
        for frame in job.restorer.restored(finished.count, bar.tell):
            finished.add(to_image(frame, job.bits, job.grey))


def _record(request: Request, job: Job) -> dict[str, Any]:
    """What decides the frames: going on with others would make a clip of two halves."""
    return {"mindrestore": __version__, "input": _identity(request.source), "task": request.task, "sigma": request.sigma,
            "mask": request.mask and _identity(request.mask), "networks": [_identity(each.origin) for each in job.networks],
            "tiles": [[list(each.tile), list(each.overlap)] for each in job.networks], "precision": precision.chosen(),
            "bits": job.bits, "grey": job.grey, "ensemble": request.ensemble}


def _identity(path: str | Path) -> list:
    return [str(Path(path).resolve()), *identity(path)]


def _compared(request: Request) -> Path | None:
    """Return the path of the clip of input and output side by side, None where none is asked for."""
    target = Path(request.target)
    return target.parent / f"{target.stem}_compare{target.suffix}" if request.compare else None


def _previewed(request: Request) -> Path | None:
    """Return the path of the picture of a few frames, None where none is asked for."""
    target = Path(request.target)
    return target.parent / f"{target.stem}_preview.png" if request.preview else None


def _account(target: Path, job: Job, rate: float) -> str:
    restorer, is_video = job.restorer, kind_of(target) == "video"
    height, width = stored_size(target, restorer.height, restorer.width, job.video)
    odd = "" if (height, width) == (restorer.height, restorer.width) else (
        f" (this video's sizes are even: {restorer.width} x {restorer.height} and a repeated edge)")
    assumed = "" if job.rate else " (assumed; --rate says another)"
    varying = "" if job.video.times is None or job.video.times.is_steady else " on average, each at the input's own time"
    at = f", {rate:g} frames a second{varying}{assumed}" if is_video else ""
    bits = job.video.bits if is_video else job.bits
    return f"Wrote {target}: {restorer.count} frames of {width} x {height}{odd}, {bits} bits{at}."
