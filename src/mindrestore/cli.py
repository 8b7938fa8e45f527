"""The command line, ``mindrestore COMMAND``; ``train.py``, ``eval.py`` and ``export.py`` are the same."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mindrestore.commands import (
    completion,
    convert,
    data,
    doctor,
    evaluate,
    export,
    launch,
    mask,
    plot,
    restore,
    serve,
    simulate,
    train,
    weights,
)
from mindrestore.exit_status import print_in_any_encoding, status_of
from mindrestore.version import __version__

COMMANDS = (train, evaluate, restore, serve, simulate, mask, export, convert, weights, data, launch, plot, doctor, completion)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0, 2 after a user's mistake, 3 after restoring a damaged video, 130 after
    Ctrl-C, 143 after SIGTERM.

    arguments: of the command line, by default those of the process.
    """
    print_in_any_encoding()
    options = parsed(arguments)
    return status_of(options.run, options)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of a command line; ``key=value`` may stand anywhere among them."""
    commands = parser()
    options, others = commands.parse_known_args(arguments)
    overrides = [word for word in others if "=" in word and not word.startswith("-")]
    if len(overrides) < len(others) or overrides and not hasattr(options, "overrides"):
        commands.error(f"unrecognized arguments: {' '.join(others)}")
    if overrides:
        options.overrides = [*options.overrides, *overrides]
    return options


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each sets ``run``, the function that executes it."""
    top = argparse.ArgumentParser(prog="mindrestore", description="Video restoration on MindSpore.")
    top.add_argument("--version", action="version", version=f"mindrestore {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    top.set_defaults(top=top)  # which completion is made of
    for module in COMMANDS:
        module.add(commands)
    return top


if __name__ == "__main__":
    sys.exit(main())
