"""SpyNet: optical flow from coarse to fine (arXiv 1611.00850), as VRT uses it."""
from __future__ import annotations

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.ops import constexpr

from mindrestore.models.piece import Piece, Weights
from mindrestore.models.vrt.layers import Conv, conv
from mindrestore.ops.warp import warp

LEVELS = 6
SIZE_MULTIPLE = 2 ** (LEVELS - 1)
RETURNED_LEVELS = (5, 4, 3, 2)
WIDTHS = (8, 32, 64, 32, 16, 2)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


class SpyNet(nn.Cell):
    """Flow from each image to its neighbour, at scales 1, 1/2, 1/4 and 1/8.

    image, neighbour: (N, 3, H, W), 0–1. Returns four tensors (N, 2, H / s, W / s), s = 1, 2, 4 and 8: (x, y) from each pixel of
    the image to its place in the neighbour, in pixels of that scale.

    seed: of the first weights, or a NumPy generator.
    """

    def __init__(self, seed: int | np.random.Generator = 0) -> None:
        super().__init__()
        self.settings = {}
        rng = np.random.default_rng(seed)
        self.basic_module = nn.CellList([FlowUpdate(rng) for _ in range(LEVELS)])
        self.flows = FlowPyramid(self)

    def construct(self, image: Tensor, neighbour: Tensor) -> tuple[Tensor, ...]:
        return self.flows(image, neighbour)


class FlowUpdate(nn.Cell):
    """The weights of five 7×7 convolutions that correct the flow of a level, from image, warped neighbour and flow."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        layers = []
        for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
            layers += [Conv(inputs, outputs, rng, (7, 7)), nn.ReLU()]
        self.basic_module = nn.SequentialCell(layers[:-1])


class FlowPyramid(Piece):
    """``SpyNet`` as a function of its weights."""

    def __init__(self, spynet: SpyNet) -> None:
        super().__init__(spynet=spynet)

    def compute(self, w: Weights, image: Tensor, neighbour: Tensor) -> tuple[Tensor, ...]:
        return flow_pyramid(w, image, neighbour)


LAYERS = tuple(tuple(f"spynet.basic_module.{level}.basic_module.{layer}" for layer in range(0, 2 * len(WIDTHS) - 2, 2))
               for level in range(LEVELS))
"""Names of the convolutions of each level."""


def flow_pyramid(w: Weights, image: Tensor, neighbour: Tensor) -> tuple[Tensor, ...]:
    """``SpyNet`` as a pure function of the weights called ``spynet``."""
    height, width = image.shape[2:]
    images, neighbours = pyramid(image), pyramid(neighbour)
    flow, flows = None, ()
    for level in range(LEVELS):
        reference, moved = images[level], neighbours[level]
        size = reference.shape[2:]
        if flow is None:
            flow = ops.zeros((reference.shape[0], 2, *size), reference.dtype)
        else:
            flow = 2.0 * ops.interpolate(flow, size=size, mode="bilinear", align_corners=True)
        y = ops.cat((reference, warp(moved, flow, "border"), flow), 1)
        for layer in LAYERS[level][:-1]:
            y = ops.relu(conv(w, layer, y, 3, exact=True))
        flow = flow + conv(w, LAYERS[level][-1], y, 3, exact=True)
        if level in RETURNED_LEVELS:
            scale = 2 ** (LEVELS - 1 - level)
            flows = (resized_flow(flow, height // scale, width // scale),) + flows
    return flows


def pyramid(x: Tensor) -> tuple[Tensor, ...]:
    """Return the image pyramid of (N, 3, H, W), coarsest level first, normalised by the statistics of ImageNet."""
    height, width = x.shape[2:]
    size = (_multiple(height), _multiple(width))
    x = (x - _statistic(MEAN)) / _statistic(STD)
    levels = (x if size == (height, width) else ops.interpolate(x, size=size, mode="bilinear", align_corners=False),)
    for _ in range(LEVELS - 1):
        levels = (ops.avg_pool2d(levels[0], 2, 2),) + levels
    return levels


def resized_flow(flow: Tensor, height: int, width: int) -> Tensor:
    """Resize a flow and scale its vectors to pixels of the new size."""
    old_height, old_width = flow.shape[2:]
    if (height, width) == (old_height, old_width):
        return flow
    flow = ops.interpolate(flow, size=(height, width), mode="bilinear", align_corners=False)
    return ops.cat((flow[:, :1] * (width / old_width), flow[:, 1:] * (height / old_height)), 1)


def _multiple(length: int) -> int:
    return -(-length // SIZE_MULTIPLE) * SIZE_MULTIPLE


@constexpr
def _statistic(values: tuple[float, float, float]) -> Tensor:
    return Tensor(np.array(values, np.float32).reshape(1, 3, 1, 1))
