"""RevSCI as a file: what goes in and comes out, and the network for any height and width."""
from mindspore import nn, ops

from mindrestore.deploy import revsci_onnx
from mindrestore.deploy.signature import Port, Signature


def default_size(network):
    """Return (frames, height, width); height and width free."""
    return 8, None, None


def signature(network, frames, height, width, batch):
    """Return the ``Signature`` of a RevSCI ``network`` for clips of ``frames``; height and width are None if free."""
    image = (height, width)
    planes = (batch, 3, frames) if network.colour else (batch, frames)
    inputs = [
        Port("measurement", (batch, *image), (0, frames),
             "sum over the frames of mask times frame, in units of one frame's white"
             + (", seen through an RGGB mosaic" if network.colour else "")),
        Port("mask", (frames, *image), (0, 1), "1 where a pixel of a frame is seen, 0 where it is not"),
    ]
    if network.corrects_estimate:
        inputs.append(Port("estimate", (*planes, *image), (0, 1),
                           "first estimate of the clip, as mindrestore.data.snapshots.starting_estimate makes it"))
    clip = Port("clip", (*planes, *image), (0, 1), "the clip; not clamped, so clamp it to its range")
    return Signature(tuple(inputs), (clip,), (frames, *image), None,
                     f"one measurement gives the {frames} frames it was made of; clamp them to 0..1")


def write_onnx(network, described, path):
    """Write ``network`` as ONNX to ``path``; ``described`` is its ``Signature``."""
    revsci_onnx.write(network, described, path)


def any_size(network):
    """Return ``network`` for any height and width."""
    return AnySize(network)


class AnySize(nn.Cell):
    """A RevSCI network as a graph for any height and width: what a branch on odd sizes does elsewhere, slices do here.

    Arguments and result as ``RevSCI.construct``.
    """

    def __init__(self, network):
        super().__init__(auto_prefix=False)  # the network's parameters keep their names
        self.network = network
        self.corrects_estimate = network.corrects_estimate

    def construct(self, measurement, mask, estimate=None):
        height, width = measurement.shape[-2:]
        if self.corrects_estimate:
            estimate = _to_even(estimate)
        clip = self.network.reconstruct(_to_even(measurement), _to_even(mask), estimate)
        return clip[..., :height, :width]


def _to_even(x):
    """Repeat the last row and column of (..., H, W), and keep of them what makes height and width even."""
    height, width = x.shape[-2:]
    x = ops.cat((x, x[..., -1:, :]), -2)
    x = ops.cat((x, x[..., -1:]), -1)
    return x[..., :height + height % 2, :width + width % 2]
