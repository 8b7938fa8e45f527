"""RevSCI as it is exported: for any height and width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindspore import Tensor, nn, ops

if TYPE_CHECKING:
    from mindrestore.models.revsci.network import RevSCI


class AnySize(nn.Cell):
    """A RevSCI network as a graph for any height and width: odd sizes are padded by slices instead of a branch.

    Arguments and result as ``RevSCI.construct``.
    """

    def __init__(self, network: RevSCI) -> None:
        super().__init__(auto_prefix=False)  # the network's parameters keep their names
        self.network = network
        self.corrects_estimate = network.corrects_estimate

    def construct(self, measurement: Tensor, mask: Tensor, estimate: Tensor | None = None) -> Tensor:
        height, width = measurement.shape[-2:]
        if self.corrects_estimate:
            estimate = _to_even(estimate)
        clip = self.network.reconstruct(_to_even(measurement), _to_even(mask), estimate)
        return clip[..., :height, :width]


def _to_even(x: Tensor) -> Tensor:
    """Repeat the last row and column of (..., H, W), then crop to the next even height and width."""
    height, width = x.shape[-2:]
    x = ops.cat((x, x[..., -1:, :]), -2)
    x = ops.cat((x, x[..., -1:]), -1)
    return x[..., : height + height % 2, : width + width % 2]
