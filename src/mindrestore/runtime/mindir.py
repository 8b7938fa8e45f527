"""Graphs in MINDIR and AIR files, written and read by MindSpore."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import mindspore as ms
from mindspore import Tensor, nn

Shape = Sequence[int | None]  # of an input; None is a free size


def write(cell: nn.Cell, shapes: Sequence[Shape], path: Path) -> None:
    """Write ``cell`` for inputs of ``shapes``; the suffix of ``path``, .mindir or .air, says the format.

    MindSpore takes ASCII paths without spaces only, makes the file read-only and, above 1 GB, writes several: give a path in a
    temporary folder.
    """
    level = ms.get_context("jit_syntax_level")
    try:
        ms.export(cell, *map(_of_shape, shapes), file_name=str(path), file_format=path.suffix[1:].upper())
    finally:
        ms.set_context(jit_syntax_level=level)  # a failing export leaves it changed


def read(path: str | Path, shapes: Sequence[Shape]) -> nn.GraphCell:
    """Return the graph in a .mindir file as a cell, compiled once for all sizes that ``shapes`` leave free.

    Raises:
        ValueError: what MindSpore says of a file that it cannot load, in a line.
    """
    try:
        graph = nn.GraphCell(ms.load(str(Path(path).resolve())))
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(str(error).strip().splitlines()[0]) from error
    graph.set_inputs(*map(_of_shape, shapes))
    return graph


def _of_shape(shape: Shape) -> Tensor:
    return Tensor(shape=list(shape), dtype=ms.float32)
