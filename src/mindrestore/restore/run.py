"""Restore a clip on disk into another: look, choose, restore frame by frame, write, and say what was done."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
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
from mindrestore.media.segments import SegmentedVideo
from mindrestore.media.trust import mean_residual, write_trust
from mindrestore.media.video_writer import CODECS, VideoSettings
from mindrestore.media.writing import check_encoder, check_target, kind_of, stored_size, write_clip
from mindrestore.restore.estimate import estimate
from mindrestore.restore.finished import MOST_PICTURES, FinishedFrames, part_folder
from mindrestore.restore.networks import TaskNetwork, choose
from mindrestore.restore.progress import FrameBar
from mindrestore.restore.request import Request, check_free, check_places
from mindrestore.restore.restorers import SnapshotRestorer, VideoRestorer
from mindrestore.restore.side_by_side import beside, previewed, write_preview, write_report
from mindrestore.restore.spans import USUAL_RATE, part_of, span_of
from mindrestore.restore.tasks import PROBLEMS
from mindrestore.runtime import precision
from mindrestore.version import __version__

USUAL_CODEC = "h264"


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
    check_places(request)
    if request.dry_run:
        return _restore(request, say)
    target, place = Path(request.target), Path(os.path.realpath(request.target))
    with held(target, place.parent / f".{place.name}.lock"):
        return _restore(request, say)


def _restore(request: Request, say: Callable[[str], None]) -> bool:
    """Do what a ``Request`` asks for, its place held; return as ``restore``."""
    target, compared, picture = Path(request.target), request.compared, request.previewed
    if request.resume and not request.only_looks and not part_folder(target).exists() and _is_there(target):
        say(f"{target}: is there, and no run that was stopped; nothing is left to do.")
        return True
    if not request.only_looks:
        check_free(request)
    job = _prepared(request, kind_of(target))
    _say_gap(Path(request.source), say)
    size = (job.restorer.height, job.restorer.width)
    for path in filter(None, (target, compared)):
        check_target(path, job.restorer.count, size, job.video)
        check_encoder(path)
    for line in job.restorer.look(request.cuts):
        say(line)
    if request.dry_run:
        for line in estimate(job.restorer, target):
            say(line)
        return True
    if picture:
        _preview(picture, job, request.go_on, say)
    if request.only_looks:
        return True
    notes = _restore_into(target, compared, job, request, say=say)
    for line in [_account(target, job), *notes, *_unkept(job.clip, target)]:
        say(line)
    if request.report:
        say(_write_report(request.reported, job, request))
    if job.clip is None or job.clip.contents is None or job.clip.contents.expected == job.clip.contents.count:
        return True
    say(damage(job.clip.path, job.clip.contents))
    return False


def _restore_into(target: Path, compared: Path | None, job: Job, request: Request, say: Callable[[str], None]) -> list[str]:
    """Restore all frames that are not finished and write the results; return sentences about what a video keeps."""
    count, is_video = job.restorer.count, kind_of(target) == "video"
    finished = FinishedFrames(target, _record(request, job), request.resume)
    finished.keeps_pictures = bool(request.trust)  # which are looked at once more
    try:
        _check_room(target, job, finished)
        if is_video:
            finished.put_into([*_videos(target, compared, job, finished)])
        if finished.count:
            say(f"Going on after {finished.count} of {count} frames.")
        _restore_frames(finished, job)
        if is_video:
            notes = finished.write_videos()[0]
        else:
            notes = []
            if kind_of(target) == "folder":
                finished.link_into(target, job.names)
            else:
                write_clip(target, finished.images(), count)
            if compared:
                write_clip(compared, beside(finished.images(), job.restorer.beside()), count)
        if compared:
            say(f"Input and output side by side: {compared}")
        if request.trust:
            say(_write_trust(Path(request.trust), job.restorer.unexplained(finished.images())))
    except BaseException as error:
        if not finished.count:
            finished.discard()
        elif isinstance(error, (KeyboardInterrupt, UserError)):
            print(
                f"\nKept {finished.count} of {count} frames in {finished.folder}; the same command with --resume goes on "
                "from there.",
                file=sys.stderr,
            )
        raise
    finished.discard()
    return notes


def _videos(target: Path, compared: Path | None, job: Job, finished: FinishedFrames) -> Iterator[SegmentedVideo]:
    """The videos that frames become as they are finished."""
    yield SegmentedVideo(target, finished.folder, _rate(job), job.video)
    if compared:
        frames: list[Iterator[np.ndarray]] = []

        def shown(images: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
            if not frames:  # opened once, at the frame that is written first
                frames.append(job.restorer.beside(finished.first))
            return beside(images, frames[0])

        yield SegmentedVideo(compared, finished.folder, _rate(job), replace(job.video, deep=False, source=None), shown=shown)


def _preview(picture: Path, job: Job, goes_on: bool, say: Callable[[str], None]) -> None:
    with FrameBar("preview", len(previewed(job.restorer.count)), state="shown") as bar:
        write_preview(picture, job.restorer, bar)
    say(
        f"Preview: {picture}"
        if goes_on
        else f"Preview: {picture}; without --preview, or with --go-on beside it, the whole clip is restored."
    )


def _is_there(path: Path) -> bool:
    return path.is_file() or path.is_dir() and any(path.iterdir())


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
    restorer, kind = job.restorer, kind_of(target)
    frames = restorer.count - finished.count
    if kind == "video" and not finished.keeps_pictures:
        frames = min(frames, MOST_PICTURES)
    elif kind != "folder":
        frames += restorer.count
    check_writable(target, room_for(frames, restorer.height, restorer.width, bits=job.bits, grey=job.grey))


def _say_gap(source: Path, say: Callable[[str], None]) -> None:
    gap = gap_sentence(source, [file.stem for file in frame_files(source)]) if source.is_dir() else None
    if gap:
        say(f"{gap}; they are restored as if they followed one another.")


def _of_measurements(request: Request, source: Path, kind: str) -> Job:
    measurements = load_measurements(source, request.mask)
    networks = choose(request.task, request.checkpoints, request.models)
    restorer = SnapshotRestorer(measurements, networks, request.ensemble)
    return Job(
        restorer,
        networks,
        rate=request.rate or measurements.rate,
        bits=8,
        grey=False,
        names=None,
        video=VideoSettings(request.codec or USUAL_CODEC, request.crf),
        clip=None,
    )


def _of_a_clip(request: Request, source: Path, kind: str) -> Job:
    clip = part_of(open_clip(source), request.start, request.end, frames=request.frames, rate=request.rate)
    networks = choose(
        request.task,
        request.checkpoints,
        request.models,
        tile=request.tile,
        overlap=request.overlap,
        size=(clip.height, clip.width),
    )
    restorer = VideoRestorer(clip, networks, request.sigma, request.ensemble)
    names = clip.names if restorer.count == clip.count else None
    video = _video_settings(request, clip, restorer.speed)
    bits = clip.bits if kind != "video" or video.deep else 8
    return Job(
        restorer, networks, rate=request.rate or clip.rate, bits=bits, grey=clip.grey, names=names, video=video, clip=clip
    )


RESTORERS = {
    "video": (_of_a_clip, ("sigma", "tile", "overlap", "start", "end", "frames")),
    "snapshot": (_of_measurements, ("mask", "trust")),
}
"""By problem: what makes the ``Job`` of a request, and the options that only such requests have."""


def _video_settings(request: Request, clip: Clip, speed: int) -> VideoSettings:
    """How a restored video is written: as the source is, but for the codec. Pictures become 8 bits in codecs of 8 or 10, so
    that every player takes them.
    """
    codec = request.codec or USUAL_CODEC
    settings = VideoSettings(codec, request.crf, deep=clip.bits > 8 and (clip.is_video or not CODECS[codec].lossy))
    if clip.video is None:
        return settings
    times, span = clip.contents.times, span_of(clip)
    if span:
        times = times.part(clip.begin, clip.count)
    times = None if request.rate else times
    return replace(
        settings,
        colour=clip.video.colour,
        pixel_aspect=clip.video.pixel_aspect,
        source=clip.path,
        span=span,
        times=times.doubled() if times and speed == 2 else times,
    )


def _write_report(path: Path, job: Job, request: Request) -> str:
    """Write the page of a clip and what became of it, as it was written; return a sentence about it."""
    lines = [f"{request.task}, by {' and '.join(network.origin.name for network in job.networks)}"]
    lines += [] if job.restorer.sigma is None else [f"sigma {job.restorer.sigma:g}"]
    restored = open_clip(request.target).frames()
    title = f"{Path(request.source).name}: {', '.join(lines)}"
    write_report(path, title, job.restorer, restored=restored, rate=_rate(job))
    return f"Report: {path}"


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
            bar.safe()


def _record(request: Request, job: Job) -> dict[str, Any]:
    """What decides the frames: going on with others would make a clip of two halves."""
    video = None
    if kind_of(request.target) == "video":
        video = [job.video.codec, job.video.crf, request.rate, request.compare, bool(request.trust)]
    return {
        "mindrestore": __version__,
        "input": _identity(request.source),
        "task": request.task,
        "sigma": job.restorer.sigma,
        "part": job.clip and [job.clip.begin, job.clip.count],
        "cuts": list(job.restorer.cuts),
        "video": video,
        "mask": request.mask and _identity(request.mask),
        "networks": [_identity(each.origin) for each in job.networks],
        "tiles": [[list(each.tile), list(each.overlap)] for each in job.networks],
        "precision": precision.chosen(),
        "bits": job.bits,
        "grey": job.grey,
        "ensemble": request.ensemble,
    }


def _identity(path: str | Path) -> list:
    return [str(Path(path).resolve()), *identity(path)]


def _rate(job: Job) -> float:
    """Frames a second of the result."""
    return job.restorer.speed * (job.rate or USUAL_RATE)


def _account(target: Path, job: Job) -> str:
    restorer, is_video = job.restorer, kind_of(target) == "video"
    height, width = stored_size(target, restorer.height, restorer.width, job.video)
    odd = (
        ""
        if (height, width) == (restorer.height, restorer.width)
        else (f" (this video's sizes are even: {restorer.width} x {restorer.height} and a repeated edge)")
    )
    assumed = "" if job.rate else " (assumed; --rate says another)"
    varying = "" if job.video.times is None or job.video.times.is_steady else " on average, each at the input's own time"
    at = f", {_rate(job):g} frames a second{varying}{assumed}" if is_video else ""
    bits = job.video.bits if is_video else job.bits
    return f"Wrote {target}: {restorer.count} frames of {width} x {height}{odd}, {bits} bits{at}."
