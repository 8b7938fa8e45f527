"""The outcome of an evaluation as a table, as JSON and as CSV, whatever was scored, and how it came about."""
import csv
import io
import json
import math
from dataclasses import dataclass, field, fields
from typing import ClassVar, Dict, List, NamedTuple, Optional, Tuple

import mindspore
import numpy as np

from mindrestore.files import write_text
from mindrestore.runtime import device, precision
from mindrestore.version import __version__


class Column(NamedTuple):
    """One number of a score: its field, how the table heads and rounds it, what the CSV calls it."""

    key: str
    heading: str
    width: int
    digits: int
    csv: str

    def text(self, value):
        return f"{'-' if value is None else format(value, f'.{self.digits}f'):>{self.width}}"


@dataclass(frozen=True)
class Row:
    """One scene or clip: scores by method (``network``, ``gap_tv``, ...), or no scores where it is absent.

    A score is a dataclass: a name, what was counted, then a number a column, None where it was not scored.
    """

    name: str
    scores: Dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """Scores of everything, and what they were made with; a kind of evaluation says by subclass what it counts.

    Attributes:
        title: what was scored.
        methods: in the order to print: key -> heading.
        rows: one a scene or clip, absent ones included.
        circumstances: network, checkpoint, device, versions: printed and kept.
    """

    title: str
    methods: Dict[str, str]
    rows: List[Row]
    circumstances: Dict[str, str]

    item: ClassVar[str] = "scene"
    counted: ClassVar[Column]
    columns: ClassVar[Tuple[Column, ...]]

    def present(self):
        return [row for row in self.rows if row.scores]

    def mean(self, method) -> Optional[object]:
        """Return the mean over what is there, under a name that says how much that is."""
        scores = [row.scores[method] for row in self.present()]
        if not scores:
            return None
        return type(scores[0])(self.mean_name(), sum(getattr(score, self.counted.key) for score in scores),
                               *(_mean([getattr(score, column.key) for score in scores]) for column in self.columns))

    def mean_name(self):
        return f"mean of {len(self.present())}"

    def is_partial(self, row):
        """Whether ``row`` was scored on less than published results; it gets a star."""
        return False

    def notes(self):
        """Lines below the table."""
        return []

    def count(self, row):
        return getattr(next(iter(row.scores.values())), self.counted.key)

    def table(self):
        """Return the scores as lines of text."""
        name = max(len(text) for text in [self.mean_name(), self.item] + [row.name for row in self.rows])
        titles = " ".join(f"{column.heading:>{column.width}}" for column in self.columns)
        head = f"{self.item:<{name}}  {self.counted.heading:>{self.counted.width}}" + "".join(
            f"  {text:>{len(titles)}}" for text in self.methods.values())
        units = f"{'':<{name}}  {'':>{self.counted.width}}" + f"  {titles}" * len(self.methods)
        rule = "-" * max(len(head), len(units))
        lines = [self.title, "", head, units, rule]
        for row in self.rows:
            absent = f"{row.name:<{name}}  {'absent':>{self.counted.width}}"
            lines.append(self._line(row, name, "*" * self.is_partial(row)) if row.scores else absent)
        if self.present():
            means = Row(self.mean_name(), {method: self.mean(method) for method in self.methods})
            lines += [rule, self._line(means, name)]
        return "\n".join(lines + [""] + self.notes() + [f"{key}: {value}" for key, value in self.circumstances.items()])

    def _line(self, row, width, star=""):
        scores = "".join("  " + " ".join(column.text(getattr(score, column.key)) for column in self.columns)
                         for score in row.scores.values())
        return f"{row.name:<{width}}  {str(self.count(row)) + star:>{self.counted.width}}" + scores

    def write(self, folder):
        """Write ``results.txt``, ``results.json`` and ``results.csv`` into ``folder``."""
        write_text(folder / "results.txt", self.table() + "\n")
        write_text(folder / "results.json", json.dumps(self.as_json(), indent=2) + "\n")
        write_text(folder / "results.csv", self._csv())

    def as_json(self):
        """Return scores and circumstances as JSON values; a PSNR of equal frames, infinite, is null."""
        def values(score):
            return {name.name: _finite(getattr(score, name.name)) for name in fields(score)[1:]}
        return {
            "title": self.title,
            f"{self.item}s": {row.name: {method: values(score) for method, score in row.scores.items()} or None
                              for row in self.rows},
            "mean": {"name": self.mean_name(), f"{self.item}s": len(self.present()),
                     **{method: values(self.mean(method)) for method in self.methods if self.present()}},
            **self.circumstances,
        }

    def _csv(self):
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow([self.item, "method", self.counted.csv, *(column.csv for column in self.columns)])

        def line(name, method, score):
            numbers = (getattr(score, column.key) for column in self.columns)
            writer.writerow([name, method, getattr(score, self.counted.key),
                             *("" if number is None else f"{number:.6f}" for number in numbers)])
        for row in self.rows:
            for method, score in row.scores.items():
                line(row.name, method, score)
            if not row.scores:
                writer.writerow([row.name, "absent", 0, *[""] * len(self.columns)])
        for method in self.methods if self.present() else ():
            line(self.mean_name(), method, self.mean(method))
        return text.getvalue()


def _mean(values):
    return None if None in values else float(np.mean(values))


def _finite(value):
    return None if isinstance(value, float) and not math.isfinite(value) else value


def network_line(network, kind):
    """Return a network's kind, settings and size in one line."""
    settings = ", ".join(f"{key} {value}" for key, value in network.settings.items())
    count = sum(parameter.size for parameter in network.get_parameters())
    return f"{kind}: {settings}; {count:,} parameters"


def environment():
    """Return device, precision and versions, by name."""
    return {"device": device.name(), "precision": precision.chosen(),
            "versions": f"mindrestore {__version__}, mindspore {mindspore.__version__}"}
