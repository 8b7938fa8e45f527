"""A stage of VRT: change of scale, mutual and self-attention, self-attention alone, alignment.

Source: VRT (arXiv 2201.12288), section 3.1. Features are channels last: (N, D, H, W, C).
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn

from mindrestore.models.piece import Rearrangement, Section, Shape, Weights
from mindrestore.models.vrt.alignment import Alignment
from mindrestore.models.vrt.attention import Group
from mindrestore.models.vrt.layers import GatedMlp, GatedMlpOfTokens, LayerNorm, Linear, NormedLinear, ResidualLinear
from mindrestore.models.vrt.settings import Options
from mindrestore.ops.windows import Sizes


class Stage(Section):
    """One of stages 1 to 7.

    Args:
        inputs, channels: in and out.
        change: ``"same"``, ``"down"`` or ``"up"``: half or twice the size.
        depth, heads, window, drop_rates: of the blocks.
        neighbours, deformable_groups, scale: of the alignment; no neighbours, no alignment.
        options: ``settings.Options``.
    """

    size = "stage"

    def __init__(self, inputs: int, channels: int, change: str, depth: int, heads: int, window: Sizes,
                 drop_rates: Sequence[float], neighbours: int, deformable_groups: int, scale: int, options: Options,
                 rng: np.random.Generator) -> None:
        super().__init__()
        self.reshape = change_of_scale(change, inputs, channels, rng)
        self.changes_scale = change != "same"
        mutual_depth = int(depth * options.mul_attn_ratio)
        self.residual_group1 = Group(channels, mutual_depth, heads, (2, *window[1:]), True, drop_rates, options, rng)
        self.linear1 = Linear(channels, channels, rng)
        self.residual_group2 = Group(channels, depth - mutual_depth, heads, window, False, drop_rates, options, rng)
        self.linear2 = Linear(channels, channels, rng)
        self.enter = NormedLinear(*list(self.reshape)[1:])
        self.add1, self.add2 = ResidualLinear(self.linear1), ResidualLinear(self.linear2)
        self.aligns = neighbours > 0
        if self.aligns:
            self.pa_deform = Alignment(channels, neighbours, deformable_groups, scale, rng)
            self.pa_fuse = GatedMlp(3 * channels, 3 * channels, channels, rng)
            self.fuse = GatedMlpOfTokens(self.pa_fuse)

    def construct(self, x: Tensor, *flows: Tensor) -> Tensor:
        """x: (N, D, H, W, C); flows at the stage's scale: backward ones by distance, then forward ones."""
        x = self.enter(self.reshape[0](x) if self.changes_scale else x)
        x = self.add1(x, self.residual_group1(x))
        x = self.add2(x, self.residual_group2(x))
        return self.fuse(self.pa_deform(x, *flows)) if self.aligns else x


class Refinement(Section):
    """One group of stage 8: x + linear(self-attention x)."""

    size = "stage"

    def __init__(self, channels: int, depth: int, heads: int, window: Sizes, drop_rates: Sequence[float], options: Options,
                 rng: np.random.Generator) -> None:
        super().__init__()
        self.residual_group = Group(channels, depth, heads, window, False, drop_rates, options, rng)
        self.linear = Linear(channels, channels, rng)
        self.add = ResidualLinear(self.linear)

    def construct(self, x: Tensor) -> Tensor:
        return self.add(x, self.residual_group(x))


class Down(Rearrangement):
    """Four pixels become one of four times the channels, ordered (column, row, channel)."""

    def compute(self, w: Weights, x: Tensor) -> Tensor:
        return pixels_joined(x)

    def adjoint(self, shapes: Sequence[Shape | None], gradient: Tensor) -> tuple[Tensor]:
        return (pixels_parted(gradient),)


class Up(Rearrangement):
    """The inverse: one pixel's channels, ordered (column, row, channel), become four pixels."""

    def compute(self, w: Weights, x: Tensor) -> Tensor:
        return pixels_parted(x)

    def adjoint(self, shapes: Sequence[Shape | None], gradient: Tensor) -> tuple[Tensor]:
        return (pixels_joined(gradient),)


def pixels_joined(x: Tensor) -> Tensor:
    """(N, D, H, W, C) -> (N, D, H / 2, W / 2, 4 C)"""
    batch, frames, height, width, channels = x.shape
    x = x.reshape(-1, 2, width // 2, 2, channels).permute(0, 2, 3, 1, 4)
    return x.reshape(batch, frames, height // 2, width // 2, 4 * channels)


def pixels_parted(x: Tensor) -> Tensor:
    """(N, D, H, W, C) -> (N, D, 2 H, 2 W, C / 4)"""
    batch, frames, height, width, channels = x.shape
    x = x.reshape(-1, width, 2, 2, channels // 4).permute(0, 3, 1, 2, 4)
    return x.reshape(batch, frames, 2 * height, 2 * width, channels // 4)


def change_of_scale(change: str, inputs: int, channels: int, rng: np.random.Generator) -> nn.SequentialCell:
    """Return the layers at a stage's beginning: ``"same"``, ``"down"`` or ``"up"``, half or twice the size."""
    if change == "same":
        return nn.SequentialCell(nn.Identity(), LayerNorm(channels))
    rearrange, inputs = (Down(), 4 * inputs) if change == "down" else (Up(), inputs // 4)
    return nn.SequentialCell(rearrange, LayerNorm(inputs), Linear(inputs, channels, rng))
