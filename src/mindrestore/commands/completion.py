"""``mindrestore completion``: what a shell needs to complete commands, options, configurations and files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from mindrestore.commands.shared import Commands
from mindrestore.errors import UserError

SHELLS = ("bash", "zsh")
CONFIGS = "_mindrestore_configs"  # the function of the shell that completes --config


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    command = commands.add_parser(
        "completion",
        help="print what bash or zsh needs for completion by the tab key",
        description="Print what a shell needs to complete mindrestore by the tab key. bash: mindrestore completion bash > "
        "~/.local/share/bash-completion/completions/mindrestore; zsh: write it as _mindrestore into a folder of "
        "fpath.",
    )
    command.set_defaults(run=_run)
    command.add_argument("shell", choices=SHELLS)


def _run(options: argparse.Namespace) -> None:
    try:
        import shtab
    except ImportError as error:
        raise UserError('completion needs shtab; run: pip install "shtab>=1.7"') from error
    from mindrestore.config.shipped import shipped

    for action in _actions(options.top):
        if "--config" in action.option_strings:
            action.complete = dict.fromkeys(SHELLS, CONFIGS)
        elif action.choices is None and action.nargs != 0:
            action.complete = shtab.FILE
    names = " ".join(shipped())
    preamble = {
        "bash": f'{CONFIGS}() {{ compgen -W "{names}" -- "$1"; compgen -f -- "$1"; }}',
        "zsh": f"{CONFIGS}() {{ compadd {names}; _files }}",
    }
    print(shtab.complete(options.top, shell=options.shell, preamble=preamble))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the options and arguments of a parser and of its subcommands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)
        else:
            yield action
