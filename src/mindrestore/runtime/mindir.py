"""Graphs in MINDIR and AIR files, written and read by MindSpore, which is imported when that is asked for."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mindrestore.errors import UserError

if TYPE_CHECKING:
    from mindspore import Tensor, nn

PLAIN = re.compile(r"[0-9a-zA-Z@_\-.:/\\]+")  # MindSpore's own expression
PLACES = ("/tmp", "/var/tmp", "/dev/shm")
Shape = Sequence[int | None]  # of an input; None is a free size


def write(cell: nn.Cell, shapes: Sequence[Shape], path: Path) -> None:
    """Write ``cell`` for inputs of ``shapes``; the suffix of ``path``, .mindir or .air, says the format.

    MindSpore makes the file read-only and, above 1 GB, writes several: give a path in a temporary folder. It takes ``PLAIN``
    paths only; where ``path`` is none, the file is written elsewhere and moved.
    """
    if not PLAIN.fullmatch(str(path)):
        with tempfile.TemporaryDirectory(prefix="mindrestore-", dir=_plain_folder(path)) as folder:
            write(cell, shapes, Path(folder, f"network{path.suffix}"))
            for file in Path(folder).iterdir():
                shutil.move(file, path.with_name(file.name.replace("network", path.stem, 1)))
        return
    import mindspore as ms

    level = ms.get_context("jit_syntax_level")
    try:
        ms.export(cell, *map(_of_shape, shapes), file_name=str(path), file_format=path.suffix[1:].upper())
    finally:
        ms.set_context(jit_syntax_level=level)  # a failing export leaves it changed


def _plain_folder(path: Path) -> str:
    """Return the first of the usual places for temporary files whose path MindSpore takes; ``UserError`` if there is none."""
    folder = next(
        (each for each in (tempfile.gettempdir(), *PLACES) if PLAIN.fullmatch(each) and os.access(each, os.W_OK)), None
    )
    if folder is None:
        raise UserError(
            f"{path.parent}: MindSpore writes no graph to a path of other letters than ASCII, digits and @_-.:/; let TMPDIR "
            "name a folder of such a path."
        )
    return folder


def read(path: str | Path, shapes: Sequence[Shape]) -> Callable[..., np.ndarray]:
    """Return the graph in a .mindir file as a function from arrays to an array, compiled once for all sizes that ``shapes``
    leave free.

    Raises:
        ValueError: what MindSpore says of a file that it cannot load, in a line.
    """
    import mindspore as ms

    try:
        graph = ms.nn.GraphCell(ms.load(str(Path(path).resolve())))
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(str(error).strip().splitlines()[0]) from error
    graph.set_inputs(*map(_of_shape, shapes))
    return lambda *arrays: graph(*map(ms.Tensor, arrays)).numpy()


def _of_shape(shape: Shape) -> Tensor:
    import mindspore as ms

    return ms.Tensor(shape=list(shape), dtype=ms.float32)
