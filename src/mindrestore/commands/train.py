"""``mindrestore train``, ``train.py``."""

from __future__ import annotations

from argparse import Namespace

from mindrestore.commands.shared import Commands, command, common, overrides_of, start
from mindrestore.errors import Stopped


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    train = command(commands, "train", _run, summary="train a network as a configuration says")
    train.add_argument("--config", required=True, help="configuration file, or the name of one that ships, such as small_cpu")
    train.add_argument("--resume", action="store_true", help="go on with the run in the output folder, exactly")
    common(train)


def _run(options: Namespace) -> None:
    from mindrestore.config import load_config

    config = load_config(options.config, overrides_of(options))
    from mindrestore.runtime import cluster

    cluster.refuse_other_starts(options.config)
    start(config)
    from mindrestore.training.trainer import train

    try:
        folder = train(config, options.resume)
    except Stopped as stopped:
        cluster.leave(stopped.status)
        raise
    if cluster.is_main():
        best = folder / "best.ckpt"
        scored = f"{best} and " if best.exists() else ""  # a run without validation has no best
        print(f"Trained: {scored}{folder / 'last.ckpt'}; the log is {folder / 'log.jsonl'}.")
    cluster.leave()
