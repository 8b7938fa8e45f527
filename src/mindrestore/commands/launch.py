"""``mindrestore launch``: the launchers of ``scripts/``, which an installed package holds as a folder of its own."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from mindrestore.commands.shared import Commands
from mindrestore.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    command = commands.add_parser(
        "launch", help="train on several devices, by the launchers of scripts/", prefix_chars="\0", add_help=False
    )
    command.set_defaults(run=_run)
    command.add_argument("launcher", nargs="?", metavar="LAUNCHER", help="such as distribute_train_gpu")
    command.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="of the launcher, such as --help")


def launchers() -> dict[str, Path]:
    """Return the paths of the launchers by their names, such as ``"distribute_train_gpu"``."""
    installed = _PACKAGE / "scripts"
    folder = installed if installed.is_dir() else _PACKAGE.parents[1] / "scripts"
    scripts = {path.stem.removeprefix("run_"): path for path in sorted(folder.glob("run_*.sh"))}
    return {**scripts, "generate_rank_table": folder / "generate_rank_table.py"}


def _run(options: argparse.Namespace) -> None:
    known = launchers()
    if options.launcher in (None, "-h", "--help"):
        print(
            "usage: mindrestore launch LAUNCHER [ARGUMENT ...]\n\nLaunchers, each of which explains itself by --help:\n  "
            + "\n  ".join(known)
        )
        return
    if options.launcher not in known:
        raise UserError(f"launch {options.launcher}: no such launcher; choose one of {', '.join(known)}.")
    script = known[options.launcher]
    program = sys.executable if script.suffix == ".py" else shutil.which("bash")
    if program is None:
        raise UserError(f"launch {options.launcher}: bash is not on PATH, and the launchers are written for it; install it.")
    environment = {
        **os.environ,
        "MINDRESTORE_CALLED": f"mindrestore launch {options.launcher}",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    sys.stdout.flush()
    os.execve(program, [program, str(script), *options.arguments], environment)
