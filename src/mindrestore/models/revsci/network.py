"""RevSCI: one coded snapshot in, a clip out. Reads top-down; source: arXiv 2103.03089 and its published weights.

Parameter names and shapes are those of the published checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn

from mindrestore.models.revsci.camera import Crop, NetworkInput, OutputClip, to_even
from mindrestore.models.revsci.coupling import Coupling
from mindrestore.models.revsci.layers import Join, Split, Step, convolutions
from mindrestore.models.revsci.settings import RevSCISettings, coupling_of, widths
from mindrestore.ops import convolution
from mindrestore.ops.activations import LeakyReLU
from mindrestore.ops.convolution import Conv3d, Conv3dTranspose, initial_weight

RESIDUAL_LAYERS = ("0.weight", "0.bias", "2.weight", "2.bias")
SMALL_LAST_LAYER = 0.1  # factor on the last layer's first weights where the output is a correction of an estimate


class RevSCI(nn.Cell):
    """Reversible network for snapshot compressive imaging.

    Args:
        settings: ``RevSCISettings``; or these by name, as in ``RevSCI(blocks=10, channels=16)``.
        seed: of the initial weights.

    Raises:
        UserError: a setting that is not allowed.
    """

    def __init__(self, settings: RevSCISettings | None = None, seed: int = 0, **by_name: Any) -> None:
        super().__init__()
        s = RevSCISettings.of(by_name) if settings is None else settings
        self.settings, self.abilities = s.network_settings(), s.abilities
        self.colour, self.corrects_estimate = s.abilities.colour, s.abilities.corrects_estimate
        features = convolution.implementation()
        axis = features.CHANNEL_AXIS
        rng = np.random.default_rng(seed)
        width = widths(s.colour, s.channels, s.start)
        first, second, third, last = width.head
        self.conv1 = nn.SequentialCell(
            Conv3d(width.inputs, first, (5, 5, 5), rng),
            LeakyReLU(),
            Conv3d(first, second, (3, 3, 3), rng),
            LeakyReLU(),
            Conv3d(second, third, (1, 1, 1), rng),
            LeakyReLU(),
            Conv3d(third, last, width.last_kernel, rng, stride=2),
            LeakyReLU(),
        )
        plan = coupling_of(s.coupling, s.groups)
        self.layers = nn.CellList([ReversibleBlock(plan, s.channels // s.groups, rng) for _ in range(s.blocks)])
        first, second, third, last = width.tail
        self.conv2 = nn.SequentialCell(
            Conv3dTranspose(s.channels, first, rng),
            LeakyReLU(),
            Conv3d(first, second, (3, 3, 3), rng),
            LeakyReLU(),
            Conv3d(second, third, (1, 1, 1), rng),
            LeakyReLU(),
            Conv3d(third, last, (3, 3, 3), rng),
        )
        self.input, self.output = NetworkInput(s.colour, features.to_features), OutputClip(s.colour, features.from_features)
        self.head, self.tail = convolutions(self.conv1, axis), convolutions(self.conv2, axis)
        self.split, self.join, self.crop = Split(s.groups, axis), Join(s.groups, axis), Crop()
        if s.colour:
            self.fuse_r = nn.SequentialCell(UnusedConvolution(s.channels // 8))
        if self.corrects_estimate:
            weight = self.conv2[6].weight
            weight.set_data(Tensor(SMALL_LAST_LAYER * weight.numpy()))

    def construct(self, measurement: Tensor, mask: Tensor, estimate: Tensor | None = None) -> Tensor:
        """Reconstruct the clip.

        Args:
            measurement: (B, H, W) float32, sum of the masked frames (0–1 each).
            mask: (T, H, W), or (B, T, H, W), one for each measurement.
            estimate: with ``start="gap_tv"`` a first estimate of the clip, shaped like the output.

        Returns:
            (B, T, H, W), in colour (B, 3, T, H, W).
        """
        height, width = measurement.shape[-2:]
        odd_height, odd_width = height % 2, width % 2
        if odd_height or odd_width:
            measurement = to_even(measurement, odd_height, odd_width)
            mask = to_even(mask, odd_height, odd_width)
            if self.corrects_estimate:
                estimate = to_even(estimate, odd_height, odd_width)
        clip = self.reconstruct(measurement, mask, estimate)
        return self.crop(clip, (height, width)) if odd_height or odd_width else clip

    def reconstruct(self, measurement: Tensor, mask: Tensor, estimate: Tensor | None = None) -> Tensor:
        """As ``construct``, for even height and width."""
        inputs = (measurement, mask, estimate) if self.corrects_estimate else (measurement, mask)
        groups = self.split(self.head(self.input(*inputs)))
        for block in self.layers:
            groups = block(groups)
        return self.output(self.tail(self.join(*groups)), *inputs)

    def multiply_adds(self, frames: int, height: int, width: int) -> int:
        """Return how many multiply-adds one measurement of ``frames`` frames of even size takes: those of its convolutions.

        Head and tail work at full size but for the strided convolution, which makes features of half the height and width, and
        the transposed one, which takes them.
        """
        *head, strided = _products(self.conv1)
        transposed, *tail = _products(self.conv2)
        blocks = sum(weight.size for block in self.layers for weight in block.weights if weight.ndim > 1)
        full, half = frames * height * width, frames * (height // 2) * (width // 2)
        return full * (sum(head) + sum(tail)) + half * (strided + blocks + transposed)


def resting(blocks: Sequence[ReversibleBlock]) -> dict[str, np.ndarray]:
    """Return weights of blocks, by name, with which they add nothing yet but learn: their own, the second convolutions zero."""
    arrays = {parameter.name: parameter.numpy() for block in blocks for parameter in block.weights}
    for block in blocks:
        for index in range(len(block.steps)):
            arrays.update({weight.name: np.zeros(weight.shape, np.float32) for weight in block.weights_of(index)[2:]})
    return arrays


class ReversibleBlock(nn.Cell):
    """One block: steps target += conv(LeakyReLU(conv(source))) between groups of channels, listed by its ``Coupling``."""

    def __init__(self, coupling: Coupling, channels: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.targets_and_sources = coupling.steps
        self.reverses = coupling.reverses
        self.weights = ParameterTuple(
            [
                Parameter(_residual_weight(rng, layer, channels), name=f"{name}.{layer}")
                for name in coupling.names
                for layer in RESIDUAL_LAYERS
            ]
        )
        features = convolution.implementation()
        self.steps = nn.CellList(
            [Step(features.conv3d, features.CHANNEL_AXIS, *self.weights_of(index)) for index in range(len(coupling.steps))]
        )

    def construct(self, groups: Sequence[Tensor]) -> list[Tensor]:
        groups = list(groups)
        for step, (target, source) in zip(self.steps, self.targets_and_sources):
            groups[target] = step(groups[target], groups[source])
        return groups[::-1] if self.reverses else groups

    def weights_of(self, step: int) -> Sequence[Parameter]:
        """Return the four parameters of one step's residual."""
        count = len(RESIDUAL_LAYERS)
        return self.weights[step * count : (step + 1) * count]


class UnusedConvolution(nn.Cell):
    """A layer that published colour checkpoints hold and the network does not use."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = Parameter(Tensor(np.zeros((channels, 1, 3, 3), np.float32)), name="weight")
        self.bias = Parameter(Tensor(np.zeros(channels, np.float32)), name="bias")


def _products(cells: nn.SequentialCell) -> list[int]:
    """Return the products a pixel takes in each convolution."""
    return [cell.weight.size for cell in cells if hasattr(cell, "weight")]


def _residual_weight(rng: np.random.Generator, layer: str, channels: int) -> Tensor:
    shape = (channels, channels, 3, 3, 3) if layer.endswith("weight") else (channels,)
    return initial_weight(rng, shape, math.prod((channels, 3, 3, 3)))
