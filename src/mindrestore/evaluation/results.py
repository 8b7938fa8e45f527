"""The results of an evaluation as a table, as JSON and as CSV, whatever was scored; and how they were obtained."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import mindspore
from mindspore import nn

from mindrestore.files import write_text
from mindrestore.metrics import finite_mean
from mindrestore.runtime import device, precision
from mindrestore.version import __version__

SIDE = 1024  # of the frames, about a megapixel, that operations are counted for
AS_GIVEN = "as given"
"""Heading of the input itself, where that is what a network is compared with."""


class Column(NamedTuple):
    """One number of a score: its field, its heading, width and digits in the table, its heading in the CSV."""

    key: str
    heading: str
    width: int
    digits: int
    csv: str

    def text(self, value: float | None) -> str:
        """Return the number as the table has it, ``-`` where it was not scored."""
        return f"{'-' if value is None else format(value, f'.{self.digits}f'):>{self.width}}"


@dataclass(frozen=True)
class Row:
    """One scene or clip: scores by method (``network``, ``gap_tv``, ...), or no scores where it is absent.

    A score is a dataclass: a name, a count (of frames, say), then a number for each column, None where it was not scored, and
    ``equal``, the frames that equal ground truth.
    """

    name: str
    scores: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """All scores, and how they were obtained. A subclass for each kind of evaluation says what it counts and scores.

    Attributes:
        title: what was scored.
        methods: in the order to print: key -> heading.
        rows: one a scene or clip, absent ones included.
        circumstances: network, checkpoint, device, versions: printed and saved.
        item: what a row is of, ``"scene"`` or ``"clip"``.
        counted: of a score, the count.
        columns: of a score, the numbers.
    """

    title: str
    methods: dict[str, str]
    rows: list[Row]
    circumstances: dict[str, str]

    item: ClassVar[str] = "scene"
    counted: ClassVar[Column]
    columns: ClassVar[tuple[Column, ...]]

    def present(self) -> list[Row]:
        """Return the rows that have scores."""
        return [row for row in self.rows if row.scores]

    def mean(self, method: str) -> Any:
        """Return the mean score of a method over the rows that have scores, named by ``mean_name``; None if there are none."""
        scores = [row.scores[method] for row in self.present()]
        if not scores:
            return None
        return type(scores[0])(
            self.mean_name(),
            sum(getattr(score, self.counted.key) for score in scores),
            *(_mean([getattr(score, column.key) for score in scores]) for column in self.columns),
            equal=sum(score.equal for score in scores),
        )

    def gain(self) -> str | None:
        """Return what the first method has over the second in one line, such as ``+4.91 dB over bicubic on 4 clips``.

        The mean of the difference in PSNR, over the rows where both have a finite one; None where there is no such row, or no
        second method.
        """
        if len(self.methods) < 2:
            return None
        first, second, *_ = self.methods
        pairs = [(row.scores[first].psnr, row.scores[second].psnr) for row in self.present()]
        gains = [ours - theirs for ours, theirs in pairs if None not in (ours, theirs) and math.isfinite(ours - theirs)]
        if not gains:
            return None
        items = f"{len(gains)} {self.item}{'s' * (len(gains) > 1)}"
        over = self.methods[second]
        return f"{sum(gains) / len(gains):+.2f} dB over {'the input' if over == AS_GIVEN else over} on {items}"

    def mean_name(self) -> str:
        """Return what to call the mean: it says of how many rows it is."""
        return f"mean of {len(self.present())}"

    def is_partial(self, row: Row) -> bool:
        """Return whether ``row`` was scored on less than published results are; then the table marks it with a star."""
        return False

    def notes(self) -> list[str]:
        """Return lines to print below the table."""
        equal = {(row.name, method): score.equal for row in self.rows for method, score in row.scores.items() if score.equal}
        return [
            f"frames that equal ground truth, whose PSNR is infinite and left out of means: {name}, "
            f"{self.methods[method]}: {count}"
            for (name, method), count in equal.items()
        ]

    def count(self, row: Row) -> int:
        """Return what ``counted`` says of a row."""
        return getattr(next(iter(row.scores.values())), self.counted.key)

    def table(self) -> str:
        """Return the scores as lines of text."""
        name = max(len(text) for text in [self.mean_name(), self.item] + [row.name for row in self.rows])
        titles = " ".join(f"{column.heading:>{column.width}}" for column in self.columns)
        head = f"{self.item:<{name}}  {self.counted.heading:>{self.counted.width}}" + "".join(
            f"  {text:>{len(titles)}}" for text in self.methods.values()
        )
        units = f"{'':<{name}}  {'':>{self.counted.width}}" + f"  {titles}" * len(self.methods)
        rule = "-" * max(len(head), len(units))
        lines = [self.title, "", head, units, rule]
        for row in self.rows:
            absent = f"{row.name:<{name}}  {'absent':>{self.counted.width}}"
            lines.append(self._line(row, name, "*" * self.is_partial(row)) if row.scores else absent)
        if self.present():
            means = Row(self.mean_name(), {method: self.mean(method) for method in self.methods})
            lines += [rule, self._line(means, name)]
        gain = self.gain()
        lines += ["", f"{next(iter(self.methods.values()))}: {gain}"] if gain else []
        return "\n".join(lines + [""] + self.notes() + [f"{key}: {value}" for key, value in self.circumstances.items()])

    def _line(self, row: Row, width: int, star: str = "") -> str:
        scores = "".join(
            "  " + " ".join(column.text(getattr(score, column.key)) for column in self.columns) for score in row.scores.values()
        )
        return f"{row.name:<{width}}  {str(self.count(row)) + star:>{self.counted.width}}" + scores

    def write(self, folder: Path) -> None:
        """Write ``results.txt``, ``results.json`` and ``results.csv`` into ``folder``."""
        write_text(folder / "results.txt", self.table() + "\n")
        write_text(folder / "results.json", json.dumps(self.as_json(), indent=2) + "\n")
        write_text(folder / "results.csv", self._csv())

    def as_json(self) -> dict[str, Any]:
        """Return scores and circumstances as JSON values.

        JSON has no infinity: the PSNR of a row that equals its ground truth is null, and ``equal`` counts its frames.
        """

        def values(score: Any) -> dict[str, Any]:
            return {field.name: _finite(getattr(score, field.name)) for field in fields(score)[1:]}

        return {
            "title": self.title,
            f"{self.item}s": {
                row.name: {method: values(score) for method, score in row.scores.items()} or None for row in self.rows
            },
            "mean": {
                "name": self.mean_name(),
                f"{self.item}s": len(self.present()),
                **{method: values(self.mean(method)) for method in self.methods if self.present()},
            },
            **self.circumstances,
        }

    def _csv(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([self.item, "method", self.counted.csv, *(column.csv for column in self.columns)])

        def line(name: str, method: str, score: Any) -> None:
            numbers = (getattr(score, column.key) for column in self.columns)
            writer.writerow(
                [
                    name,
                    method,
                    getattr(score, self.counted.key),
                    *("" if number is None else f"{number:.6f}" for number in numbers),
                ]
            )

        for row in self.rows:
            for method, score in row.scores.items():
                line(row.name, method, score)
            if not row.scores:
                writer.writerow([row.name, "absent", 0, *[""] * len(self.columns)])
        for method in self.methods if self.present() else ():
            line(self.mean_name(), method, self.mean(method))
        return text.getvalue()


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else finite_mean(values)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


ENSEMBLE = "+: the mean over mirror images and the reversal in time of every clip, or tile of it"


def network_line(network: nn.Cell, kind: str) -> str:
    """Return a network's kind, settings and size in one line."""
    settings = ", ".join(f"{key} {value}" for key, value in network.settings.items())
    count = sum(parameter.size for parameter in network.get_parameters())
    return f"{kind}: {settings}; {count:,} parameters"


def operations_line(network: nn.Cell, kind: str, frames: int) -> str:
    """Return how many multiply-adds a network takes for a frame that it makes, in one line.

    frames: of a clip or measurement. A network without a method ``multiply_adds(frames, height, width)`` is not counted.
    """
    if not hasattr(network, "multiply_adds"):
        return f"{kind}: not counted"
    count = network.multiply_adds(frames, SIDE, SIDE)
    made = 1 if getattr(network.abilities, "interpolates", False) else frames
    return f"{kind}: {count / made / 1e9:,.1f} G a frame of {SIDE} x {SIDE} as given, {frames} frames at a time"


def environment() -> dict[str, str]:
    """Return device, precision and versions, by name."""
    return {
        "device": device.name(),
        "precision": precision.chosen(),
        "versions": f"mindrestore {__version__}, mindspore {mindspore.__version__}",
    }
