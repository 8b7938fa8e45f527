"""The command line: ``mindrestore train | eval | restore | simulate | mask | export | convert | plot | doctor``; ``train.py``,
``eval.py`` and ``export.py`` are the same.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mindrestore.commands import convert, doctor, evaluate, export, mask, plot, restore, simulate, train
from mindrestore.exit_status import status_of
from mindrestore.version import __version__

COMMANDS = (train, evaluate, restore, simulate, mask, export, convert, plot, doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0, 2 after a user's mistake, 3 after restoring a damaged video, 130 after
    Ctrl-C, 143 after SIGTERM.

    arguments: of the command line, by default those of the process.
    """
    options = parser().parse_args(arguments)
    return status_of(options.run, options)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each sets ``run``, the function that executes it."""
    top = argparse.ArgumentParser(prog="mindrestore", description="Video restoration on MindSpore.")
    top.add_argument("--version", action="version", version=f"mindrestore {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add(commands)
    return top


if __name__ == "__main__":
    sys.exit(main())
