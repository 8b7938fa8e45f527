"""Configurations that ship, by name: an installed package holds them as its folder ``configs``, a checkout at its top."""

from __future__ import annotations

import difflib
from pathlib import Path

from mindrestore.errors import UserError
from mindrestore.files import PathLike

_PACKAGE = Path(__file__).resolve().parents[1]


def folder() -> Path:
    """Return the folder of the configurations that ship."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "configs"


def shipped() -> dict[str, Path]:
    """Return the paths of the configurations that ship by their names, such as ``"small_denoise"``, in order."""
    return {path.stem: path for path in sorted(folder().glob("*/*.yaml"))}


def found(config: PathLike) -> Path:
    """Return the path of a configuration: ``config`` itself if it exists, or the one that ships under this name.

    ``small_denoise``, ``vrt/small_denoise`` and ``configs/vrt/small_denoise.yaml`` are the same one, wherever the command runs.

    Raises ``UserError`` that lists the names, the nearest first.
    """
    path = Path(config)
    if path.exists():
        return path
    known = shipped()
    word = path.as_posix().removesuffix(".yaml")
    for name, ships in known.items():
        if word in (name, f"{ships.parent.name}/{name}", f"configs/{ships.parent.name}/{name}"):
            return ships

    def unlikeness(name: str) -> float:
        return -difflib.SequenceMatcher(None, path.stem, name).ratio()

    raise UserError(
        f"{path}: no such configuration file; give the path of one, or the name of one that ships: "
        f"{', '.join(sorted(known, key=unlikeness))}."
    )
