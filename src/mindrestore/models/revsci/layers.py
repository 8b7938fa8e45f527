"""The pieces of RevSCI: the convolutions of head and tail, and the steps of reversible blocks.

Features are (B, T, C, H, W) or (B, C, T, H, W), as ``mindrestore.ops.convolution`` prefers on the device in use.
"""
from mindspore import ops

from mindrestore.models.convolutions import Convolution, Convolutions
from mindrestore.models.piece import Added, Rearrangement
from mindrestore.native.convolutions import Layer
from mindrestore.native.coupling import CouplingStep
from mindrestore.ops.activations import LEAKY_SLOPE, LeakyReLU, leaky_relu
from mindrestore.ops.convolution import Conv3dTranspose


def convolutions(cells, axis):
    """Return the convolutions and activations of a ``SequentialCell`` as one piece; axis: of the channels."""
    cells = list(cells)
    followers = dict(zip(cells, cells[1:]))
    return Convolutions([Convolution(cell, cell.function, _layer(cell, isinstance(followers.get(cell), LeakyReLU)))
                         for cell in cells if not isinstance(cell, LeakyReLU)], channel_axis=axis, over_time=True)


def _layer(cell, activated):
    transposed = isinstance(cell, Conv3dTranspose)
    change = "doubled" if transposed else "halved" if cell.stride == 2 else "same"
    return Layer(change, slope=LEAKY_SLOPE if activated else 1.0)


class Step(Added):
    """A step of a reversible block: target + convolution(LeakyReLU(convolution(source))). An item is a clip."""

    compiled = True

    def __init__(self, conv3d, axis, weight0, bias0, weight2, bias2):
        super().__init__(axis, weight0=weight0, bias0=bias0, weight2=weight2, bias2=bias2)
        self.conv3d, self.frames_first = conv3d, axis == 2

    def native(self, target, source):
        return CouplingStep(target, source, self.weights, LEAKY_SLOPE) if self.frames_first else None

    def change(self, w, shared, constants, source):
        inner = leaky_relu(self.conv3d(source, w["weight0"], w["bias0"]))
        return self.conv3d(inner, w["weight2"], w["bias2"])


class Split(Rearrangement):
    """Features -> their groups of channels."""

    def __init__(self, groups, axis):
        super().__init__((groups, axis))
        self.groups, self.channel_axis = groups, axis

    def compute(self, w, features):
        return ops.split(features, features.shape[self.channel_axis] // self.groups, self.channel_axis)

    def adjoint(self, shapes, *groups):
        return (ops.cat(groups, self.channel_axis),)


class Join(Rearrangement):
    """The inverse of ``Split``."""

    def __init__(self, groups, axis):
        super().__init__((groups, axis))
        self.groups, self.channel_axis = groups, axis

    def compute(self, w, *groups):
        return ops.cat(groups, self.channel_axis)

    def adjoint(self, shapes, features):
        return ops.split(features, features.shape[self.channel_axis] // self.groups, self.channel_axis)
