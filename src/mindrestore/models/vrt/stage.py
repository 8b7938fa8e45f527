"""A stage of VRT: change of scale, mutual and self-attention, self-attention alone, alignment.

Source: VRT (arXiv 2201.12288), section 3.1. Features are channels last: (N, D, H, W, C).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn

from mindrestore.models.piece import Section, Shape
from mindrestore.models.vrt.alignment import Alignment
from mindrestore.models.vrt.attention import Group
from mindrestore.models.vrt.layers import (
    Axes,
    GatedMlp,
    GatedMlpOfTokens,
    LayerNorm,
    Linear,
    NormedLinear,
    Reordering,
    ResidualLinear,
)
from mindrestore.models.vrt.settings import Options
from mindrestore.ops.windows import Sizes


class Stage(Section):
    """One of stages 1 to 7.

    Args:
        inputs, channels: channels of the input and of the result.
        change: ``"same"``, ``"down"`` (half the height and width) or ``"up"`` (twice).
        depth, heads, window, drop_rates: of the blocks, as of ``Group``.
        neighbours, deformable_groups, scale: of the alignment, as of ``Alignment``; 0 neighbours: no alignment.
        options: that all blocks of the network share.
        rng: of the first weights.
    """

    size = "stage"

    def __init__(
        self,
        inputs: int,
        channels: int,
        change: str,
        *,
        depth: int,
        heads: int,
        window: Sizes,
        drop_rates: Sequence[float],
        neighbours: int,
        deformable_groups: int,
        scale: int,
        options: Options,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.reshape = change_of_scale(change, inputs, channels, rng)
        self.changes_scale = change != "same"
        mutual_depth = int(depth * options.mul_attn_ratio)
        blocks = dict(channels=channels, heads=heads, drop_rates=drop_rates, options=options, rng=rng)
        self.residual_group1 = Group(depth=mutual_depth, window=(2, *window[1:]), mutual=True, **blocks)
        self.linear1 = Linear(channels, channels, rng)
        self.residual_group2 = Group(depth=depth - mutual_depth, window=window, mutual=False, **blocks)
        self.linear2 = Linear(channels, channels, rng)
        self.enter = NormedLinear(*list(self.reshape)[1:])
        self.add1, self.add2 = ResidualLinear(self.linear1), ResidualLinear(self.linear2)
        self.aligns = neighbours > 0
        if self.aligns:
            self.pa_deform = Alignment(channels, neighbours=neighbours, groups=deformable_groups, scale=scale, rng=rng)
            self.pa_fuse = GatedMlp(3 * channels, 3 * channels, channels, rng)
            self.fuse = GatedMlpOfTokens(self.pa_fuse)

    def construct(self, x: Tensor, *flows: Tensor) -> Tensor:
        """(N, D, H, W, inputs) -> (N, D, H', W', channels); flows at the scale of the stage: backward ones by distance, then
        forward ones.
        """
        x = self.enter(self.reshape[0](x) if self.changes_scale else x)
        x = self.add1(x, self.residual_group1(x))
        x = self.add2(x, self.residual_group2(x))
        return self.fuse(self.pa_deform(x, *flows)) if self.aligns else x


class Refinement(Section):
    """One group of stage 8: x + linear(self-attention x)."""

    size = "stage"

    def __init__(
        self,
        channels: int,
        *,
        depth: int,
        heads: int,
        window: Sizes,
        drop_rates: Sequence[float],
        options: Options,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.residual_group = Group(
            channels, depth=depth, heads=heads, window=window, mutual=False, drop_rates=drop_rates, options=options, rng=rng
        )
        self.linear = Linear(channels, channels, rng)
        self.add = ResidualLinear(self.linear)

    def construct(self, x: Tensor) -> Tensor:
        return self.add(x, self.residual_group(x))


class Down(Reordering):
    """Pixel unshuffle: four pixels become one with four times the channels, ordered (column, row, channel).

    (N, D, H, W, C) -> (N, D, H / 2, W / 2, 4 C)
    """

    def axes(self, shape: Shape) -> Axes:
        batch, frames, height, width, channels = shape
        result = batch, frames, height // 2, width // 2, 4 * channels
        return (-1, 2, width // 2, 2, channels), (0, 2, 3, 1, 4), result


class Up(Reordering):
    """Pixel shuffle, the inverse of ``Down``: channels ordered (column, row, channel) become four pixels.

    (N, D, H, W, C) -> (N, D, 2 H, 2 W, C / 4)
    """

    def axes(self, shape: Shape) -> Axes:
        batch, frames, height, width, channels = shape
        result = batch, frames, 2 * height, 2 * width, channels // 4
        return (-1, width, 2, 2, channels // 4), (0, 3, 1, 2, 4), result


def change_of_scale(change: str, inputs: int, channels: int, rng: np.random.Generator) -> nn.SequentialCell:
    """Return the first layers of a stage; ``change`` is ``"same"``, ``"down"`` (half the size) or ``"up"`` (twice)."""
    if change == "same":
        return nn.SequentialCell(nn.Identity(), LayerNorm(channels))
    rearrange, inputs = (Down(), 4 * inputs) if change == "down" else (Up(), inputs // 4)
    return nn.SequentialCell(rearrange, LayerNorm(inputs), Linear(inputs, channels, rng))
