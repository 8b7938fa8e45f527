"""What the commands that read a configuration share: options, and the overrides that they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from mindrestore.errors import UserError

if TYPE_CHECKING:
    from mindrestore.checkpoints.loading import Loaded
    from mindrestore.config.sections import Common

Commands = argparse._SubParsersAction
"""Type of what ``add_subparsers`` returns, which commands are added to."""


def command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], None], *, summary: str, details: str = ""
) -> argparse.ArgumentParser:
    """Add a command called ``name`` that ``run(options)`` executes; return its parser."""
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {details}")
    parser.set_defaults(run=run)
    return parser


def common(parser: argparse.ArgumentParser) -> None:
    """Add the options that all commands with a configuration have."""
    parser.add_argument("--device", choices=("auto", "cpu", "gpu", "ascend"), help="default: auto")
    precision(parser)
    parser.add_argument("--output", help="folder, or for export the file, of the results")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, such as training.steps=100")


def precision(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--precision``."""
    parser.add_argument(
        "--precision",
        choices=("float32", "float16"),
        help="what is multiplied and convolved in; default: "
        "float32. float16 is for GPU and Ascend: flows, normalisation and softmax stay float32",
    )


def overrides_of(options: argparse.Namespace) -> list[str]:
    """Return the overrides ``key=value`` that the options of ``common`` stand for."""
    overrides = list(options.overrides)
    if options.device:
        overrides.append(f"runtime.device={options.device}")
    if options.precision:
        overrides.append(f"runtime.precision={options.precision}")
    if options.output:
        overrides.append(f"output={options.output}")
    return overrides


def of_whole_network(config: Common) -> Common:
    """Return ``config``; raise ``UserError`` where its network is a part of another and is only trained by itself."""
    from mindrestore.models import kind_of

    kind = kind_of(config.model.name)
    if kind.part_of:
        title, example = kind.part_of
        raise UserError(
            f"configuration {config.name}: {kind.title} is trained by itself but used as a part of {title}; give "
            f"the configuration of a {title}, such as {example}."
        )
    return config


def start(config: Common) -> None:
    """Prepare MindSpore as the configuration says."""
    from mindrestore import native
    from mindrestore.runtime import cluster, session

    cluster.refuse_other_starts()
    session.start(config.runtime.device, config.runtime.mode, config.runtime.threads, config.runtime.precision)
    native.use(config.runtime.native)


def loaded_for(config: Common, options: argparse.Namespace) -> Loaded:
    """Return the network of a command as ``Loaded``.

    With a configuration file it is that of the configuration. Without one it is that of the checkpoint, by default the one that
    ships, and ``config.model`` becomes the settings of that network.
    """
    from mindrestore.checkpoints.loading import load, load_for_settings, shipped
    from mindrestore.models import kind_of

    checkpoint = options.checkpoint or config.checkpoint
    if options.config:
        return load_for_settings(config.model, checkpoint, config.name)
    loaded = load(checkpoint or shipped(config.model.abilities.tasks[0]))
    kind = kind_of(loaded.metadata.kind)
    if kind.problem == config.problem:
        config.model = kind.settings.of(loaded.metadata.settings)
    return loaded
