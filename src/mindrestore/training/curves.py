"""Pictures of training runs: loss, learning rate and validation PSNR over steps, from their logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing, replacing
from mindrestore.media.figures import figure_style
from mindrestore.training.log import FILE, KIND, read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png")
PANELS = {"loss": "loss", "learning_rate": "learning rate", "validation_psnr": "validation PSNR, dB"}
SMOOTHED_FROM = 40  # points of a loss: with as many or more its running mean is drawn
DOTS_PER_INCH = 150


Curve = tuple[list[int], list[float]]  # (steps, values)


class Run(NamedTuple):
    """What the log of a training run says.

    Attributes:
        name: of its folder or log; the path where runs drawn together have one name.
        curves: by key of ``PANELS``, those that were logged.
    """

    name: str
    curves: dict[str, Curve]

    def summary(self) -> str:
        """Return one line: the last step, its loss, and the best PSNR."""
        parts = [f"{self.name}: step {max(steps[-1] for steps, _ in self.curves.values())}"]
        if "loss" in self.curves:
            parts.append(f"loss {self.curves['loss'][1][-1]:.5g}")
        scored = [(psnr, step) for step, psnr in zip(*self.curves.get("validation_psnr", ((), ()))) if psnr == psnr]
        if scored:
            parts.append("best validation PSNR {:.3f} dB after step {}".format(*max(scored, key=lambda point: point[0])))
        return ", ".join(parts)


def read_runs(paths: Sequence[PathLike]) -> list[Run]:
    """Read the logs of runs.

    Args:
        paths: folders of runs, finished or running, or their logs by themselves.

    Raises:
        UserError: nothing at a path, no log there, or nothing in it yet.
    """
    places = [_place(path) for path in paths]
    names = [name for _, name in places]
    return [Run(name if names.count(name) == 1 else str(path), _curves(log)) for (log, name), path in zip(places, paths)]


def draw(runs: Sequence[Run], path: PathLike) -> None:
    """Draw runs together into ``path``, a panel for each of ``PANELS`` that any of them has.

    Raises ``UserError`` for a path that ends neither in .svg nor in .png.
    """
    from matplotlib.figure import Figure

    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"{path}: a picture of curves ends in {' or '.join(FORMATS)}; name it so.")
    keys = [key for key in PANELS if any(key in run.curves for run in runs)]
    with figure_style(path.name):
        figure = Figure(figsize=(9, 0.8 + 2.4 * len(keys)), layout="constrained")
        panels = figure.subplots(len(keys), 1, sharex=True, squeeze=False)[:, 0]
        for key, axes in zip(keys, panels):
            axes.set_ylabel(PANELS[key])
            axes.grid(alpha=0.3)
            for number, run in enumerate(runs):
                if key in run.curves:
                    _draw_curve(axes, key, *run.curves[key], colour=f"C{number}")
            if key == "loss" and all(value > 0 for run in runs for value in run.curves.get(key, ((), ()))[1]):
                axes.set_yscale("log")
        panels[-1].set_xlabel("step")
        if len(runs) == 1:
            figure.suptitle(runs[0].name)
        else:
            handles = [panels[0].plot([], [], color=f"C{number}", label=run.name)[0] for number, run in enumerate(runs)]
            figure.legend(handles=handles, loc="outside upper center", ncols=min(len(runs), 4), frameon=False)
        with replacing(path) as scratch:
            figure.savefig(scratch, dpi=DOTS_PER_INCH, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)


def _place(path: PathLike) -> tuple[Path, str]:
    """Return (log, name of the run) of a run's folder, or of its log."""
    path = existing(path, "training run")
    if path.is_dir():
        return existing(path / FILE, KIND), path.resolve().name
    return path, path.stem


def _curves(log: Path) -> dict[str, Curve]:
    lines = read_log(log)
    curves = {}
    for key in PANELS:
        points = [(line["step"], line[key]) for line in lines if key in line]
        if points:
            curves[key] = tuple(map(list, zip(*points)))
    if not curves:
        raise UserError(f"{log}: nothing is logged in it yet; wait for the run's first training.log_every steps.")
    return curves


def _draw_curve(axes: Axes, key: str, steps: Sequence[int], values: Sequence[float], *, colour: str) -> None:
    marker = "o" if len(values) < SMOOTHED_FROM else None
    if key == "loss" and marker is None:
        axes.plot(steps, values, color=colour, linewidth=0.8, alpha=0.3)
        steps, values = _smoothed(steps, values)
    axes.plot(steps, values, color=colour, linewidth=1.4, marker=marker, markersize=3)


def _smoothed(steps: Sequence[int], values: Sequence[float]) -> tuple[Sequence[int], list[float]]:
    """Return (steps, means) of a running mean over a twentieth of the curve, where it does not reach beyond an end.

    A value that is not finite spoils only the means that it is in.
    """
    width = len(values) // 20 | 1
    means = [sum(values[start : start + width]) / width for start in range(len(values) - width + 1)]
    return steps[width // 2 : width // 2 + len(means)], means
