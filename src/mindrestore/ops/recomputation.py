"""Recomputation (gradient checkpointing): intermediate results are computed a second time when the gradient is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mindspore import Tensor, nn


class Recomputed(nn.Cell):
    """``function(w, *tensors)``, which stores only its arguments and its result for its gradient.

    Called with the weights ``names``, in this order, then the other tensors.
    """

    def __init__(self, function: Callable[..., Tensor], names: Iterable[str]) -> None:
        super().__init__()
        self.function, self.names = function, tuple(names)
        self.recompute()

    def construct(self, *tensors: Tensor | None) -> Tensor:
        w = {}
        for index in range(len(self.names)):
            w[self.names[index]] = tensors[index]
        return self.function(w, *tensors[len(self.names) :])


def evaluated(
    function: Callable[..., Tensor], recomputed: Recomputed | None, w: dict[str, Tensor], *tensors: Tensor | None
) -> Tensor:
    """Return ``function(w, *tensors)``, by its ``Recomputed`` unless that is None.

    In PyNative mode a recomputed cell takes only tensors, so the weights are passed one by one.
    """
    if recomputed is None:
        return function(w, *tensors)
    weights = ()
    for name in recomputed.names:
        weights = weights + (w[name],)
    return recomputed(*weights, *tensors)
