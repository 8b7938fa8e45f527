"""The outcome of an evaluation as a table, as JSON and as CSV."""
import csv
import io
import json
from dataclasses import asdict, dataclass, field
from typing import Dict, List, Optional

import numpy as np

from mindrestore.data.scenes import BENCHMARK
from mindrestore.evaluation.scoring import SceneScore
from mindrestore.files import write_text


@dataclass(frozen=True)
class Row:
    """One scene: scores by method (``network``, ``gap_tv``), or no scores where the scene is absent."""

    scene: str
    scores: Dict[str, SceneScore] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """Scores of every scene, and what they were made with.

    Attributes:
        title: what was scored.
        methods: in the order to print: key -> heading.
        rows: one a scene, absent ones included.
        benchmark: whether the scenes are the six of the benchmark.
        circumstances: network, checkpoint, mask, device, versions: printed and kept.
    """

    title: str
    methods: Dict[str, str]
    rows: List[Row]
    benchmark: bool
    circumstances: Dict[str, str]

    def present(self):
        return [row for row in self.rows if row.scores]

    def mean(self, method) -> Optional[SceneScore]:
        """Return the mean over the scenes that are there, under a name that says how many those are."""
        scores = [row.scores[method] for row in self.present()]
        if not scores:
            return None
        return SceneScore(self.mean_name(), sum(score.measurements for score in scores),
                          *(float(np.mean([getattr(score, key) for score in scores]))
                            for key in ("psnr", "ssim", "seconds")))

    def mean_name(self):
        """Name the mean; only all six scenes with all their measurements make the six-scene mean."""
        count, total = len(self.present()), len(self.rows)
        if not self.benchmark:
            return f"mean of {count}"
        if count < total:
            return f"mean of {count} of {total} scenes"
        if any(self.is_partial(row) for row in self.rows):
            return "mean of 6, some in part"
        return "six-scene mean"

    def is_partial(self, row):
        """Whether a benchmark scene was scored on another number of measurements than published."""
        return self.benchmark and bool(row.scores) and self.measurements(row) != BENCHMARK[row.scene][1]

    @staticmethod
    def measurements(row):
        return next(iter(row.scores.values())).measurements

    def table(self):
        """Return the scores as lines of text."""
        width = max(len(name) for name in [self.mean_name(), "scene"] + [row.scene for row in self.rows])
        head = f"{'scene':<{width}}  {'meas.':>8}" + "".join(f"  {name:>27}" for name in self.methods.values())
        units = f"{'':<{width}}  {'':>8}" + "".join(f"  {'PSNR dB':>8} {'SSIM':>7} {'s/meas.':>10}" for _ in self.methods)
        lines = [self.title, "", head, units, "-" * len(head)]
        for row in self.rows:
            lines.append(self._line(row, width) if row.scores else f"{row.scene:<{width}}  {'absent':>8}")
        means = {method: self.mean(method) for method in self.methods}
        lines += ["-" * len(head), self._line(Row(self.mean_name(), means), width), ""]
        if any(self.is_partial(row) for row in self.rows):
            lines.append("* not the number of measurements that published results score: " + ", ".join(
                f"{row.scene} {BENCHMARK[row.scene][1]}" for row in self.rows if self.is_partial(row)))
        return "\n".join(lines + [f"{key}: {value}" for key, value in self.circumstances.items()])

    def _line(self, row, width):
        star = "*" if row.scene in BENCHMARK and self.is_partial(row) else ""
        scores = "".join(f"  {score.psnr:>8.2f} {score.ssim:>7.4f} {score.seconds:>10.3f}" for score in row.scores.values())
        return f"{row.scene:<{width}}  {str(self.measurements(row)) + star:>8}" + scores

    def write(self, folder):
        """Write ``results.txt``, ``results.json`` and ``results.csv`` into ``folder``."""
        write_text(folder / "results.txt", self.table() + "\n")
        write_text(folder / "results.json", json.dumps(self.as_json(), indent=2) + "\n")
        write_text(folder / "results.csv", self._csv())

    def as_json(self):
        """Return scores and circumstances as JSON values."""
        def values(score):
            return {key: value for key, value in asdict(score).items() if key != "scene"}
        return {
            "title": self.title,
            "scenes": {row.scene: {method: values(score) for method, score in row.scores.items()} or None for row in self.rows},
            "mean": {"name": self.mean_name(), "scenes": len(self.present()),
                     **{method: values(self.mean(method)) for method in self.methods if self.present()}},
            **{key: value for key, value in self.circumstances.items()},
        }

    def _csv(self):
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["scene", "method", "measurements", "psnr_db", "ssim", "seconds_per_measurement"])
        for row in self.rows:
            for method, score in row.scores.items():
                writer.writerow([row.scene, method, score.measurements, *(f"{value:.6f}" for value in (
                    score.psnr, score.ssim, score.seconds))])
            if not row.scores:
                writer.writerow([row.scene, "absent", 0, "", "", ""])
        for method in self.methods:
            mean = self.mean(method)
            if mean:
                writer.writerow([mean.scene, method, mean.measurements, *(f"{value:.6f}" for value in (
                    mean.psnr, mean.ssim, mean.seconds))])
        return text.getvalue()
