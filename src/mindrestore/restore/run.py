"""Restore a clip on disk into another: look, choose, restore frame by frame, write, and say what was done."""
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from mindrestore.data.measurements import load_measurements
from mindrestore.errors import UserError
from mindrestore.media.audio import carry_over
from mindrestore.media.clips import open_clip
from mindrestore.media.pixels import stored
from mindrestore.media.writing import check_target, kind_of, stored_size, write_clip
from mindrestore.restore.beside import write_beside, write_preview
from mindrestore.restore.networks import choose
from mindrestore.restore.parts import Parts
from mindrestore.restore.progress import FrameBar
from mindrestore.restore.snapshots import SnapshotRestorer
from mindrestore.restore.videos import VideoRestorer
from mindrestore.version import __version__

USUAL_RATE = 25.0


@dataclass(frozen=True)
class Request:
    """What is to be done.

    Attributes:
        source, target: paths of the clip, or for ``sci`` of the measurements, and of the result.
        task: one of ``mindrestore.restore.networks.TASKS``.
        checkpoints, models: as for ``choose``; without any what ships.
        sigma: noise level of 0–255, for denoising.
        mask: file of the mask that measurements were made through, where their own file does not hold it.
        tile, overlap: (frames, height, width), None for the task's.
        rate: frames a second of the source, where it does not say.
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


def restore(request, say=print):
    """Do what a ``Request`` asks for; ``say`` is given each line of the account.

    Raises:
        UserError: something of it cannot be; nothing is written then but frames that are finished.
        KeyboardInterrupt: passed on; finished frames are kept.
    """
    source, target = Path(request.source), Path(request.target)
    kind = kind_of(target)
    if target.exists() and source.exists() and target.samefile(source):
        raise UserError(f"{target}: is the input itself; give another name for the output.")
    if request.task == "sci":
        found = load_measurements(source, request.mask)
        chosen = choose(request.task, request.checkpoints, request.models)
        restorer, rate, bits, grey, names = SnapshotRestorer(found, chosen), found.rate, 8, False, None
        audible = False
    else:
        clip = open_clip(source)
        chosen = choose(request.task, request.checkpoints, request.models, request.tile, request.overlap)
        restorer, rate, grey, names = VideoRestorer(clip, chosen, request.sigma), clip.rate, clip.grey, clip.names
        bits = 8 if kind == "video" else clip.bits
        audible = clip.is_video
    check_target(target, restorer.count)
    names = names if names and len(names) == restorer.count else None
    rate = (rate or request.rate or USUAL_RATE) * restorer.speed
    if request.preview:
        picture = _beside(target, "_preview", ".png")
        write_preview(picture, restorer)
        say(f"Preview: {picture}")
    parts = Parts(target, _record(request, chosen, bits, grey), request.resume)
    try:
        if parts.count:
            say(f"Going on after {parts.count} of {restorer.count} frames.")
        _restore_frames(parts, restorer, bits, grey, chosen[-1].origin.stem)
        write_clip(target, parts.images(), restorer.count, rate, names)
        if request.compare:
            compared = _beside(target, "_compare", target.suffix)
            check_target(compared, restorer.count)
            write_beside(compared, restorer.beside(), parts.images(), restorer.count, rate)
            say(f"Input and output side by side: {compared}")
    except BaseException as error:
        if not parts.count:
            parts.discard()
        elif isinstance(error, KeyboardInterrupt):
            print(f"\nKept {parts.count} of {restorer.count} frames in {parts.folder}; the same command with --resume goes "
                  "on from there.", file=sys.stderr)
        raise
    parts.discard()
    say(_account(target, restorer, rate, bits, kind))
    if audible:
        say(carry_over(source, target) if kind == "video" else "Audio is not carried over into pictures.")


def _restore_frames(parts, restorer, bits, grey, name):
    if parts.count == restorer.count:
        return
    with FrameBar(name, restorer.count, parts.count) as bar:
        for frame in restorer.restored(parts.count, bar.tell):
            parts.add(stored(frame, bits, grey))


def _record(request, chosen, bits, grey):
    """What decides the frames: going on with others would make a clip of two halves."""
    return {"mindrestore": __version__, "input": _identity(request.source), "task": request.task, "sigma": request.sigma,
            "mask": request.mask and _identity(request.mask), "networks": [_identity(one.origin) for one in chosen],
            "tiles": [[list(one.tile), list(one.overlap)] for one in chosen], "bits": bits, "grey": grey}


def _identity(path):
    status = Path(path).stat()
    return [str(Path(path).resolve()), status.st_size, status.st_mtime_ns]


def _beside(target, addition, suffix):
    return target.with_name(target.stem + addition + suffix)


def _account(target, restorer, rate, bits, kind):
    height, width = stored_size(target, restorer.height, restorer.width)
    odd = "" if (height, width) == (restorer.height, restorer.width) else (
        f" (video sizes are even: {restorer.width} x {restorer.height} and a repeated edge)")
    at = f", {rate:g} frames a second" if kind == "video" else ""
    return f"Wrote {target}: {restorer.count} frames of {width} x {height}{odd}, {bits} bits{at}."
