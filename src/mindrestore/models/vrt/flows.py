"""Flows between the frames of a clip, near and far, and the frames warped along them.

A list of flows holds (N, D - k, 2, H, W) for each distance k and scale: backward ones lead from frame i to i + k,
forward ones from frame i + k to i. Source: VRT (arXiv 2201.12288), section 3.4.
"""
from mindspore import ops

from mindrestore.ops.warp import warp, warp_nearest4


def adjacent_flows(spynet, clip):
    """Return (backward, forward) flows between neighbouring frames of (N, D, 3, H, W), each a list by scale."""
    batch, frames, channels, height, width = clip.shape
    earlier = clip[:, :-1].reshape(-1, channels, height, width)
    later = clip[:, 1:].reshape(-1, channels, height, width)
    both = spynet(ops.cat((earlier, later)), ops.cat((later, earlier)))
    half = earlier.shape[0]
    backward = [flow[:half].reshape(batch, frames - 1, *flow.shape[1:]) for flow in both]
    forward = [flow[half:].reshape(batch, frames - 1, *flow.shape[1:]) for flow in both]
    return backward, forward


def all_flows(spynet, clip, distances):
    """Return (backward, forward), each a list by distance (1 to ``distances``) of lists by scale."""
    near = adjacent_flows(spynet, clip)
    backward, forward = [near[0]], [near[1]]
    for distance in range(2, distances + 1):
        backward.append([])
        forward.append([])
        for scale in range(len(near[0])):
            # one step less far, then the last step: from i over i + k - 1 to i + k, and from i + k over i + 1 to i
            steps = backward[distance - 2][scale][:, :-1], forward[distance - 2][scale][:, 1:]
            lasts = near[0][scale][:, distance - 1:], near[1][scale][:, :1 - distance]
            longer = _composed(ops.cat(steps), ops.cat(lasts))
            half = steps[0].shape[0]
            backward[-1].append(longer[:half])
            forward[-1].append(longer[half:])
    return backward, forward


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
