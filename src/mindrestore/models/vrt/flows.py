"""Flows between the frames of a clip, near and far, and the frames warped along them.

Source: VRT (arXiv 2201.12288), section 3.4.
"""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from mindrestore.models.piece import Piece, Rearrangement, Shape, Weights
from mindrestore.models.vrt.spynet import SpyNet
from mindrestore.ops.warp import warp, warp_nearest4

SCALES = 4  # 1, 1/2, 1/4 and 1/8


class ClipFlows(nn.Cell):
    """The flows of a clip (N, D, 3, H, W), each (N, D - k, 2, H / s, W / s): backward ones, from frame i to i + k, by distance
    k and scale s, then forward ones, from frame i + k to i.

    spynet: not owned; distances: the largest k.
    """

    def __init__(self, spynet: SpyNet, distances: int) -> None:
        super().__init__(auto_prefix=False)
        self.__dict__["spynet"] = spynet
        self.distances = distances
        self.pairs, self.parted, self.lengthen = FramePairs(), FlowsByDirection(), LongerFlows()

    def construct(self, clip: Tensor) -> tuple[Tensor, ...]:
        batch, frames = clip.shape[:2]
        near = self.parted(batch, frames, *self.spynet(*self.pairs(clip)))
        near_backward, near_forward = near[:SCALES], near[SCALES:]
        backward, forward = near_backward, near_forward
        for distance in range(2, self.distances + 1):
            for scale in range(SCALES):
                former = (distance - 2) * SCALES + scale
                longer = self.lengthen(backward[former], forward[former], near_backward[scale], near_forward[scale])
                backward, forward = backward + longer[:1], forward + longer[1:]
        return backward + forward


class FramePairs(Piece):
    """A clip (N, D, C, H, W) -> all frames that have a neighbour, and these neighbours, later ones first: each (2 N (D - 1), C,
    H, W).
    """

    def compute(self, w: Weights, clip: Tensor) -> tuple[Tensor, Tensor]:
        size = clip.shape[2:]
        earlier, later = clip[:, :-1].reshape(-1, *size), clip[:, 1:].reshape(-1, *size)
        return ops.cat((earlier, later)), ops.cat((later, earlier))


class FlowsByDirection(Rearrangement):
    """Batch, frames and the flows of ``FramePairs`` by scale -> backward ones by scale, each (N, D - 1, 2, H, W), then forward
    ones.
    """

    def compute(self, w: Weights, batch: int, frames: int, *flows: Tensor) -> tuple[Tensor, ...]:
        backward, forward = (), ()
        half = batch * (frames - 1)
        for flow in flows:
            backward = backward + (flow[:half].reshape(batch, frames - 1, *flow.shape[1:]),)
            forward = forward + (flow[half:].reshape(batch, frames - 1, *flow.shape[1:]),)
        return backward + forward

    def adjoint(self, shapes: tuple[Shape | None, ...], *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        backward, forward = gradients[:SCALES], gradients[SCALES:]
        return None, None, *map(_of_both, shapes[2:], backward, forward)


def _of_both(shape: Shape, backward: Tensor | None, forward: Tensor | None) -> Tensor | None:
    """Return the gradient of flows of ``shape``, given that of either direction, None where the loss does not depend on it."""
    if backward is None and forward is None:
        return None
    half = (shape[0] // 2, *shape[1:])
    return ops.cat([ops.zeros(half) if part is None else part.reshape(half) for part in (backward, forward)])


class LongerFlows(Piece):
    """Flows of distance k - 1, backward and forward, and those of distance 1 -> flows of distance k.

    Backward from i over i + k - 1 to i + k, forward from i + k over i + 1 to i.
    """

    def compute(
        self, w: Weights, backward: Tensor, forward: Tensor, near_backward: Tensor, near_forward: Tensor
    ) -> tuple[Tensor, Tensor]:
        distance = near_backward.shape[1] - backward.shape[1] + 2
        shorter = backward[:, :-1], forward[:, 1:]
        last = near_backward[:, distance - 1 :], near_forward[:, : 1 - distance]
        longer = _composed(ops.cat(shorter), ops.cat(last))
        half = shorter[0].shape[0]
        return longer[:half], longer[half:]


def of_scale(flows: tuple[Tensor, ...], scale: int) -> tuple[Tensor, ...]:
    """Return the flows of ``ClipFlows`` at one scale (0 to 3): backward ones by distance, then forward ones."""
    return flows[scale::SCALES]


def _composed(first: Tensor, second: Tensor) -> Tensor:
    """Compose two flows, ``first`` and then ``second``, each (N, K, 2, H, W)."""
    batch, count, _, height, width = first.shape
    first, second = (flow.reshape(-1, 2, height, width) for flow in (first, second))
    return (first + warp(second, first)).reshape(batch, count, 2, height, width)


def with_neighbours(clip: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
    """Concatenate each frame with the next and the previous one, each warped to it by ``warp_nearest4``.

    clip: (N, D, C, H, W); backward, forward: (N, D - 1, 2, H, W). Returns (N, D, 9 C, H, W), zeros at the ends of the clip.
    """
    batch, frames, channels, height, width = clip.shape
    neighbours = ops.cat((clip[:, 1:], clip[:, :-1])).reshape(-1, channels, height, width)
    flows = ops.cat((backward, forward)).reshape(-1, 2, height, width)
    warped = warp_nearest4(neighbours, flows).reshape(2 * batch, frames - 1, 4 * channels, height, width)
    missing = ops.zeros((batch, 1, 4 * channels, height, width), clip.dtype)
    return ops.cat((clip, ops.cat((warped[:batch], missing), 1), ops.cat((missing, warped[batch:]), 1)), 2)
