"""Networks as functions of arrays, whatever they are: cells, callables of tensors, or files that need no MindSpore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def on_arrays(network: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Return ``network`` as a function from float32 arrays to an array.

    A cell made of pieces is executed piece by piece. A callable takes and gives tensors, unless its attribute ``takes_arrays``
    is true: only then is MindSpore not imported.
    """
    if getattr(network, "takes_arrays", False):
        return lambda *arrays: network(*map(np.ascontiguousarray, arrays))
    from mindspore import Tensor

    from mindrestore.executor import Piecewise
    from mindrestore.models.piece import made_of_pieces

    run = Piecewise(network) if made_of_pieces(network) else network
    return lambda *arrays: run(*(Tensor(np.ascontiguousarray(x)) for x in arrays)).numpy()
