"""Flows between the frames of a clip, near and far, and the frames warped along them.

Source: VRT (arXiv 2201.12288), section 3.4.
"""
from __future__ import annotations

from mindspore import Tensor, ops

from mindrestore.models.piece import Piece, Weights
from mindrestore.models.vrt.spynet import SpyNet, flow_pyramid
from mindrestore.ops.warp import warp, warp_nearest4

SCALES = 4  # 1, 1/2, 1/4 and 1/8


class ClipFlows(Piece):
    """The flows of a clip (N, D, 3, H, W), each (N, D - k, 2, H / s, W / s): backward ones, from frame i to i + k, by distance
    k and scale s, then forward ones, from frame i + k to i.
    """

    def __init__(self, spynet: SpyNet, distances: int) -> None:
        super().__init__(distances, spynet=spynet)
        self.distances = distances

    def compute(self, w: Weights, clip: Tensor) -> tuple[Tensor, ...]:
        near_backward, near_forward = adjacent_flows(w, clip)
        backward, forward = near_backward, near_forward
        for distance in range(2, self.distances + 1):
            for scale in range(SCALES):
                # a flow of distance k - 1, then one of distance 1: from i over i + k - 1 to i + k, and i + k over i + 1 to i
                former = (distance - 2) * SCALES + scale
                shorter = backward[former][:, :-1], forward[former][:, 1:]
                last = near_backward[scale][:, distance - 1:], near_forward[scale][:, :1 - distance]
                longer = _composed(ops.cat(shorter), ops.cat(last))
                half = shorter[0].shape[0]
                backward, forward = backward + (longer[:half],), forward + (longer[half:],)
        return backward + forward


def of_scale(flows: tuple[Tensor, ...], scale: int) -> tuple[Tensor, ...]:
    """Return the flows of ``ClipFlows`` at one scale (0 to 3): backward ones by distance, then forward ones."""
    return flows[scale::SCALES]


def adjacent_flows(w: Weights, clip: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return (backward, forward) flows between neighbouring frames of (N, D, 3, H, W), each a tuple by scale."""
    batch, frames, channels, height, width = clip.shape
    earlier = clip[:, :-1].reshape(-1, channels, height, width)
    later = clip[:, 1:].reshape(-1, channels, height, width)
    backward, forward = (), ()
    half = earlier.shape[0]
    for flow in flow_pyramid(w, ops.cat((earlier, later)), ops.cat((later, earlier))):
        backward = backward + (flow[:half].reshape(batch, frames - 1, *flow.shape[1:]),)
        forward = forward + (flow[half:].reshape(batch, frames - 1, *flow.shape[1:]),)
    return backward, forward


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
