"""``mindrestore weights``: what the authors of the networks publish, listed and fetched."""

from __future__ import annotations

from argparse import Namespace

from mindrestore.commands.shared import Commands


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    command = commands.add_parser(
        "weights",
        help="list or fetch published weights",
        description="Published weights are known by one word, such as 006, which --checkpoint takes as well: they are fetched "
        "when they are first used, and kept. MINDRESTORE_CACHE names the folder; proxies are those of the "
        "environment (https_proxy).",
    )
    what = command.add_subparsers(dest="what", required=True, metavar="list | get")
    listed = what.add_parser(
        "list",
        help="say what there is",
        description="Say what there is: name, network, size, the "
        "configuration that ships for it, figure and licence as published, and whether it is here.",
    )
    listed.set_defaults(run=_list)
    get = what.add_parser(
        "get",
        help="fetch files into the cache",
        description="Fetch files into the cache, going on where a former try stopped, and print where they are.",
    )
    get.add_argument("names", nargs="+", metavar="NAME", help="such as 006, see `mindrestore weights list`")
    get.set_defaults(run=_get)


def _list(options: Namespace) -> None:
    from mindrestore.checkpoints.download import cache
    from mindrestore.checkpoints.named import place_of, published_files

    rows = [("name", "for", "MB", "configuration", "published", "")]
    files = [file for _, file in published_files()]
    rows += [
        (
            file.name,
            file.task,
            f"{file.megabytes:.1f}",
            file.configuration or "-",
            file.figure or "-",
            _state(place_of(file).exists(), file.address),
        )
        for file in files
    ]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print(
            "  ".join(
                cell.rjust(width) if at == 2 else cell.ljust(width) for at, (cell, width) in enumerate(zip(row, widths))
            ).rstrip()
        )
    print()
    for page, licence in dict.fromkeys((file.page, file.licence) for file in files):
        names = ", ".join(file.name for file in files if (file.page, file.licence) == (page, licence))
        print(f"{names}: {page}; licence: {licence}")
    print(f"They are kept in {cache()}.")


def _state(here: bool, address: str | None) -> str:
    return "here" if here else "" if address else "by hand"


def _get(options: Namespace) -> None:
    from mindrestore.checkpoints.named import fetched, named

    for name in options.names:  # a slip is named before anything is fetched
        named(name)
    for name in options.names:
        print(fetched(name))
