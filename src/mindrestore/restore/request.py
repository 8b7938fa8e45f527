"""What ``restore`` is asked to do, the files it writes for that, and the refusals that need no look at the clip."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mindrestore.errors import UserError
from mindrestore.files import check_writable
from mindrestore.media.writing import check_picture
from mindrestore.restore.finished import check_unfinished, part_folder


@dataclass(frozen=True)
class Request:
    """What is to be done.

    Attributes:
        source, target: paths of the clip, or for ``sci`` of the measurements, and of the result.
        task: one of ``mindrestore.restore.tasks.TASKS``.
        checkpoints, models: as for ``choose``; without any what ships.
        sigma: noise level of 0–255, for denoising, or ``"auto"``: estimated.
        mask: file of the mask that measurements were made through, where their own file does not hold it.
        trust: file of the trust maps of reconstructed measurements, to be written too.
        tile, overlap: (frames, height, width), None for the task's.
        ensemble: average over mirror images and the reversal in time, in eight times the time.
        rate: frames a second of the source, where it does not say or says wrong.
        codec, crf: of a video that is written, as in ``mindrestore.media.video_writer.VideoSettings``; None for H.264 and 18.
        start, end: seconds of the clip between which frames begin that are wanted, None for its own.
        frames: so many frames of the clip at most.
        cuts: find cuts, and restore scenes apart.
        preview: write a picture of a few frames, and no more unless ``go_on``.
        compare: write a clip of input and output side by side too.
        report: write a page on which input and output play under a divider too.
        dry_run: write nothing, say what it would take.
        resume: go on with a run that was stopped.
        overwrite: replace results that are there.
    """

    source: Path
    target: Path
    task: str
    checkpoints: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    sigma: float | str | None = None
    mask: str | None = None
    trust: str | None = None
    tile: tuple[int, int, int] | None = None
    overlap: tuple[int, int, int] | None = None
    ensemble: bool = False
    rate: float | None = None
    codec: str | None = None
    crf: int | None = None
    start: Fraction | None = None
    end: Fraction | None = None
    frames: int | None = None
    cuts: bool = True
    preview: bool = False
    go_on: bool = False
    compare: bool = False
    report: bool = False
    dry_run: bool = False
    resume: bool = False
    overwrite: bool = False

    @property
    def only_looks(self) -> bool:
        """Whether no result is wanted."""
        return self.dry_run or self.preview and not self.go_on

    @property
    def compared(self) -> Path | None:
        """The path of the clip of input and output side by side, None where none is asked for."""
        return self._beside(f"_compare{Path(self.target).suffix}") if self.compare else None

    @property
    def reported(self) -> Path | None:
        """The path of the page on which input and output play, None where none is asked for."""
        return self._beside("_report.html") if self.report else None

    @property
    def previewed(self) -> Path | None:
        """The path of the picture of a few frames, None where none is asked for."""
        return self._beside("_preview.png") if self.preview else None

    @property
    def results(self) -> list[Path]:
        """The paths of all that is written for good, the preview left aside."""
        return [Path(path) for path in (self.target, self.compared, self.reported, self.trust) if path]

    def _beside(self, ending: str) -> Path:
        target = Path(self.target)
        return target.parent / f"{target.stem}{ending}"


def check_places(request: Request) -> None:
    """Raise ``UserError`` where a result cannot be written, would lie where something is read, or where another does."""
    target, *others, trust = request.target, request.compared, request.reported, request.previewed, request.trust
    written = [Path(path) for path in (target, *others, part_folder(target), trust) if path]
    for path in written:
        check_writable(path)
        _check_apart(path, request)
    _check_distinct(written)
    if request.trust:
        check_picture(request.trust, "--trust")


def check_free(request: Request) -> None:
    """Refuse to replace files unasked, and to mix with another run; one that goes on was asked when it began."""
    check_unfinished(request.target, request.resume)
    for path in request.results:
        if path.is_file() and not request.overwrite and not (request.resume and part_folder(request.target).exists()):
            raise UserError(f"{path}: is there already; add --overwrite to replace it, or give another name.")


def _check_apart(path: Path, request: Request) -> None:
    """Refuse to write to what is read."""
    read = [(request.source, "input"), (request.mask, "mask")]
    read += [(file, "network") for file in (*request.checkpoints, *request.models)]
    for source, what in read:
        if source is not None and path.exists() and os.path.exists(source) and path.samefile(source):
            raise UserError(f"{path}: is the {what} itself; give another name for the output.")


def _check_distinct(paths: list[Path]) -> None:
    """Refuse to write two results to one place."""
    places = [os.path.realpath(path) for path in paths]
    for path, place in zip(paths, places):
        if places.count(place) > 1:
            raise UserError(f"{path}: two results would be written there; give another name for one of them.")
