"""RevSCI: one coded snapshot in, a clip out. Reads top-down; source: arXiv 2103.03089 and its published weights.

Parameter names and shapes are those of the published checkpoints.
"""
import math

import numpy as np
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindrestore.ops import convolution
from mindrestore.ops.activations import LeakyReLU, leaky_relu
from mindrestore.ops.convolution import Conv3d, Conv3dTranspose, initial_weight
from mindrestore.models.revsci.settings import RevSCISettings, coupling_of, widths

RESIDUAL_LAYERS = ("0.weight", "0.bias", "2.weight", "2.bias")
SMALL_LAST_LAYER = 0.1  # factor on the last layer's first weights where the output is a correction of an estimate


class RevSCI(nn.Cell):
    """Reversible network for snapshot compressive imaging.

    Args:
        settings: ``RevSCISettings``; or these by name, as in ``RevSCI(blocks=10, channels=16)``.
        seed: of the initial weights.

    Raises:
        UserError: a setting that cannot be.
    """

    def __init__(self, settings=None, seed=0, **given):
        super().__init__()
        s = RevSCISettings.of(given) if settings is None else settings
        self.settings, self.abilities = s.network_settings(), s.abilities
        self.colour, self.corrects_estimate = s.abilities.colour, s.abilities.corrects_estimate
        self.groups = s.groups
        self.features = convolution.implementation()
        self.channel_axis = self.features.CHANNEL_AXIS
        self.to_features = self.features.to_features
        self.from_features = self.features.from_features
        rng = np.random.default_rng(seed)
        width = widths(s.colour, s.channels, s.start)
        first, second, third, last = width.head
        self.conv1 = nn.SequentialCell(
            Conv3d(width.inputs, first, (5, 5, 5), rng), LeakyReLU(),
            Conv3d(first, second, (3, 3, 3), rng), LeakyReLU(),
            Conv3d(second, third, (1, 1, 1), rng), LeakyReLU(),
            Conv3d(third, last, width.last_kernel, rng, stride=2), LeakyReLU())
        plan = coupling_of(s.coupling, s.groups)
        self.layers = nn.CellList([ReversibleBlock(plan, s.channels // s.groups, rng) for _ in range(s.blocks)])
        first, second, third, last = width.tail
        self.conv2 = nn.SequentialCell(
            Conv3dTranspose(s.channels, first, rng), LeakyReLU(),
            Conv3d(first, second, (3, 3, 3), rng), LeakyReLU(),
            Conv3d(second, third, (1, 1, 1), rng),
            LeakyReLU(), Conv3d(third, last, (3, 3, 3), rng))
        if s.colour:
            self.fuse_r = nn.SequentialCell(UnusedConvolution(s.channels // 8))
        if self.corrects_estimate:
            weight = self.conv2[6].weight
            weight.set_data(Tensor(SMALL_LAST_LAYER * weight.numpy()))

    def construct(self, measurement, mask, estimate=None):
        """Reconstruct the clip.

        Args:
            measurement: (B, H, W) float32, sum of the masked frames (0–1 each).
            mask: (T, H, W), or (B, T, H, W) for one a measurement.
            estimate: with ``start="gap_tv"`` a first estimate of the clip, shaped like the output.

        Returns:
            (B, T, H, W), in colour (B, 3, T, H, W).
        """
        height, width = measurement.shape[-2:]
        odd_height, odd_width = height % 2, width % 2
        if odd_height or odd_width:
            measurement = _to_even(measurement, odd_height, odd_width)
            mask = _to_even(mask, odd_height, odd_width)
            if self.corrects_estimate:
                estimate = _to_even(estimate, odd_height, odd_width)
        clip = self.reconstruct(measurement, mask, estimate)
        return clip[..., :height, :width] if odd_height or odd_width else clip

    def reconstruct(self, measurement, mask, estimate=None):
        """As ``construct``, for even height and width."""
        groups = self.split(self.conv1(self.input_features(measurement, mask, estimate)))
        for block in self.layers:
            groups = block(groups)
        return self.output_clip(self.conv2(self.join(*groups)), measurement, mask, estimate)

    def input_features(self, measurement, mask, estimate=None):
        """Return the head's input in the layout that ``ops.convolution`` prefers."""
        return self.to_features(self.network_input(measurement, mask, estimate))

    def split(self, features):
        """Return the groups of channels, a tuple of ``groups`` tensors."""
        return ops.split(features, features.shape[self.channel_axis] // self.groups, self.channel_axis)

    def join(self, *groups):
        """Undo ``split``."""
        return ops.cat(groups, self.channel_axis)

    def output_clip(self, features, measurement, mask, estimate=None):
        """Return the clip that the tail's output stands for.

        Normalised start: the output itself. GAP-TV start: a correction of the estimate, and what the corrected clip
        still leaves unexplained of the measurement is back-projected once more.
        """
        clip = self.from_features(features)  # (B, 1 or 3, T, H, W)
        if not self.colour:
            clip = clip[:, 0]
        if not self.corrects_estimate:
            return clip
        clip = estimate + clip
        mask = _batched(mask)
        unexplained = mask * self.residual(clip, measurement, mask)  # (B, T, H, W)
        if self.colour:
            unexplained = unexplained.unsqueeze(1) * self.bayer(clip.shape[-2], clip.shape[-1])
        return clip + unexplained

    def network_input(self, measurement, mask, estimate=None):
        """Return the head's input, (B, channels, T, H, W).

        Normalised start, published: grey the measurement over the mask sum, plus itself behind the mask; in colour the
        mask and the measurement over the mask sum. GAP-TV start: the estimate (3 channels in colour), its residual over
        the mask sum as it is, which is the correction wherever nothing moves, and behind the mask, back-projected.
        """
        mask = _batched(mask)
        frames = (measurement.shape[0], *mask.shape[1:])
        if self.corrects_estimate:
            residual = self.residual(estimate, measurement, mask)
            residuals = ops.stack((ops.broadcast_to(residual, frames), mask * residual), 1)
            return ops.cat((estimate if self.colour else estimate.unsqueeze(1), residuals), 1)
        normalised = measurement.unsqueeze(1) / _mask_sum(mask)  # (B, 1, H, W)
        if self.colour:
            return ops.stack((ops.broadcast_to(mask, frames), ops.broadcast_to(normalised, frames)), 1)
        return (normalised + mask * normalised).unsqueeze(1)

    def residual(self, clip, measurement, mask):
        """Return what ``clip`` leaves unexplained of the measurement, over the mask sum: (B, 1, H, W)."""
        if self.colour:
            clip = (clip * self.bayer(clip.shape[-2], clip.shape[-1])).sum(1)
        return (measurement.unsqueeze(1) - (mask * clip).sum(1, keepdim=True)) / _mask_sum(mask)

    def bayer(self, height, width):
        """Return the RGGB pattern (3, 1, H, W): 1 where a pixel sees the colour."""
        tile = Tensor(np.array([[[1, 0], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 1]]], np.float32)[:, None])
        return ops.tile(tile, (1, 1, height // 2, width // 2))


class ReversibleBlock(nn.Cell):
    """One block: residuals conv–LeakyReLU–conv between groups, as its ``Coupling`` says."""

    def __init__(self, coupling, channels, rng):
        super().__init__()
        self.steps = coupling.steps
        self.reverses = coupling.reverses
        self.residual = residual_function(convolution.implementation().conv3d)
        self.weights = ParameterTuple([
            Parameter(_residual_weight(rng, layer, channels), name=f"{name}.{layer}")
            for name in coupling.names for layer in RESIDUAL_LAYERS])

    def construct(self, groups):
        groups = list(groups)
        for index, (target, source) in enumerate(self.steps):
            groups[target] = groups[target] + self.residual(groups[source], *self.weights_of(index))
        return groups[::-1] if self.reverses else groups

    def weights_of(self, step):
        """Return the four parameters of one step's residual."""
        count = len(RESIDUAL_LAYERS)
        return self.weights[step * count: (step + 1) * count]


class UnusedConvolution(nn.Cell):
    """A layer that the published colour checkpoints hold and the network never uses."""

    def __init__(self, channels):
        super().__init__()
        self.weight = Parameter(Tensor(np.zeros((channels, 1, 3, 3), np.float32)), name="weight")
        self.bias = Parameter(Tensor(np.zeros(channels, np.float32)), name="bias")


def residual_function(conv3d):
    """Return the residual of a step as a pure function of the source group and its four weights."""
    def residual(source, weight0, bias0, weight2, bias2):
        return conv3d(leaky_relu(conv3d(source, weight0, bias0)), weight2, bias2)
    return residual


def _residual_weight(rng, layer, channels):
    shape = (channels, channels, 3, 3, 3) if layer.endswith("weight") else (channels,)
    return initial_weight(rng, shape, math.prod((channels, 3, 3, 3)))


def _batched(mask):
    """(T, H, W) -> (1, T, H, W); one mask a measurement, (B, T, H, W), as it is."""
    return mask.unsqueeze(0) if mask.ndim == 3 else mask


def _mask_sum(mask):
    """Return how many frames each pixel sees, 1 where it sees none: (B, T, H, W) -> (B, 1, H, W)."""
    total = mask.sum(1, keepdim=True)
    return ops.where(total == 0, ops.ones_like(total), total)


def _to_even(x, odd_height, odd_width):
    """Repeat the last row and column of (..., H, W) where there is an odd number of them.

    In colour this breaks the Bayer pattern of the row added, which is cut off again.
    """
    if odd_height:
        x = ops.cat((x, x[..., -1:, :]), -2)
    if odd_width:
        x = ops.cat((x, x[..., -1:]), -1)
    return x
