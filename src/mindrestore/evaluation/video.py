"""Evaluate networks that restore videos: score clips beside what costs nothing, or restore what has no ground truth."""
import time
from pathlib import Path
from typing import List, Optional, Sequence

import numpy as np

from mindrestore.checkpoints.loading import Loaded
from mindrestore.config.video import VideoConfig
from mindrestore.data.named_sets import DEMO
from mindrestore.data.video_sets import evaluation_clips
from mindrestore.errors import UserError
from mindrestore.evaluation.report import FrameRecord, write_report
from mindrestore.evaluation.results import Row, environment, network_line
from mindrestore.evaluation.video_results import ClipResults, ClipScorer
from mindrestore.evaluation.video_tasks import PLAIN, Case, case
from mindrestore.files import PathLike
from mindrestore.media import pictures

TITLES = {"sr": "Super-resolution x{scale}", "deblur": "Deblurring", "denoise": "Denoising",
          "interpolate": "Frame interpolation", "space-time-sr": "Space-time super-resolution x2, x{scale}"}
UNTRAINED = "UNTRAINED: random numbers, not a result; train, or give --checkpoint"


def video_cases(config: VideoConfig) -> List[Case]:
    """Find what the configuration evaluates, before anything is computed: a list of ``Case``.

    Raises ``UserError`` as ``evaluation_clips`` and ``case`` do.
    """
    clips = evaluation_clips(config.evaluation, config.degradation)
    for gap in filter(None, (clip.gap() for clip in clips)):
        print(f"{gap}; they are taken as if they followed one another.")
    return [case(clip, config) for clip in clips]


def evaluate_videos(config: VideoConfig, loaded: Sequence[Loaded], folder: PathLike, cases: Optional[Sequence[Case]] = None,
                    report: bool = False) -> ClipResults:
    """Restore the configuration's clips and score them; write tables, a picture a clip and, if asked, all frames.

    Args:
        config: ``mindrestore.config.VideoConfig``.
        loaded: ``mindrestore.checkpoints.loading.Loaded``, for space-time super-resolution two: interpolation first.
        folder: of the results; frames go to ``folder/frames/<clip>/00000000.png``.
        cases: what ``video_cases`` found.
        report: write ``folder/report.html`` too.

    Returns:
        ``ClipResults``.

    Raises:
        UserError: see ``video_cases`` and ``restore_video``; or frames that do not fit each other.
    """
    folder = Path(folder)
    cases = video_cases(config) if cases is None else cases
    networks = [each.network for each in loaded]
    title = config.model.title
    heading = title if all(each.trained for each in loaded) else f"{title} (untrained)"
    methods = {"network": heading, "plain": PLAIN[config.task]}
    rows, records = [], []
    for clip in cases:
        frames = folder / "frames" / clip.name if config.evaluation.save_frames else None
        picture = folder / f"{clip.name.replace('/', '_')}.png"
        record = FrameRecord(clip.name, heading, clip.count and clip.count // 2) if report else None
        rows.append(Row(clip.name, _scored(clip, networks, config, picture, frames, methods, record)))
        records.append(record)
    results = ClipResults(_title(config), methods, rows, _made_with(config, loaded))
    results.write(folder)
    if report:
        write_report(folder / "report.html", results, records, config.model_dump(mode="json"))
    return results


def _scored(clip, networks, config, picture, frames, methods, record):
    """Restore one clip; return its scores by method, write a picture of some of its frames, and ``frames``; add all of them
    to ``record`` if there is one.
    """
    scorers = {"network": ClipScorer(), "plain": ClipScorer()}
    restored, plain = _Timed(clip.restored(networks, config)), _Timed(clip.plain())
    truths = iter(clip.truth()) if clip.truth else None
    shown = _Shown(clip.count)
    number = -1
    for number, frame in enumerate(restored):
        beside = {"network": frame, "plain": next(plain)}
        truth = _truth_of(frame, truths, number, clip.name) if truths else None
        if truths:
            for method, scorer in scorers.items():
                scorer.add(beside[method], truth)
        if record:
            scores = {methods[method]: scorer.scores[-1][0] for method, scorer in scorers.items()} if truths else None
            record.add({methods[method]: image for method, image in beside.items()}, truth, scores)
        if frames:
            pictures.write_frame(frames / f"{number:08d}.png", frame)
        shown.consider(number, beside["plain"], frame, truth)
    if truths and clip.whole and next(truths, None) is not None:
        raise UserError(f"clip {clip.name}: has more frames of ground truth than the {number + 1} of low quality.")
    scores = {method: scorer.result(clip.name, number + 1, timed.seconds)
              for (method, scorer), timed in zip(scorers.items(), (restored, plain))}
    shown.write(picture, [PLAIN[config.task], config.model.title, "ground truth"], [scores["plain"], scores["network"], None])
    return scores


def _truth_of(frame, truths, number, name):
    truth = next(truths, None)
    if truth is None:
        raise UserError(f"clip {name}: has only {number} frames of ground truth, fewer than of low quality.")
    if truth.shape != frame.shape:
        raise UserError(f"clip {name}: ground truth has {truth.shape[2]} x {truth.shape[1]} pixels, where low quality "
                        f"restores to {frame.shape[2]} x {frame.shape[1]}; both must be of one clip, and not cropped.")
    return truth


class _Timed:
    """An iterator that knows how long its items took, in ``seconds``."""

    def __init__(self, items):
        self._items, self.seconds = iter(items), 0.0

    def __iter__(self):
        return self

    def __next__(self):
        start = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - start


class _Shown:
    """The frames of a clip that a picture shows: first and last, and the middle where the count is known."""

    def __init__(self, count):
        self._kept = {0, count and count // 2}
        self._rows = []

    def consider(self, number, *frames):
        if self._rows and self._rows[-1][0] not in self._kept:
            del self._rows[-1]
        self._rows.append((number, frames))

    def write(self, path, names, scores):
        """Write them with a heading a column, its mean PSNR added where there is one."""
        columns = {}
        for column, (name, score) in enumerate(zip(names, scores)):
            cells = [frames[column] for _, frames in self._rows]
            if not cells or cells[0] is None:
                continue
            heading = name if score is None or score.psnr is None else f"{name} {score.psnr:.2f} dB"
            columns[heading] = np.stack(cells, 1)  # (3, shown, H, W)
        if columns:
            pictures.write_comparison(path, columns, range(len(self._rows)))


def _title(config):
    settings = config.evaluation
    where = settings.gt or settings.lq or settings.path
    title = TITLES[config.task].format(scale=config.scale)
    if settings.set in ("folder", DEMO):
        title += f": {where or 'demonstration scenes'}"
    else:
        title += f": {settings.set}, {where}"
    return title + (f", sigma {settings.sigma:g}" if settings.sigma is not None else "")


def _made_with(config, loaded):
    settings, tiling = config.evaluation, config.tiling
    models = [config.interpolation.model, config.model] if config.interpolation else [config.model]
    circumstances = {
        "weights": "; ".join(each.origin if each.trained else UNTRAINED for each in loaded),
        "network": "; ".join(network_line(each.network, model.name) for each, model in zip(loaded, models)),
        "tiles": f"{tiling.tile}, overlap {tiling.overlap}, {tiling.blend} blend (frames, height, width)"}
    if not settings.lq and config.degradation:
        noise = f" (sigma {settings.sigma:g}, seed {settings.seed})" if config.degradation == "noise" else ""
        circumstances["low quality"] = f"{config.degradation}{noise}, made here where the data set has none"
    if settings.frames:
        circumstances["frames"] = f"only the first {settings.frames} of each clip"
    if config.published:
        circumstances["published"] = f"{config.published} (published, not measured here)"
    circumstances["scores"] = "frames clamped and rounded to 8 bits, no border; seconds include compiling the network"
    return {**circumstances, **environment()}
