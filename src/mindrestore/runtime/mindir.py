"""Graphs in MINDIR and AIR files: written and read by MindSpore, its quirks kept to here."""
from pathlib import Path

import mindspore as ms
from mindspore import Tensor, nn


def write(cell, shapes, path):
    """Write ``cell`` for inputs of ``shapes``, None being a free size; the suffix of ``path`` says .mindir or .air.

    MindSpore takes ASCII paths without spaces only, makes the file read-only and, above 1 GB, writes several: give a path in a
    temporary folder.
    """
    level = ms.get_context("jit_syntax_level")
    try:
        ms.export(cell, *map(_of_shape, shapes), file_name=str(path), file_format=path.suffix[1:].upper())
    finally:
        ms.set_context(jit_syntax_level=level)  # which a failing export leaves changed


def read(path, shapes):
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


def _of_shape(shape):
    return Tensor(shape=list(shape), dtype=ms.float32)
