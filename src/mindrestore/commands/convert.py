"""``mindrestore convert``."""

from __future__ import annotations

from argparse import Namespace

from mindrestore.commands.shared import Commands, command


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    convert = command(commands, "convert", _run, summary="turn published weights into a mindrestore checkpoint")
    convert.add_argument("source", help=".pth, .npz or .safetensors")
    convert.add_argument("target", help=".ckpt")


def _run(options: Namespace) -> None:
    from mindrestore.checkpoints.convert import convert

    print(convert(options.source, options.target))
