"""How functions are executed: compiled into graphs, or operator by operator (PyNative). And how MindSpore's compiler is
given what it refuses or executes badly: parameters that change in place, many results, loops over a thousand tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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

    def run(*inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        number_type = precision.chosen()  # a graph keeps the one that it was compiled in
        if number_type not in graphs:
            graphs[number_type] = ms.jit(function)
        return graphs[number_type](*inputs)

    return run


def compiled_to_one_tensor(function: Callable[..., tuple[Tensor, Sequence[Tensor]]]) -> Callable[..., Tensor]:
    """Return ``function``, which gives (scalar, tensors), compiled so that it gives their values in one 1-D tensor.

    A thread that waits for the only result of a compiled function sleeps; one that waits for several keeps a core busy.
    """

    def one_tensor(*inputs: Tensor) -> Tensor:
        scalar, tensors = function(*inputs)
        return ops.cat((scalar.reshape(1), *flat(tensors)))

    return compiled(one_tensor)


def assign_in_place(parameter: Parameter, value: np.ndarray | Tensor) -> None:
    """Set a parameter to a value of its shape so that functions compiled before read the new value.

    ``set_data`` would give it other memory, which they neither read nor write.
    """
    ops.Assign()(parameter, value if isinstance(value, Tensor) else Tensor(value))


def fuses() -> bool:
    """Return whether MindSpore fuses operators of a graph into kernels that it compiles."""
    return ms.get_context("enable_graph_kernel")


# Inside a compiled function, the same for each of a thousand tensors. The compiler unrolls a loop, or a comprehension, into
# nested calls and refuses 1000 of them; HyperMap it takes.

_each = ops.HyperMap()
_flat, _squares, _scaled = map(ops.MultitypeFuncGraph, ("flat", "squares", "scaled"))


def flat(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return the tensors as 1-D tensors."""
    return _each(_flat, tensors)


def global_norm(tensors: Sequence[Tensor]) -> Tensor:
    """Return the square root of the sum of all squares, a scalar tensor."""
    return ops.sqrt(ops.AddN()(_each(_squares, tensors)))


def scaled(factor: Tensor, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return the tensors multiplied by ``factor``, a scalar tensor."""
    return _each(ops.partial(_scaled, factor), tensors)


@_flat.register("Tensor")
def _flattened(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1)


@_squares.register("Tensor")
def _sum_of_squares(tensor: Tensor) -> Tensor:
    return (tensor * tensor).sum()


@_scaled.register("Tensor", "Tensor")
def _multiplied(factor: Tensor, tensor: Tensor) -> Tensor:
    return tensor * factor
