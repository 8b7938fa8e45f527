"""RevSCI as an ONNX graph of plain convolutions, for any height and width.

MindSpore's own ONNX exporter has no Conv3D, so the graph is written from the network's weights, layer by layer as
``mindrestore.models.revsci.network`` computes. Features are (B, C, T, H, W) as published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from mindspore import Parameter, nn

from mindrestore.models.signature import OnnxGraph, Signature
from mindrestore.ops.activations import LEAKY_SLOPE
from mindrestore.ops.convolution import Conv3d, Conv3dTranspose
from mindrestore.sensing.bayer import rggb

if TYPE_CHECKING:
    from mindrestore.models.revsci.network import RevSCI

BAYER = rggb(2, 2)[:, None]  # (3, 1, 2, 2), one period of the pattern


def drawn(network: RevSCI, signature: Signature, graph: OnnxGraph) -> OnnxGraph:
    """Add the nodes of a RevSCI ``network`` with the inputs and outputs of ``signature`` to an empty ``graph``; return it."""
    inputs = [graph.input(port) for port in signature.inputs]
    size = graph("Slice", graph("Shape", inputs[0]), [1], [3])  # height and width
    measurement, mask, *estimate = (
        _to_even(graph, value, len(port.shape), size) for value, port in zip(inputs, signature.inputs)
    )
    camera = _Camera(graph, measurement, mask, network.colour)
    features = _layers(graph, network.conv1, camera.network_input(*estimate))
    features = _blocks(graph, network, features)
    clip = camera.output_clip(_layers(graph, network.conv2, features), *estimate)
    clip = graph("Slice", clip, [0, 0], size, [-2, -1])
    graph.output(clip, signature.outputs[0])
    return graph


class _Camera:
    """The camera model, as ``mindrestore.models.revsci.camera``."""

    def __init__(self, graph: OnnxGraph, measurement: str, mask: str, colour: bool) -> None:
        self.graph, self.colour = graph, colour
        self.mask = graph("Unsqueeze", mask, [0])  # (1, T, H, W)
        self.measurement = graph("Unsqueeze", measurement, [1])  # (B, 1, H, W)
        total = graph("ReduceSum", self.mask, [1], keepdims=1)
        self.mask_sum = graph("Where", graph("Equal", total, np.float32(0)), np.float32(1), total)
        self.pattern = self._bayer() if colour else None

    def network_input(self, estimate: str | None = None) -> str:
        """(B, channels, T, H, W)"""
        graph = self.graph
        if estimate is not None:
            residual = self._residual(estimate)
            parts = (self._of_every_frame(residual), graph("Mul", self.mask, residual))
            first = estimate if self.colour else graph("Unsqueeze", estimate, [1])
            return graph("Concat", first, *(graph("Unsqueeze", part, [1]) for part in parts), axis=1)
        normalised = graph("Div", self.measurement, self.mask_sum)
        if self.colour:
            masks = graph("Add", self.mask, graph("Mul", self.measurement, np.float32(0)))  # (B, T, H, W)
            parts = (masks, self._of_every_frame(normalised))
            return graph("Concat", *(graph("Unsqueeze", part, [1]) for part in parts), axis=1)
        return graph("Unsqueeze", graph("Add", normalised, graph("Mul", self.mask, normalised)), [1])

    def output_clip(self, features: str, estimate: str | None = None) -> str:
        """(B, 1 or 3, T, H, W) -> the clip."""
        graph = self.graph
        clip = features if self.colour else graph("Squeeze", features, [1])
        if estimate is None:
            return clip
        clip = graph("Add", estimate, clip)
        unexplained = graph("Mul", self.mask, self._residual(clip))
        if self.colour:
            unexplained = graph("Mul", graph("Unsqueeze", unexplained, [1]), self.pattern)
        return graph("Add", clip, unexplained)

    def _residual(self, clip: str) -> str:
        graph = self.graph
        if self.colour:
            clip = graph("ReduceSum", graph("Mul", clip, self.pattern), [1], keepdims=0)
        explained = graph("ReduceSum", graph("Mul", self.mask, clip), [1], keepdims=1)
        return graph("Div", graph("Sub", self.measurement, explained), self.mask_sum)

    def _of_every_frame(self, image: str) -> str:
        """(B, 1, H, W) -> (B, T, H, W)"""
        return self.graph("Add", image, self.graph("Mul", self.mask, np.float32(0)))

    def _bayer(self) -> str:
        graph = self.graph
        size = graph("Slice", graph("Shape", self.measurement), [2], [4])
        return graph("Tile", BAYER, graph("Concat", [1, 1], graph("Div", size, [2]), axis=0))


def _layers(graph: OnnxGraph, layers: nn.SequentialCell, x: str) -> str:
    for layer in layers:
        if isinstance(layer, Conv3dTranspose):
            x = graph(
                "ConvTranspose",
                x,
                layer.weight.numpy(),
                layer.bias.numpy(),
                strides=[1, 2, 2],
                pads=[0, 1, 1] * 2,
                output_padding=[0, 1, 1],
            )
        elif isinstance(layer, Conv3d):
            x = _convolution(graph, x, layer.weight, layer.bias, stride=layer.stride)
        else:
            x = graph("LeakyRelu", x, alpha=LEAKY_SLOPE)
    return x


def _blocks(graph: OnnxGraph, network: RevSCI, x: str) -> str:
    groups = graph("Split", x, outputs=network.settings["groups"], axis=1)
    for block in network.layers:
        for index, (target, source) in enumerate(block.targets_and_sources):
            weight0, bias0, weight2, bias2 = block.weights_of(index)
            inner = graph("LeakyRelu", _convolution(graph, groups[source], weight0, bias0), alpha=LEAKY_SLOPE)
            groups[target] = graph("Add", groups[target], _convolution(graph, inner, weight2, bias2))
        if block.reverses:
            groups.reverse()
    return graph("Concat", *groups, axis=1)


def _convolution(graph: OnnxGraph, x: str, weight: Parameter, bias: Parameter, stride: int = 1) -> str:
    return graph(
        "Conv",
        x,
        weight.numpy(),
        bias.numpy(),
        strides=[1, stride, stride],
        pads=[kernel // 2 for kernel in weight.shape[2:]] * 2,
    )


def _to_even(graph: OnnxGraph, value: str, axes: int, size: str) -> str:
    """Pad to even height and width by repeating the last row and column."""
    odd = graph("Mod", size, [2])
    pads = graph("Concat", [0] * axes + [0] * (axes - 2), odd, axis=0)
    return graph("Pad", value, pads, mode="edge")
