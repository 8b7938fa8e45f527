"""Recomputation: what a function would keep for its gradient is computed a second time when the gradient is taken."""
from __future__ import annotations

from collections.abc import Callable, Iterable

from mindspore import Tensor, nn


class Recomputed(nn.Cell):
    """``function(w, *tensors)``, of which nothing is kept for its gradient but its arguments and its result.

    w: dict of tensors; those called ``names`` are what the function takes of them.
    """

    def __init__(self, function: Callable[..., Tensor], names: Iterable[str]) -> None:
        super().__init__()
        self.function, self.names = function, tuple(names)
        self.recompute()

    def construct(self, *tensors: Tensor | None) -> Tensor:
        w = {}
        for index in range(len(self.names)):
            w[self.names[index]] = tensors[index]
        return self.function(w, *tensors[len(self.names):])


def evaluated(function: Callable[..., Tensor], recomputed: Recomputed | None, w: dict[str, Tensor],
              *tensors: Tensor | None) -> Tensor:
    """Return ``function(w, *tensors)``, by a ``Recomputed`` where there is one.

    In PyNative mode nothing but tensors may enter a cell that is recomputed, so ``w`` goes in as tensors.
    """
    if recomputed is None:
        return function(w, *tensors)
    weights = ()
    for name in recomputed.names:
        weights = weights + (w[name],)
    return recomputed(*weights, *tensors)
