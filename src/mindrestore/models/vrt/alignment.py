"""Parallel warping: the features of each frame are concatenated with those of its neighbours, aligned to it by flow-guided
deformable convolution.

Both directions of all frames are aligned in one call. Source: VRT (arXiv 2201.12288), section 3.4.
Features are channels last: (B, D, H, W, C).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn, ops

from mindrestore.models.piece import Itemwise, Rearrangement, Shape, Weights
from mindrestore.models.vrt.layers import Conv, constant, convolutions, pixels_last, uniform
from mindrestore.native.alignment import AlignedImages
from mindrestore.native.warp import JoinedWarps
from mindrestore.ops.activations import LeakyReLU, sigmoid, tanh
from mindrestore.ops.deformable import TAPS, deformable_conv2d_features
from mindrestore.ops.margins import with_zeros
from mindrestore.ops.warp import warp_features

MAX_RESIDUE_MAGNITUDE = 10.0  # largest offset that is added to a flow, in pixels at full size
SLOPE = 0.1


class Alignment(nn.Cell):
    """Deformable convolution of the neighbours of a frame, with offsets added to the flows to them.

    Args:
        channels: of the features.
        neighbours: frames on each side, the nearest first; half of ``pa_frames``.
        groups: deformable groups.
        scale: of the stage: 1, 2, 4 or 8, the size of the clip over that of the features.
        rng: of the first weights.
    """

    def __init__(self, channels: int, *, neighbours: int, groups: int, scale: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.weight = uniform(rng, (channels, channels, 3, 3), "weight", channels * 9)
        self.bias = constant(channels, "bias")
        widths = ((1 + neighbours) * channels + 2 * neighbours, channels, channels, channels, 3 * TAPS * groups)
        layers = []
        for inputs, outputs in zip(widths[:-2], widths[1:]):
            layers += [Conv(inputs, outputs, rng), LeakyReLU(SLOPE)]
        self.conv_offset = nn.SequentialCell(layers + [Conv(channels, widths[-1], rng, zero=True)])
        self.pairs = NeighbourPairs(neighbours)
        self.warp = WarpedNeighbours(neighbours)
        self.offsets = convolutions(list(self.conv_offset)[::2], (SLOPE,) * (len(widths) - 2) + (1.0,), exact=True)
        self.align = AlignedNeighbours(self, neighbours, MAX_RESIDUE_MAGNITUDE / scale)
        self.join = JoinedByNeighbours()

    def construct(self, x: Tensor, *flows: Tensor) -> Tensor:
        """Concatenate features with those of later and of earlier frames aligned to them, zeros where a clip has no such frame.

        x: (N, D, H, W, C); flows: backward ones by distance k, each (N, D - k, 2, H, W), then forward ones. Returns (N, D, H,
        W, 3 C).
        """
        pairs = self.pairs(x, *flows)
        return self.join(x, self.align(self.offsets(self.warp(*pairs)), *pairs[1:]))


class NeighbourPairs(Rearrangement):
    """Features and flows -> the images to align: current ones, their neighbours by distance, and the flows to these.

    Pairs with the next frame come first, those with the previous one second: each tensor is (2 N (D - 1), ...).
    """

    def __init__(self, neighbours: int) -> None:
        super().__init__(neighbours)
        self.neighbours = neighbours

    def compute(self, w: Weights, x: Tensor, *flows: Tensor) -> tuple[Tensor, ...]:
        batch, frames, height, width, channels = x.shape
        neighbours, paths = (), ()
        for distance in range(1, self.neighbours + 1):
            later, earlier = x[:, distance:], x[:, : frames - distance]
            to_later, to_earlier = flows[distance - 1], flows[self.neighbours + distance - 1]
            if distance > 1:
                missing = ops.zeros((batch, distance - 1, height, width, channels), x.dtype)
                still = ops.zeros((batch, distance - 1, 2, height, width), x.dtype)
                later, earlier = ops.cat((later, missing), 1), ops.cat((missing, earlier), 1)
                to_later, to_earlier = ops.cat((to_later, still), 1), ops.cat((still, to_earlier), 1)
            neighbours = neighbours + (ops.cat((later, earlier)).reshape(-1, height, width, channels),)
            paths = paths + (ops.cat((to_later, to_earlier)).reshape(-1, 2, height, width),)
        current = ops.cat((x[:, :-1], x[:, 1:])).reshape(-1, height, width, channels)
        return (current,) + neighbours + paths

    def adjoint(self, shapes: Sequence[Shape], current: Tensor | None, *others: Tensor | None) -> tuple[Tensor | None, ...]:
        batch, frames = shapes[0][:2]
        neighbours, paths = others[: self.neighbours], others[self.neighbours :]
        of_x = None if current is None else _scattered(current, shapes[0], 0, 1)
        for distance, images in enumerate(neighbours, 1):
            if images is not None:
                part = _scattered(images, shapes[0], distance, 1 - distance)
                of_x = part if of_x is None else of_x + part
        to_later, to_earlier = [], []
        for distance, path in enumerate(paths, 1):
            path = None if path is None else path.reshape(2 * batch, frames - 1, *path.shape[1:])
            to_later.append(None if path is None else path[:batch, : frames - distance])
            to_earlier.append(None if path is None else path[batch:, distance - 1 :])
        return of_x, *to_later, *to_earlier


def _scattered(images: Tensor, shape: Shape, of_first: int, of_second: int) -> Tensor:
    """Add the gradients of both halves of the images of ``NeighbourPairs`` by frame: (2 N (D - 1), ...) -> (N, D, ...).

    of_first, of_second: number of the frame that the first image of each half came from; images of frames outside of the clip
    are dropped.
    """
    batch, frames = shape[:2]
    images = images.reshape(2 * batch, frames - 1, *shape[2:])
    return _placed(images[:batch], shape, of_first) + _placed(images[batch:], shape, of_second)


def _placed(images: Tensor, shape: Shape, first: int) -> Tensor:
    """Return images as frames ``first``, ``first + 1``, ... of a clip of ``shape``, other frames zero; drop those outside."""
    batch, frames = shape[:2]
    last = min(first + frames - 1, frames)
    images = images[:, max(-first, 0) : last - first]
    first = max(first, 0)
    return with_zeros(images, 1, first, frames - last)


class WarpedNeighbours(Itemwise):
    """Current images, neighbours and flows to these, as of ``NeighbourPairs`` -> neighbours warped, current image and flows of
    each: (B, (1 + neighbours) · C + 2 · neighbours, H, W).
    """

    compiled = True

    def __init__(self, neighbours: int) -> None:
        super().__init__(neighbours)
        self.neighbours = neighbours

    def compute(
        self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], current: Tensor, *inputs: Tensor
    ) -> Tensor:
        images, flows = inputs[: self.neighbours], inputs[self.neighbours :]
        warped = ()
        for index in range(self.neighbours):
            warped = warped + (pixels_last(warp_features(images[index], flows[index])),)
        return ops.cat(warped + (pixels_last(current),) + tuple(flows), 1)

    def native(self, *inputs: Tensor) -> JoinedWarps:
        images = range(1, 1 + self.neighbours)
        flows = range(1 + self.neighbours, 1 + 2 * self.neighbours)
        return JoinedWarps(inputs, [*zip(images, flows), 0, *flows], channels_last=True, border=False)


class AlignedNeighbours(Itemwise):
    """The neighbours of each image, aligned to it and fused: offsets (B, 27 · groups, H, W), images (B, H, W, C) and flows (B,
    2, H, W) -> (B, H, W, C).

    Offsets in this order: for each group and tap those in y and x, before tanh; for each group and tap the factor, before
    sigmoid.
    """

    compiled = True

    def __init__(self, alignment: Alignment, neighbours: int, residue: float) -> None:
        super().__init__((neighbours, residue), weight=alignment.weight, bias=alignment.bias)
        self.neighbours, self.residue = neighbours, residue

    def cost(self, offsets: Tensor, image: Tensor, *inputs: Tensor) -> int:
        return 16 * TAPS * math.prod(image.shape[1:])  # the samples of all taps, at four corners, and their products

    def native(self, offsets: Tensor, *inputs: Tensor) -> AlignedImages:
        images, flows = inputs[: self.neighbours], inputs[self.neighbours :]
        weight, bias = self.weights
        return AlignedImages(offsets, images, flows, weight=weight, bias=bias, residue=self.residue)

    def compute(
        self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], offsets: Tensor, *inputs: Tensor
    ) -> Tensor:
        images, flows = inputs[: self.neighbours], inputs[self.neighbours :]
        count = offsets.shape[1] // 3 * 2
        yx_flows = ()
        for flow in flows:
            yx_flows = yx_flows + (flow[:, 1:], flow[:, :1]) * (count // 2 // self.neighbours)  # (y, x), as the offsets are
        total = self.residue * tanh(offsets[:, :count]) + ops.cat(yx_flows, 1)
        return deformable_conv2d_features(
            ops.cat(images, -1), total, sigmoid(offsets[:, count:]), weight=w["weight"], bias=w["bias"]
        )


class JoinedByNeighbours(Rearrangement):
    """Features (N, D, H, W, C) and the aligned images of ``NeighbourPairs`` -> (N, D, H, W, 3 C)."""

    def compute(self, w: Weights, x: Tensor, aligned: Tensor) -> Tensor:
        batch, frames, height, width, channels = x.shape
        aligned = aligned.reshape(2 * batch, frames - 1, height, width, channels)
        missing = ops.zeros((batch, 1, height, width, channels), x.dtype)
        return ops.cat((x, ops.cat((aligned[:batch], missing), 1), ops.cat((missing, aligned[batch:]), 1)), -1)

    def adjoint(self, shapes: Sequence[Shape], gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, later, earlier = ops.split(gradient, shapes[0][-1], -1)
        return x, ops.cat((later[:, :-1], earlier[:, 1:])).reshape(shapes[1])
