"""SpyNet: optical flow from coarse to fine (arXiv 1611.00850), as VRT uses it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.ops import constexpr

from mindrestore.models.piece import Itemwise, Piece, Rearrangement, Shape, Weights
from mindrestore.models.vrt.layers import Conv, Sum, convolutions
from mindrestore.native.warp import JoinedWarps
from mindrestore.ops.warp import warp

LEVELS = 6
SIZE_MULTIPLE = 2 ** (LEVELS - 1)
RETURNED_LEVELS = (5, 4, 3, 2)
WIDTHS, KERNEL = (8, 32, 64, 32, 16, 2), 7
GAIN = 3.0  # pixels of flow for each unit of the windowed sums of ``first_weights``, for images of deviation 1
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
        self.pyramid, self.no_flow, self.twice_as_fine = Pyramid(), NoFlow(), TwiceAsFine()
        self.warp, self.sum, self.resize = WarpedNeighbour(), Sum(), ResizedFlow()

    def published_buffers(self, name: str) -> bool:
        """Whether ``name`` is that of ``MEAN`` or ``STD`` in a file of weights."""
        return name in ("mean", "std")

    def construct(self, image: Tensor, neighbour: Tensor) -> tuple[Tensor, ...]:
        height, width = image.shape[2:]
        images, neighbours = self.pyramid(image), self.pyramid(neighbour)
        flow, flows = self.no_flow(images[0]), ()
        for level in range(LEVELS):
            if level > 0:
                flow = self.twice_as_fine(flow)
            flow = self.sum(flow, self.basic_module[level](self.warp(images[level], neighbours[level], flow)))
            if level in RETURNED_LEVELS:
                scale = 2 ** (LEVELS - 1 - level)
                flows = (self.resize(flow, height // scale, width // scale),) + flows
        return flows


class FlowUpdate(nn.Cell):
    """Five 7×7 convolutions of image, warped neighbour and flow (N, 8, H, W) -> a correction of the flow (N, 2, H, W).

    It begins with weights that find motions of up to a pixel (``first_weights``): from random ones a SpyNet had learned in 740
    steps to find no motion at all.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        layers = []
        for weight in first_weights(rng):
            outputs, inputs, *kernel = weight.shape
            convolution = Conv(inputs, outputs, rng, kernel, zero=True)
            convolution.weight.set_data(Tensor(weight))
            layers += [convolution, nn.ReLU()]
        self.basic_module = nn.SequentialCell(layers[:-1])
        self.convolve = convolutions(layers[::2], (0.0,) * (len(WIDTHS) - 2) + (1.0,), exact=True)

    def construct(self, x: Tensor) -> Tensor:
        return self.convolve(x)


def first_weights(rng: np.random.Generator) -> list[np.ndarray]:
    """Return weights of the five convolutions that find small motions before any training; their biases are zero.

    Where a slope of the image moves, brightness changes by minus slope times motion. So the motion has the sign of
    |slope - change| - |slope + change|, which is twice the lesser of the two in size, and grows with it. The first convolution
    makes the positive and negative parts whose sums are these absolute values, the second one sums them in a window, for either
    sign, two hand this on, and the last one makes flow of it. All other channels begin at random, and their weights in the last
    convolution are small.
    """
    weights = []
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        deviation = math.sqrt(2 / (inputs * KERNEL**2))
        weights.append(rng.normal(0, deviation, (outputs, inputs, KERNEL, KERNEL)).astype(np.float32))
    parts, windows, *handed_on, flow = weights
    places = np.arange(KERNEL) - KERNEL // 2
    blur = _bell(places, 0.8)
    slope = blur * places / (blur * places**2).sum()
    change, window, half = np.outer(blur, blur), np.outer(_bell(places, 2.0), _bell(places, 2.0)), KERNEL // 2
    parts[:8], windows[:4] = 0, 0
    flow *= 0.03
    for axis, slopes in enumerate((np.outer(blur, slope), np.outer(slope, blur))):
        signs = ((1, -1), (-1, 1), (1, 1), (-1, -1))  # of slope and change, for two absolute values of two parts each
        for part, (of_slope, of_change) in enumerate(signs):
            parts[4 * axis + part, :3] = (of_slope * slopes / 2 - of_change * change) / 3  # of the image's colours
            parts[4 * axis + part, 3:6] = (of_slope * slopes / 2 + of_change * change) / 3  # of its neighbour's
        for channel, sign in ((2 * axis, 1), (2 * axis + 1, -1)):
            windows[channel, 4 * axis : 4 * axis + 2] = sign * window
            windows[channel, 4 * axis + 2 : 4 * axis + 4] = -sign * window
            for weight in handed_on:
                weight[channel] = 0
                weight[channel, channel, half, half] = 1
            flow[axis, channel, half, half] = sign * GAIN
    return weights


def _bell(places: np.ndarray, deviation: float) -> np.ndarray:
    """Return a Gaussian at the places, its sum 1."""
    bell = np.exp(-(places**2) / (2 * deviation**2))
    return bell / bell.sum()


class Pyramid(Piece):
    """Images (N, 3, H, W) -> normalised ones, from the coarsest level to the finest."""

    def compute(self, w: Weights, images: Tensor) -> tuple[Tensor, ...]:
        return pyramid(images)


class NoFlow(Rearrangement):
    """Images (N, C, H, W) -> a flow of zeros (N, 2, H, W), which does not depend on them."""

    def compute(self, w: Weights, images: Tensor) -> Tensor:
        return _zeros((images.shape[0], 2) + images.shape[2:])

    def adjoint(self, shapes: Sequence[Shape], gradient: Tensor) -> tuple[None]:
        return (None,)


class TwiceAsFine(Piece):
    """A flow (N, 2, H, W) -> one of twice the resolution, in its pixels."""

    def compute(self, w: Weights, flow: Tensor) -> Tensor:
        height, width = flow.shape[2:]
        return 2.0 * ops.interpolate(flow, size=(2 * height, 2 * width), mode="bilinear", align_corners=True)


class WarpedNeighbour(Itemwise):
    """Images, their neighbours and the flows to these -> images, neighbours warped to them, and flows: (N, 8, H, W)."""

    compiled = True

    def compute(
        self,
        w: Weights,
        shared: Sequence[Tensor],
        constants: Sequence[Tensor | None],
        image: Tensor,
        neighbour: Tensor,
        flow: Tensor,
    ) -> Tensor:
        return ops.cat((image, warp(neighbour, flow, "border"), flow), 1)

    def native(self, *inputs: Tensor) -> JoinedWarps:
        return JoinedWarps(inputs, [0, (1, 2), 2], channels_last=False, border=True)


class ResizedFlow(Piece):
    """``resized_flow``"""

    def compute(self, w: Weights, flow: Tensor, height: int, width: int) -> Tensor:
        return resized_flow(flow, height, width)


def pyramid(x: Tensor) -> tuple[Tensor, ...]:
    """Return the image pyramid of (N, 3, H, W), coarsest level first, normalised by the statistics of ImageNet."""
    height, width = x.shape[2:]
    size = whole_size(height, width)
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


def whole_size(height: int, width: int) -> tuple[int, int]:
    """Return the least (height, width), no smaller, that has all levels of the pyramid."""
    return -(-height // SIZE_MULTIPLE) * SIZE_MULTIPLE, -(-width // SIZE_MULTIPLE) * SIZE_MULTIPLE


@constexpr
def _zeros(shape: Shape) -> Tensor:
    return Tensor(np.zeros(shape, np.float32))


@constexpr
def _statistic(values: tuple[float, float, float]) -> Tensor:
    return Tensor(np.array(values, np.float32).reshape(1, 3, 1, 1))
