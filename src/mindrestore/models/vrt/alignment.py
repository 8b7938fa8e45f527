"""Parallel warping: every frame's features are joined by its neighbours', aligned by flow-guided deformable convolution.

Both directions of all frames are aligned in one call. Source: VRT (arXiv 2201.12288), section 3.4.
Features are channels last: (B, D, H, W, C).
"""
from mindspore import nn, ops

from mindrestore.models.vrt.layers import Conv, constant, pixels_last, uniform
from mindrestore.ops.activations import LeakyReLU, leaky_relu, sigmoid, tanh
from mindrestore.ops.convolution_images import conv2d
from mindrestore.ops.deformable import TAPS, deformable_conv2d_features
from mindrestore.ops.warp import warp_features

LARGEST_RESIDUE = 10.0  # pixels at full size that an offset may add to the flow
OFFSET_LAYERS = 4  # convolutions that find the offsets
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
        self.align = align_function(neighbours, self.residue)

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
        images = (current, *neighbours, *flows)
        aligned = self.align(*images, *self.weights()) if run is None else run.align(self, images)
        aligned = aligned.reshape(2 * batch, frames - 1, height, width, channels)
        none = ops.zeros((batch, 1, height, width, channels), x.dtype)
        return ops.cat((aligned[:batch], none), 1), ops.cat((none, aligned[batch:]), 1)

    def weights(self):
        """Return the parameters that ``align`` takes."""
        layers = self.conv_offset
        return (layers[0].weight, layers[0].bias, layers[2].weight, layers[2].bias, layers[4].weight, layers[4].bias,
                layers[6].weight, layers[6].bias, self.weight, self.bias)


def align_function(neighbours, residue):
    """Return the alignment of ``neighbours`` images to a current one as a pure function.

    residue: pixels that an offset may add to the flow. The function takes the current images (B, H, W, C), each
    neighbour's, likewise, the flows to them, each (B, 2, H, W), and ``Alignment.weights``; it returns (B, H, W, C).
    """
    def align(current, *given):
        images, flows, weights = given[:neighbours], given[neighbours:2 * neighbours], given[2 * neighbours:]
        found = []
        for image, flow in zip(images, flows):
            found.append(pixels_last(warp_features(image, flow)))
        y = ops.cat((*found, pixels_last(current), *flows), 1)
        for layer in range(OFFSET_LAYERS):
            y = conv2d(y, weights[2 * layer], weights[2 * layer + 1], padding=1, exact=True)
            if layer < OFFSET_LAYERS - 1:
                y = leaky_relu(y, SLOPE)
        of_flow = y.shape[1] // 3 * 2
        along = []
        for flow in flows:
            along += [flow[:, 1:], flow[:, :1]] * (of_flow // 2 // neighbours)  # (y, x), as the offsets are
        offset = residue * tanh(y[:, :of_flow]) + ops.cat(along, 1)
        return deformable_conv2d_features(ops.cat(images, -1), offset, sigmoid(y[:, of_flow:]), *weights[-2:])
    return align
