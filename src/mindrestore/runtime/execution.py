"""How a function is executed: compiled into a graph, or operator by operator (PyNative)."""
from typing import Callable

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, ops

from mindrestore.runtime import precision

_mode = "graph"


def use(mode: str) -> None:
    """Make ``compiled`` compile (``"graph"``) or leave functions as they are (``"pynative"``, for debugging)."""
    global _mode
    _mode = mode
    ms.set_context(mode=ms.PYNATIVE_MODE)  # what is to be a graph is compiled piece by piece, by ``compiled``


def mode() -> str:
    """Return ``"graph"`` or ``"pynative"``."""
    return _mode


def compiled(function: Callable) -> Callable:
    """Return ``function`` compiled by MindSpore on its first call for each set of input shapes and each precision."""
    if _mode != "graph":
        return function
    graphs = {}

    def run(*inputs):
        number_type = precision.chosen()  # a graph keeps the one that it was compiled in
        if number_type not in graphs:
            graphs[number_type] = ms.jit(function)
        return graphs[number_type](*inputs)
    return run


def put(parameter: Parameter, value: np.ndarray) -> None:
    """Change a parameter in place, to an array of its shape.

    ``set_data`` would give it memory that a function compiled before neither reads nor writes.
    """
    ops.Assign()(parameter, Tensor(value))


def fuses() -> bool:
    """Return whether MindSpore fuses operators of a graph into kernels that it compiles."""
    return ms.get_context("enable_graph_kernel")
