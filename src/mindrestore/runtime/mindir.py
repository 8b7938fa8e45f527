"""Graphs in MINDIR and AIR files, written and read by MindSpore, which is imported when that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mindspore import Tensor, nn

Shape = Sequence[int | None]  # of an input; None is a free size


def write(cell: nn.Cell, shapes: Sequence[Shape], path: Path) -> None:
    """Write ``cell`` for inputs of ``shapes``; the suffix of ``path``, .mindir or .air, says the format.

    MindSpore takes ASCII paths without spaces only, makes the file read-only and, above 1 GB, writes several: give a path in a
    temporary folder.
    """
    import mindspore as ms

    level = ms.get_context("jit_syntax_level")
    try:
        ms.export(cell, *map(_of_shape, shapes), file_name=str(path), file_format=path.suffix[1:].upper())
    finally:
        ms.set_context(jit_syntax_level=level)  # a failing export leaves it changed


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
