"""``mindrestore plot``: the curves of training runs as a picture."""

from __future__ import annotations

from argparse import Namespace

from mindrestore.commands.shared import Commands


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    command = commands.add_parser(
        "plot",
        help="draw loss, learning rate and PSNR of training runs, finished or running",
        description="Draw loss, learning rate and validation PSNR over the steps of a training run, finished or running; "
        "several runs are drawn together.",
    )
    command.set_defaults(run=_run)
    command.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run, such as runs/revsci_small, or its log")
    command.add_argument("--output", metavar="PICTURE", help=".svg or .png; default: curves.svg in the folder of the first run")


def _run(options: Namespace) -> None:
    from pathlib import Path

    from mindrestore.training.curves import draw, read_runs

    runs = read_runs(options.runs)
    first = Path(options.runs[0])
    output = options.output or (first if first.is_dir() else first.parent) / "curves.svg"
    draw(runs, output)
    for run in runs:
        print(run.summary())
    print(f"Wrote {output}.")
