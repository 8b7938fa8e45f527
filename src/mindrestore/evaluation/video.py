"""Evaluate networks that restore videos: score clips beside a trivial method, or restore clips without ground truth."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from mindspore import nn

from mindrestore.checkpoints.loading import Loaded
from mindrestore.config.video import VideoConfig
from mindrestore.data.named_sets import DEMO
from mindrestore.data.video_sets import evaluation_clips
from mindrestore.errors import UserError
from mindrestore.evaluation.report import MOST_PLAYERS, FrameRecord, write_report
from mindrestore.evaluation.results import ENSEMBLE, Row, environment, network_line, operations_line
from mindrestore.evaluation.video_results import ClipResults, ClipScore, ClipScorer
from mindrestore.evaluation.video_tasks import PLAIN, Case, case_of
from mindrestore.files import PathLike, check_writable
from mindrestore.media import pictures
from mindrestore.media.player import Player
from mindrestore.media.room import room_for

TITLES = {
    "sr": "Super-resolution x{scale}",
    "deblur": "Deblurring",
    "denoise": "Denoising",
    "interpolate": "Frame interpolation",
    "space-time-sr": "Space-time super-resolution x2, x{scale}",
}
UNTRAINED = "UNTRAINED: random numbers, not a result; train, or give --checkpoint"


def video_cases(config: VideoConfig) -> list[Case]:
    """Return what the configuration evaluates; nothing is computed yet.

    Raises ``UserError`` as ``evaluation_clips`` and ``case_of`` do.
    """
    clips = evaluation_clips(config.evaluation, config.degradation)
    for gap in filter(None, (clip.gap() for clip in clips)):
        print(f"{gap}; they are taken as if they followed one another.")
    return [case_of(clip, config) for clip in clips]


def evaluate_videos(
    config: VideoConfig, loaded: Sequence[Loaded], folder: PathLike, cases: Sequence[Case] | None = None, report: bool = False
) -> ClipResults:
    """Restore the configuration's clips and score them; write tables, a picture a clip and, if asked, all frames.

    Args:
        config: what to evaluate, and how.
        loaded: the network; for space-time super-resolution two, the interpolating one first.
        folder: of the results; frames go to ``folder/frames/<clip>/00000000.png``.
        cases: those of ``video_cases``, where they are at hand.
        report: write ``folder/report.html`` too.

    Raises:
        UserError: see ``video_cases`` and ``restore_video``; or frames that do not fit each other.
    """
    folder = Path(folder)
    cases = video_cases(config) if cases is None else cases
    networks = [network for network, *_ in loaded]
    title = config.model.title + ("+" if config.evaluation.ensemble else "")
    heading = title if all(part.trained for part in loaded) else f"{title} (untrained)"
    methods = {"network": heading, "plain": PLAIN[config.task]}
    rows, records = [], []
    _check_room(cases, config, folder)
    for evaluated in cases:
        name, count = evaluated.name, evaluated.count
        frames = folder / "frames" / name if config.evaluation.save_frames else None
        picture = _picture(folder, name)
        record = FrameRecord(name, heading, middle=count and count // 2) if report else None
        if record and len(records) < MOST_PLAYERS:
            record.player = Player()
        scores = _scored(evaluated, networks, config, picture=picture, frames=frames, methods=methods, record=record)
        rows.append(Row(name, scores))
        if record:
            records.append(record)
    results = ClipResults(_title(config), methods, rows, _circumstances(config, loaded))
    results.write(folder)
    if report:
        write_report(folder / "report.html", results, records, config.model_dump(mode="json"))
    return results


def _picture(folder: Path, name: str) -> Path:
    """Return the path of the picture of the clip called ``name``."""
    return folder / f"{name.replace('/', '_')}.png"


def _check_room(cases: Sequence[Case], config: VideoConfig, folder: Path) -> None:
    """Raise ``UserError`` if results cannot be written to ``folder``, or the disk has no room for frames that are saved."""
    check_writable(folder / "results.json")
    size = 0
    for case in cases:
        check_writable(_picture(folder, case.name))
        if config.evaluation.save_frames:
            first = next(case.plain(), None)
            size += 0 if first is None else room_for(case.count or 0, *first.shape[1:])
    check_writable(folder / "frames", size)


def _scored(
    case: Case,
    networks: Sequence[nn.Cell],
    config: VideoConfig,
    *,
    picture: Path,
    frames: Path | None,
    methods: Mapping[str, str],
    record: FrameRecord | None,
) -> dict[str, ClipScore]:
    """Restore one clip and return its scores by method.

    Args:
        case: the clip.
        networks: of the configuration.
        config: what to evaluate, and how.
        picture: path of the picture of some of its frames.
        frames: folder to write all restored frames to, or None.
        methods: headings of ``"network"`` and ``"plain"``.
        record: receives all frames, or None.
    """
    scorers = {"network": ClipScorer(), "plain": ClipScorer()}
    restored, plain = _Timed(case.restored(networks, config)), _Timed(case.plain())
    truths = iter(case.truth()) if case.truth else None
    shown = _Shown(case.count)
    number = -1
    for number, frame in enumerate(restored):
        images = {"network": frame, "plain": next(plain)}
        truth = _truth_of(frame, truths, number, case.name) if truths else None
        if truths:
            for method, scorer in scorers.items():
                scorer.add(images[method], truth)
        if record:
            scores = {methods[method]: scorer.scores[-1][0] for method, scorer in scorers.items()} if truths else None
            record.add({methods[method]: image for method, image in images.items()}, truth, scores)
        if frames:
            pictures.write_frame(frames / f"{number:08d}.png", frame)
        shown.consider(number, images["plain"], frame, truth)
    if truths and case.equally_long and next(truths, None) is not None:
        raise UserError(f"clip {case.name}: has more frames of ground truth than the {number + 1} of low quality.")
    scores = {
        method: scorer.result(case.name, number + 1, timed.seconds)
        for (method, scorer), timed in zip(scorers.items(), (restored, plain))
    }
    shown.write(picture, [PLAIN[config.task], config.model.title, "ground truth"], [scores["plain"], scores["network"], None])
    return scores


def _truth_of(frame: np.ndarray, truths: Iterator[np.ndarray], number: int, name: str) -> np.ndarray:
    """Return the next frame of ``truths``; ``UserError`` where there is none or it has another size than ``frame``."""
    truth = next(truths, None)
    if truth is None:
        raise UserError(f"clip {name}: has only {number} frames of ground truth, fewer than of low quality.")
    if truth.shape != frame.shape:
        raise UserError(
            f"clip {name}: ground truth has {truth.shape[2]} x {truth.shape[1]} pixels, where low quality "
            f"restores to {frame.shape[2]} x {frame.shape[1]}; both must be of one clip, and not cropped."
        )
    return truth


class _Timed:
    """An iterator that measures how long its items take to come: ``seconds``, of all so far."""

    def __init__(self, items: Iterable[np.ndarray]) -> None:
        self._items, self.seconds = iter(items), 0.0

    def __iter__(self) -> _Timed:
        return self

    def __next__(self) -> np.ndarray:
        start = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - start


class _Shown:
    """The frames of a clip that a picture shows: the first, the last, and the middle one where the count is known."""

    def __init__(self, count: int | None) -> None:
        self._numbers = {0, count and count // 2}
        self._rows = []

    def consider(self, number: int, *frames: np.ndarray | None) -> None:
        """Take frame ``number``, by every method and of ground truth; the last one so far makes room, unless it is shown."""
        if self._rows and self._rows[-1][0] not in self._numbers:
            del self._rows[-1]
        self._rows.append((number, frames))

    def write(self, path: Path, names: Sequence[str], scores: Sequence[ClipScore | None]) -> None:
        """Write the picture: a column for each of ``names``, its heading with the mean PSNR where there is one."""
        columns = {}
        for column, (name, score) in enumerate(zip(names, scores)):
            cells = [frames[column] for _, frames in self._rows]
            if not cells or cells[0] is None:
                continue
            heading = name if score is None or score.psnr is None else f"{name} {score.psnr:.2f} dB"
            columns[heading] = np.stack(cells, 1)  # (3, shown, H, W)
        if columns:
            pictures.write_comparison(path, columns, range(len(self._rows)))


def _title(config: VideoConfig) -> str:
    settings = config.evaluation
    where = settings.gt or settings.lq or settings.path
    title = TITLES[config.task].format(scale=config.scale)
    if settings.set in ("folder", DEMO):
        title += f": {where or 'demonstration scenes'}"
    else:
        title += f": {settings.set}, {where}"
    return title + (f", sigma {settings.sigma:g}" if settings.sigma is not None else "")


def _circumstances(config: VideoConfig, loaded: Sequence[Loaded]) -> dict[str, str]:
    settings, tiling = config.evaluation, config.tiling
    models = [config.interpolation.model, config.model] if config.interpolation else [config.model]
    circumstances = {
        "weights": "; ".join(part.origin if part.trained else UNTRAINED for part in loaded),
        "network": "; ".join(network_line(part.network, model.name) for part, model in zip(loaded, models)),
        "multiply-adds": "; ".join(
            operations_line(part.network, model.name, model.abilities.clip[0]) for part, model in zip(loaded, models)
        ),
        "tiles": f"{tiling.tile}, overlap {tiling.overlap}, {tiling.blend} blend (frames, height, width)",
    }
    if not settings.lq and config.degradation:
        noise = f" (sigma {settings.sigma:g}, seed {settings.seed})" if config.degradation == "noise" else ""
        circumstances["low quality"] = f"{config.degradation}{noise}, made here where the data set has none"
    if settings.ensemble:
        circumstances["ensemble"] = ENSEMBLE
    if settings.frames:
        circumstances["frames"] = f"only the first {settings.frames} of each clip"
    if config.published:
        circumstances["published"] = f"{config.published} (published, not measured here)"
    circumstances["scores"] = "frames clamped and rounded to 8 bits, no border; seconds include compiling the network"
    return {**circumstances, **environment()}
