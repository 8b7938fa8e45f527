"""One HTML page of an evaluation, which needs no other file and no internet.

It holds the table, a curve of the PSNR of every frame, frames to compare under a divider that can be dragged, the part of the
worst frame with the largest error, enlarged, and how the results were obtained.
"""

from __future__ import annotations

import base64
import html
import io
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from mindrestore.evaluation.results import Results
from mindrestore.files import PathLike, write_text
from mindrestore.media.figures import figure_style
from mindrestore.media.pixels import to_image

TEMPLATE = Path(__file__).resolve().parent.parent / "assets" / "report.html"
ZOOMED = 48  # side of the enlarged part, in pixels
COLOURS = ("#1f77b4", "#d9822b", "#5b8c5a", "#8a5b9e")
TRUTH = "ground truth"


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
    """

    name: str
    judged: str
    middle: int | None = None
    curves: dict[str, list[float]] = field(default_factory=dict)
    shown: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)
    worst: int | None = None
    count: int = 0
    trust: dict[str, np.ndarray] = field(default_factory=dict)

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
    page = string.Template(TEMPLATE.read_text(encoding="utf-8"))
    write_text(
        path,
        page.substitute(
            title=html.escape(results.title),
            table=_table(results),
            clips="\n".join(map(_clip, records)),
            circumstances="\n".join(
                f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>"
                for key, value in results.circumstances.items()
            ),
            settings=html.escape(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)),
        ),
    )


def _table(results: Results) -> str:
    """Return the scores as an HTML table."""
    columns = results.columns
    heads = "".join(f'<th colspan="{len(columns)}">{html.escape(text)}</th>' for text in results.methods.values())
    units = "".join(f"<th>{html.escape(column.heading)}</th>" for _ in results.methods for column in columns)
    rows = [_row(row.name, row.scores, results) for row in results.rows]
    if results.present():
        means = {method: results.mean(method) for method in results.methods}
        rows.append(_row(results.mean_name(), means, results, ' class="mean"'))
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in results.notes())
    return (
        f'<table class="scores"><thead><tr><th rowspan="2" class="item">{results.item}</th><th rowspan="2">'
        f"{html.escape(results.counted.heading)}</th>{heads}</tr><tr>{units}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{notes}"
    )


def _row(name: str, scores: Mapping[str, Any], results: Results, kind: str = "") -> str:
    if not scores:
        return f'<tr{kind}><td>{html.escape(name)}</td><td colspan="99" class="absent">absent</td></tr>'
    count = getattr(next(iter(scores.values())), results.counted.key)
    values = "".join(
        f"<td>{column.text(getattr(score, column.key)).strip()}</td>" for score in scores.values() for column in results.columns
    )
    return f"<tr{kind}><td>{html.escape(name)}</td><td>{count}</td>{values}</tr>"


def _clip(record: FrameRecord) -> str:
    """Return the section of one clip."""
    parts = [f"<section><h2>{html.escape(record.name)}</h2>"]
    if record.curves:
        parts.append(f'<img class="curve" alt="PSNR of every frame" src="{_data("svg+xml", _curve(record))}">')
    for number in sorted(record.shown):
        worst = number == record.worst
        lowest = record.lowest()
        note = "" if not worst else " – the worst" + ("" if lowest is None else f", {lowest:.2f} dB")
        parts.append(f"<h3>frame {number + 1} of {record.count}{note}</h3>" + _divided(record.shown[number], record.judged))
        if worst and lowest is not None:
            parts.append(_zoomed(record.shown[number], record.judged))
    if record.trust:
        parts.append(
            "<h3>trust</h3><p>|y − Σ M x| at every pixel, white = 255: where it is bright the clip contradicts what "
            f"was measured; where it is dark it may still be wrong.</p>{_figures(record.trust)}"
        )
    return "".join(parts) + "</section>"


def _divided(images: Mapping[str, np.ndarray], judged: str) -> str:
    """Return the part that shows two of the images under a divider; the reader chooses which two."""
    left = next((heading for heading in images if heading != judged), judged)
    options = {
        side: "".join(
            f"<option{' selected' if heading == selected else ''}>{html.escape(heading)}</option>" for heading in images
        )
        for side, selected in (("left", left), ("right", judged))
    }
    pictures = "".join(
        f'<img data-name="{html.escape(heading)}" alt="{html.escape(heading)}" src="{_png(image)}">'
        for heading, image in images.items()
    )
    return (
        f'<div class="pair"><div class="choice"><select class="left">{options["left"]}</select>'
        f'<span>drag the line</span><select class="right">{options["right"]}</select></div>'
        f'<div class="divided" style="--at:50%">{pictures}'
        '<div class="line"></div><input type="range" min="0" max="100" step="0.1" value="50" aria-label="divider">'
        "</div></div>"
    )


def _zoomed(images: Mapping[str, np.ndarray], judged: str) -> str:
    """Return the part that shows, by every method, the square where ``judged`` has the largest error, enlarged."""
    top, left, side = _largest_error(images[judged], images[TRUTH])
    parts = {heading: image[..., top : top + side, left : left + side] for heading, image in images.items()}
    return f"<h4>where most is wrong: {side} × {side} pixels at column {left}, row {top}</h4>{_figures(parts)}"


def _figures(images: Mapping[str, np.ndarray]) -> str:
    """Return images side by side, each above its heading."""
    cells = "".join(
        f'<figure><img src="{_png(image)}" alt=""><figcaption>{html.escape(heading)}</figcaption></figure>'
        for heading, image in images.items()
    )
    return f'<div class="zoomed">{cells}</div>'


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
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=9)
        svg = io.BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None})
    return svg.getvalue()


def _png(image: np.ndarray) -> str:
    return _data("png", cv2.imencode(".png", to_image(image))[1].tobytes())


def _data(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
