"""Flows between the frames of a clip, near and far, and the frames warped along them.

Source: VRT (arXiv 2201.12288), section 3.4.
"""
from mindspore import nn, ops

from mindrestore.models.piece import Piece, Rearrangement
from mindrestore.ops.warp import warp, warp_nearest4

SCALES = 4  # 1, 1/2, 1/4 and 1/8


class ClipFlows(nn.Cell):
    """The flows of a clip (N, D, 3, H, W), each (N, D - k, 2, H / s, W / s): backward ones, which lead from frame i to i + k,
    by distance k and scale s, then forward ones, from frame i + k to i.

    spynet: not owned; distances: 1 to this are wanted.
    """

    def __init__(self, spynet, distances):
        super().__init__(auto_prefix=False)
        self.__dict__["spynet"] = spynet
        self.distances = distances
        self.pairs, self.parted, self.lengthen = FramePairs(), FlowsByDirection(), LongerFlows()

    def construct(self, clip):
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
    """A clip (N, D, C, H, W) -> all frames that have a neighbour, first a later then an earlier one, and these neighbours:
    each (2 N (D - 1), C, H, W).
    """

    def compute(self, w, clip):
        size = clip.shape[2:]
        earlier, later = clip[:, :-1].reshape(-1, *size), clip[:, 1:].reshape(-1, *size)
        return ops.cat((earlier, later)), ops.cat((later, earlier))


class FlowsByDirection(Rearrangement):
    """Batch, frames and the flows of ``FramePairs`` by scale -> backward ones by scale, each (N, D - 1, 2, H, W), then forward
    ones.
    """

    def compute(self, w, batch, frames, *flows):
        backward, forward = (), ()
        half = batch * (frames - 1)
        for flow in flows:
            backward = backward + (flow[:half].reshape(batch, frames - 1, *flow.shape[1:]),)
            forward = forward + (flow[half:].reshape(batch, frames - 1, *flow.shape[1:]),)
        return backward + forward

    def adjoint(self, shapes, *gradients):
        backward, forward = gradients[:SCALES], gradients[SCALES:]
        return None, None, *map(_of_both, shapes[2:], backward, forward)


def _of_both(shape, backward, forward):
    """Return the gradient of flows of ``shape``, given those of either direction, None for those there are not."""
    if backward is None and forward is None:
        return None
    half = (shape[0] // 2, *shape[1:])
    return ops.cat([ops.zeros(half) if part is None else part.reshape(half) for part in (backward, forward)])


class LongerFlows(Piece):
    """Flows of one distance less, backward and forward, and those between neighbours -> flows of one distance more.

    From i over i + k - 1 to i + k, and from i + k over i + 1 to i.
    """

    def compute(self, w, backward, forward, near_backward, near_forward):
        distance = near_backward.shape[1] - backward.shape[1] + 2
        steps = backward[:, :-1], forward[:, 1:]
        lasts = near_backward[:, distance - 1:], near_forward[:, :1 - distance]
        longer = _composed(ops.cat(steps), ops.cat(lasts))
        half = steps[0].shape[0]
        return longer[:half], longer[half:]


def of_scale(flows, scale):
    """Return of ``ClipFlows`` those of one scale (0 to 3): backward ones by distance, then forward ones."""
    return flows[scale::SCALES]


def _composed(first, second):
    """Return the flow along ``first`` and then ``second``, each (N, K, 2, H, W)."""
    batch, count, _, height, width = first.shape
    first, second = (flow.reshape(-1, 2, height, width) for flow in (first, second))
    return (first + warp(second, first)).reshape(batch, count, 2, height, width)


def joined_by_neighbours(clip, backward, forward):
    """Join each frame by its next and its previous one, each warped to it by 'nearest4'.

    clip: (N, D, C, H, W); backward, forward: (N, D - 1, 2, H, W). Returns (N, D, 9 C, H, W), zeros where there is no frame.
    """
    batch, frames, channels, height, width = clip.shape
    neighbours = ops.cat((clip[:, 1:], clip[:, :-1])).reshape(-1, channels, height, width)
    flows = ops.cat((backward, forward)).reshape(-1, 2, height, width)
    warped = warp_nearest4(neighbours, flows).reshape(2 * batch, frames - 1, 4 * channels, height, width)
    none = ops.zeros((batch, 1, 4 * channels, height, width), clip.dtype)
    return ops.cat((clip, ops.cat((warped[:batch], none), 1), ops.cat((none, warped[batch:]), 1)), 2)
