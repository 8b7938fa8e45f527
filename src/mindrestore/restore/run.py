"""Restore a clip on disk into another: look, choose, restore frame by frame, write, and say what was done."""
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Tuple

from mindrestore.data.measurements import load_measurements
from mindrestore.errors import UserError
from mindrestore.files import check_writable
from mindrestore.locks import held
from mindrestore.media.clips import open_clip
from mindrestore.media.pixels import to_image
from mindrestore.media.room import room_for
from mindrestore.media.writing import carry_over, check_encoder, check_target, kind_of, stored_size, write_clip
from mindrestore.restore.finished import FinishedFrames, folder_of
from mindrestore.restore.networks import TaskNetwork, choose
from mindrestore.restore.progress import FrameBar
from mindrestore.restore.restorers import SnapshotRestorer, VideoRestorer
from mindrestore.restore.side_by_side import write_beside, write_preview
from mindrestore.restore.tasks import PROBLEMS
from mindrestore.runtime import precision
from mindrestore.version import __version__

USUAL_RATE = 25.0


@dataclass(frozen=True)
class Request:
    """What is to be done.

    Attributes:
        source, target: paths of the clip, or for ``sci`` of the measurements, and of the result.
        task: one of ``mindrestore.restore.tasks.TASKS``.
        checkpoints, models: as for ``choose``; without any what ships.
        sigma: noise level of 0–255, for denoising.
        mask: file of the mask that measurements were made through, where their own file does not hold it.
        tile, overlap: (frames, height, width), None for the task's.
        rate: frames a second of the source, where it does not say or says wrong.
        preview: write a picture of a few frames first.
        compare: write a clip of input and output side by side too.
        resume: go on with a run that was stopped.
    """

    source: Path
    target: Path
    task: str
    checkpoints: Tuple[str, ...] = ()
    models: Tuple[str, ...] = ()
    sigma: Optional[float] = None
    mask: Optional[str] = None
    tile: Optional[Tuple[int, int, int]] = None
    overlap: Optional[Tuple[int, int, int]] = None
    rate: Optional[float] = None
    preview: bool = False
    compare: bool = False
    resume: bool = False


class Job(NamedTuple):
    """A request that can be done: what restores, by what, and what the result keeps of the source."""

    restorer: object
    networks: List[TaskNetwork]
    rate: Optional[float]  # of the source, None where nobody says it
    bits: int
    grey: bool
    names: Optional[Tuple[str, ...]]  # of the frames
    audible: bool  # whether the source can have sound


def restore(request: Request, say: Callable[[str], None] = print) -> None:
    """Do what a ``Request`` asks for; ``say`` is given each line of the account.

    Raises:
        UserError: something of it cannot be, or another process is writing the same result; nothing is written then but frames
            that are finished.
        KeyboardInterrupt: passed on; finished frames are kept.
    """
    target, place = Path(request.target), Path(os.path.realpath(request.target))
    for path in (target, _compared(request), _previewed(request), folder_of(target)):
        if path is not None:
            check_writable(path)
    with held(target, place.parent / f".{place.name}.lock"):
        _restore(request, say)


def _restore(request: Request, say: Callable[[str], None]) -> None:
    """Do what a ``Request`` asks for, its place held."""
    target, compared = Path(request.target), _compared(request)
    job = _prepared(request, kind_of(target))
    count, speed = job.restorer.count, job.restorer.speed
    for path in filter(None, (target, compared)):
        check_target(path, count)
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
        write_clip(target, finished.images(), count, rate, job.names)
        if compared:
            write_beside(compared, job.restorer.beside(), finished.images(), count, rate)
            say(f"Input and output side by side: {compared}")
    except BaseException as error:
        if not finished.count:
            finished.discard()
        elif isinstance(error, KeyboardInterrupt):
            print(f"\nKept {finished.count} of {count} frames in {finished.folder}; the same command with --resume goes on "
                  "from there.", file=sys.stderr)
        raise
    finished.discard()
    say(_account(target, job, rate))
    if job.audible:
        say(carry_over(request.source, target) if kind_of(target) == "video" else "Audio is not carried over into pictures.")


def _prepared(request, kind):
    """Look at the source and load what restores it."""
    source, target = Path(request.source), Path(request.target)
    if target.exists() and source.exists() and target.samefile(source):
        raise UserError(f"{target}: is the input itself; give another name for the output.")
    problem = PROBLEMS[request.task]
    for other, (_, options) in RESTORERS.items():
        for name in options:
            if other != problem and getattr(request, name) is not None:
                raise UserError(f"--{name}: has no meaning for --task {request.task}; leave it away.")
    make, _ = RESTORERS[problem]
    return make(request, source, kind)


def _check_room(target: Path, job: Job, finished: FinishedFrames) -> None:
    """Raise ``UserError`` if the disk has no room for the frames to come, and for the result if that holds pictures too."""
    restorer = job.restorer
    frames = restorer.count - finished.count + (0 if kind_of(target) == "video" else restorer.count)
    check_writable(target, room_for(frames, restorer.height, restorer.width, bits=job.bits, grey=job.grey))


def _of_measurements(request, source, kind):
    measurements = load_measurements(source, request.mask)
    networks = choose(request.task, request.checkpoints, request.models)
    return Job(SnapshotRestorer(measurements, networks), networks, rate=request.rate or measurements.rate, bits=8, grey=False,
               names=None, audible=False)


def _of_a_clip(request, source, kind):
    clip = open_clip(source)
    networks = choose(request.task, request.checkpoints, request.models, tile=request.tile, overlap=request.overlap,
                      size=(clip.height, clip.width))
    restorer = VideoRestorer(clip, networks, request.sigma)
    names = clip.names if restorer.count == clip.count else None
    return Job(restorer, networks, rate=request.rate or clip.rate, bits=8 if kind == "video" else clip.bits, grey=clip.grey,
               names=names, audible=clip.is_video)


RESTORERS = {"video": (_of_a_clip, ("sigma", "tile", "overlap")), "snapshot": (_of_measurements, ("mask",))}
"""By problem: what makes the ``Job`` of a request, and the options that only such requests have."""


def _restore_frames(finished, job):
    count = job.restorer.count
    if finished.count == count:
        return
    with FrameBar(job.networks[-1].origin.stem, count, finished.count) as bar:
        for frame in job.restorer.restored(finished.count, bar.tell):
            finished.add(to_image(frame, job.bits, job.grey))


def _record(request, job):
    """What decides the frames: going on with others would make a clip of two halves."""
    return {"mindrestore": __version__, "input": _identity(request.source), "task": request.task, "sigma": request.sigma,
            "mask": request.mask and _identity(request.mask), "networks": [_identity(each.origin) for each in job.networks],
            "tiles": [[list(each.tile), list(each.overlap)] for each in job.networks], "precision": precision.chosen(),
            "bits": job.bits, "grey": job.grey}


def _identity(path):
    status = Path(path).stat()
    return [str(Path(path).resolve()), status.st_size, status.st_mtime_ns]


def _compared(request: Request) -> Path | None:
    """Return the path of the clip of input and output side by side, None where none is asked for."""
    target = Path(request.target)
    return target.parent / f"{target.stem}_compare{target.suffix}" if request.compare else None


def _previewed(request: Request) -> Path | None:
    """Return the path of the picture of a few frames, None where none is asked for."""
    target = Path(request.target)
    return target.parent / f"{target.stem}_preview.png" if request.preview else None


def _account(target, job, rate):
    restorer = job.restorer
    height, width = stored_size(target, restorer.height, restorer.width)
    odd = "" if (height, width) == (restorer.height, restorer.width) else (
        f" (video sizes are even: {restorer.width} x {restorer.height} and a repeated edge)")
    assumed = "" if job.rate else " (assumed; --rate says another)"
    at = f", {rate:g} frames a second{assumed}" if kind_of(target) == "video" else ""
    return f"Wrote {target}: {restorer.count} frames of {width} x {height}{odd}, {job.bits} bits{at}."
