"""One HTML page of an evaluation, which needs no other file and no internet.

It holds the gain in one line, the table, and of every clip: the clip playing, a curve of the PSNR of every frame, frames to
compare under a divider that can be dragged, the error of the worst one at every pixel, and its part with the largest, enlarged.
Last it says how the results were obtained.
"""

from __future__ import annotations

import html
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import yaml

from mindrestore.evaluation.results import Results
from mindrestore.files import PathLike
from mindrestore.media.figures import figure_style
from mindrestore.media.page import data_address, divided_frames, figures, write_page
from mindrestore.media.pictures import heat
from mindrestore.media.player import Player

ZOOMED = 48  # side of the enlarged part, in pixels
COLOURS = ("#1f77b4", "#d9822b", "#5b8c5a", "#8a5b9e")
SCALES = (4, 8, 16, 32, 64, 128, 255)  # ends of the scale of an error map, for white = 255
TRUTH = "ground truth"
MOST_PLAYERS = 24  # clips of a page that play; of the others there are pictures


@dataclass(eq=False)
class FrameRecord:
    """Collects the frames of one clip, one by one; holds at most three: the first, the middle and the worst.

    Attributes:
        name: of the clip.
        judged: heading of the method whose worst frame is shown.
        middle: number of the middle frame, None where the number of frames is not known.
        curves: PSNR in dB of every frame by heading, empty without ground truth; infinite where frames are equal.
        shown: by number of the frame, images (H, W) or (3, H, W) of 0–1 by heading.
        worst: number of the frame that ``judged`` restored worst; None without ground truth.
        count: frames added so far.
        trust: of snapshots, by heading the pictures (3, H, W) of what each measurement says against its reconstruction.
        player: receives every frame; None: the clip does not play.
    """

    name: str
    judged: str
    middle: int | None = None
    curves: dict[str, list[float]] = field(default_factory=dict)
    shown: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    worst: int | None = None
    count: int = 0
    trust: dict[str, np.ndarray] = field(default_factory=dict)
    player: Player | None = None

    def add(
        self, images: Mapping[str, np.ndarray], truth: np.ndarray | None = None, scores: Mapping[str, float] | None = None
    ) -> None:
        """Add the next frame: images by heading, (H, W) or (3, H, W); their ground truth, and their PSNR in dB by heading."""
        number, self.count = self.count, self.count + 1
        if truth is not None:
            images = {**images, TRUTH: truth}
            for heading, value in scores.items():
                self.curves.setdefault(heading, []).append(value)
            judged = self.curves[self.judged]
            if self.worst is None or judged[number] < judged[self.worst]:
                self._drop(self.worst)
                self.worst = number
                self.shown[number] = images
        if number in (0, self.middle):
            self.shown[number] = images
        if self.player:
            self.player.add(images)

    def lowest(self) -> float | None:
        """Return the PSNR in dB of the worst frame, None without ground truth or where it is perfect."""
        value = math.inf if self.worst is None else self.curves[self.judged][self.worst]
        return value if math.isfinite(value) else None

    def _drop(self, number: int | None) -> None:
        """Forget the former worst frame, unless it is shown as the first or middle one."""
        if number not in (None, 0, self.middle):
            del self.shown[number]


def write_report(path: PathLike, results: Results, records: Sequence[FrameRecord], settings: Mapping[str, Any]) -> None:
    """Write the page.

    Args:
        path: of the .html file.
        results: the scores.
        records: one a clip, all of its frames added.
        settings: of the configuration, JSON values.
    """
    gain = results.gain()
    circumstances = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>"
        for key, value in results.circumstances.items()
    )
    stored = html.escape(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    parts = [
        f'<p class="headline">{html.escape(gain)}</p>' if gain else "",
        _table(results),
        *map(_clip, records),
        f'<h2>Made with</h2><table class="made">{circumstances}</table>',
        f"<details><summary>settings</summary><pre>{stored}</pre></details>",
    ]
    write_page(path, results.title, "\n".join(parts))


def _table(results: Results) -> str:
    """Return the scores as an HTML table, which narrow pages show as a card a row."""
    columns = results.columns
    heads = "".join(f'<th colspan="{len(columns)}">{html.escape(text)}</th>' for text in results.methods.values())
    units = "".join(f"<th>{html.escape(column.heading)}</th>" for _ in results.methods for column in columns)
    rows = [_row(row.name, row.scores, results) for row in results.rows]
    if results.present():
        means = {method: results.mean(method) for method in results.methods}
        rows.append(_row(results.mean_name(), means, results, ' class="mean"'))
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in results.notes())
    return (
        f'<table class="scores" style="--columns:{len(columns)}"><thead><tr><th rowspan="2" class="item">{results.item}</th>'
        f'<th rowspan="2">{html.escape(results.counted.heading)}</th>{heads}</tr><tr>{units}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>{notes}"
    )


def _row(name: str, scores: Mapping[str, Any], results: Results, kind: str = "") -> str:
    if not scores:
        return f'<tr{kind}><td>{html.escape(name)}</td><td colspan="99" class="absent">absent</td></tr>'
    count = getattr(next(iter(scores.values())), results.counted.key)
    counted = f'<td class="count" data-heading="{html.escape(results.counted.heading)}">{count}</td>'
    values = "".join(
        f'<th class="narrow">{html.escape(results.methods[method])}</th>'
        + "".join(
            f'<td data-heading="{html.escape(column.heading)}">{column.text(getattr(score, column.key)).strip()}</td>'
            for column in results.columns
        )
        for method, score in scores.items()
    )
    return f"<tr{kind}><td>{html.escape(name)}</td>{counted}{values}</tr>"


def _clip(record: FrameRecord) -> str:
    """Return the section of one clip."""
    parts = [f"<section><h2>{html.escape(record.name)}</h2>"]
    if record.player:
        parts.append(record.player.section(record.judged))
    if record.curves:
        address = data_address("image/svg+xml", _curve(record))
        parts.append(f'<div class="curve"><img alt="PSNR of every frame" src="{address}"></div>')
    shots = "".join(_shot(record, number) for number in sorted(record.shown))
    parts.append(f'<div class="shots">{shots}</div>')
    if record.worst is not None and record.lowest() is not None:
        parts += [_errors(record.shown[record.worst]), _zoomed(record.shown[record.worst], record.judged)]
    if record.trust:
        parts.append(
            "<h3>trust</h3><p>|y − Σ M x| at every pixel, white = 255: where it is bright the clip contradicts what "
            f"was measured; where it is dark it may still be wrong.</p>{figures(record.trust)}"
        )
    return "".join(parts) + "</section>"


def _shot(record: FrameRecord, number: int) -> str:
    """Return the part that shows one frame under a divider."""
    lowest = record.lowest()
    note = "" if number != record.worst else " – the worst" + ("" if lowest is None else f", {lowest:.2f} dB")
    heading = f"<h3>frame {number + 1} of {record.count}{note}</h3>"
    return f"<div>{heading}{divided_frames(record.shown[number], record.judged)}</div>"


def _errors(images: Mapping[str, np.ndarray]) -> str:
    """Return the part that shows the error of every method at every pixel, all in one scale, which it says."""
    truth = images[TRUTH]
    errors = {heading: _error(image, truth) for heading, image in images.items() if heading != TRUTH}
    top = _round_scale(max(np.quantile(error, 0.999) for error in errors.values()))
    return (
        f"<h4>error of the worst frame, |restored − ground truth|, black = 0, pale yellow = {top} of 255 and above</h4>"
        f"{figures({heading: heat(error, top / 255) for heading, error in errors.items()})}"
    )


def _error(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the absolute difference (H, W) of two images, mean of their colours."""
    error = np.abs(np.clip(image, 0, 1) - truth)
    return error.mean(0) if error.ndim == 3 else error


def _round_scale(value: float) -> int:
    """Return the least of ``SCALES``, in 255ths, that reaches ``value`` of 0–1."""
    return next((scale for scale in SCALES if scale >= 255 * value), SCALES[-1])


def _zoomed(images: Mapping[str, np.ndarray], judged: str) -> str:
    """Return the part that shows, by every method, the square where ``judged`` has the largest error, enlarged."""
    top, left, side = _largest_error(images[judged], images[TRUTH])
    parts = {heading: image[..., top : top + side, left : left + side] for heading, image in images.items()}
    return f"<h4>where most is wrong: {side} × {side} pixels at column {left}, row {top}</h4>{figures(parts)}"


def _largest_error(image: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """Return (top, left, side), in pixels, of the square with the largest squared error."""
    error = (np.clip(image, 0, 1) - truth) ** 2
    error = np.ascontiguousarray(error.mean(0) if error.ndim == 3 else error, np.float32)
    side = min(ZOOMED, *error.shape)
    sums = cv2.boxFilter(error, -1, (side, side), anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    inside = sums[: error.shape[0] - side + 1, : error.shape[1] - side + 1]
    top, left = np.unravel_index(inside.argmax(), inside.shape)
    return int(top), int(left), side


def _curve(record: FrameRecord) -> bytes:
    """Return PSNR over frames as SVG, a line for each method."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with figure_style(record.name):
        figure = Figure(figsize=(9, 2.6), layout="constrained")
        axes = figure.add_subplot(xlabel="frame", ylabel="PSNR, dB")
        for (heading, values), colour in zip(record.curves.items(), COLOURS):
            finite = [value if math.isfinite(value) else math.nan for value in values]
            axes.plot(
                range(1, len(values) + 1),
                finite,
                label=heading,
                color=colour,
                linewidth=1.4,
                marker="o" if len(values) < 60 else None,
                markersize=3,
            )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # no frame 1.2
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=9)
        svg = io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return svg.getvalue()
