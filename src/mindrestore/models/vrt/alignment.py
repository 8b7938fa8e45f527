"""Parallel warping: every frame's features are joined by its neighbours', aligned by flow-guided deformable convolution.

Both directions of all frames are aligned in one call. Source: VRT (arXiv 2201.12288), section 3.4.
Features are channels last: (B, D, H, W, C).
"""
from mindspore import nn, ops

from mindrestore.models.vrt.layers import Conv, constant, pixels_last, uniform
from mindrestore.ops.activations import LeakyReLU, sigmoid, tanh
from mindrestore.ops.deformable import TAPS, deformable_conv2d_features
from mindrestore.ops.warp import warp_features

LARGEST_RESIDUE = 10.0  # pixels at full size that an offset may add to the flow
SLOPE = 0.1


class Alignment(nn.Cell):
    """Deformable convolution of a frame's neighbours, with offsets around the flows that lead to them.

    Args:
        channels: of the features.
        neighbours: frames on each side, the nearest first; half of ``pa_frames``.
        groups: deformable groups.
        scale: of the stage, 1, 2, 4 or 8 times smaller than the clip.
    """

    def __init__(self, channels, neighbours, groups, scale, rng):
        super().__init__()
        self.neighbours = neighbours
        self.residue = LARGEST_RESIDUE / scale
        self.weight = uniform(rng, (channels, channels, 3, 3), "weight", channels * 9)
        self.bias = constant(channels, "bias")
        widths = ((1 + neighbours) * channels + 2 * neighbours, channels, channels, channels, 3 * TAPS * groups)
        layers = []
        for inputs, outputs in zip(widths[:-2], widths[1:]):
            layers += [Conv(inputs, outputs, rng), LeakyReLU(SLOPE)]
        self.conv_offset = nn.SequentialCell(layers + [Conv(channels, widths[-1], rng, zero=True)])

    def construct(self, x, backward, forward, run=None):
        """Return (from later frames, from earlier frames), each like x: (N, D, H, W, C); zeros where there is none.

        backward, forward: flows by distance, each (N, D - k, 2, H, W); run: as ``VRT.construct`` has it.
        """
        batch, frames, height, width, channels = x.shape
        current = ops.cat((x[:, :-1], x[:, 1:]))
        neighbours, flows = [], []
        for distance in range(1, self.neighbours + 1):
            later, earlier = x[:, distance:], x[:, :frames - distance]
            there, back = backward[distance - 1], forward[distance - 1]
            if distance > 1:
                none = ops.zeros((batch, distance - 1, height, width, channels), x.dtype)
                still = ops.zeros((batch, distance - 1, 2, height, width), x.dtype)
                later, earlier = ops.cat((later, none), 1), ops.cat((none, earlier), 1)
                there, back = ops.cat((there, still), 1), ops.cat((still, back), 1)
            neighbours.append(ops.cat((later, earlier)).reshape(-1, height, width, channels))
            flows.append(ops.cat((there, back)).reshape(-1, 2, height, width))
        current = current.reshape(-1, height, width, channels)
        if run is None:
            aligned = self.align(current, neighbours, flows)
        else:  # one image after the other, in less memory and faster
            aligned = ops.cat([self.align(*image, run.deform) for image in _images(current, neighbours, flows)])
        aligned = aligned.reshape(2 * batch, frames - 1, height, width, channels)
        none = ops.zeros((batch, 1, height, width, channels), x.dtype)
        return ops.cat((aligned[:batch], none), 1), ops.cat((none, aligned[batch:]), 1)

    def align(self, current, neighbours, flows, deform=deformable_conv2d_features):
        """Align neighbours to the current frames.

        current: (B, H, W, C); neighbours: ``self.neighbours`` of them, each like it; flows: as many (B, 2, H, W).
        Returns (B, H, W, C).
        """
        warped = [pixels_last(warp_features(neighbour, flow)) for neighbour, flow in zip(neighbours, flows)]
        y = self.conv_offset(ops.cat((*warped, pixels_last(current), *flows), 1))
        offsets = y.shape[1] // 3 * 2
        offset = self.residue * tanh(y[:, :offsets])
        pairs = offsets // 2 // len(flows)
        along = ops.cat([ops.tile(ops.flip(flow, (1,)), (1, pairs, 1, 1)) for flow in flows], 1)
        mask = sigmoid(y[:, offsets:])
        return deform(ops.cat(neighbours, -1), offset + along, mask, self.weight, self.bias)


def _images(current, neighbours, flows):
    """Give (current, neighbours, flows) of one image after the other."""
    for index in range(current.shape[0]):
        one = slice(index, index + 1)
        yield current[one], [neighbour[one] for neighbour in neighbours], [flow[one] for flow in flows]
