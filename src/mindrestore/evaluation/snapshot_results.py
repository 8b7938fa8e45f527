"""The table of snapshot scenes, and what may be called the six-scene mean."""
from dataclasses import dataclass

from mindrestore.data.scenes import BENCHMARK
from mindrestore.evaluation.results import Column, Results


@dataclass(frozen=True)
class SceneResults(Results):
    """Scores of ``SceneScore``; ``benchmark`` says whether the scenes are the six of the benchmark."""

    benchmark: bool = False

    counted = Column("measurements", "meas.", 8, 0, "measurements")
    columns = (Column("psnr", "PSNR dB", 8, 2, "psnr_db"), Column("ssim", "SSIM", 7, 4, "ssim"),
               Column("seconds", "s/meas.", 10, 3, "seconds_per_measurement"))

    def mean_name(self):
        """Name the mean; only all six scenes with all their measurements make the six-scene mean."""
        count, total = len(self.present()), len(self.rows)
        if not self.benchmark:
            return super().mean_name()
        if count < total:
            return f"mean of {count} of {total} scenes"
        if any(self.is_partial(row) for row in self.rows):
            return "mean of 6, some in part"
        return "six-scene mean"

    def is_partial(self, row):
        return self.benchmark and bool(row.scores) and self.count(row) != BENCHMARK[row.name][1]

    def notes(self):
        partial = ", ".join(f"{row.name} {BENCHMARK[row.name][1]}" for row in self.rows if self.is_partial(row))
        return [f"* not the number of measurements that published results score: {partial}"] if partial else []
