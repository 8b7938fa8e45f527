"""A stage of VRT: change of scale, mutual and self-attention, self-attention alone, alignment.

Source: VRT (arXiv 2201.12288), section 3.1. Features are channels last: (N, D, H, W, C).
"""
from mindspore import nn, ops

from mindrestore.models.vrt.alignment import Alignment
from mindrestore.models.vrt.attention import Group
from mindrestore.models.vrt.layers import GatedMlp, LayerNorm, Linear


class Stage(nn.Cell):
    """One of stages 1 to 7.

    Args:
        inputs, channels: in and out.
        change: ``"same"``, ``"down"`` or ``"up"``: half or twice the size.
        depth, heads, window, drop_rates: of the blocks.
        neighbours, deformable_groups, scale: of the alignment; no neighbours, no alignment.
        options: ``settings.Options``.
    """

    def __init__(self, inputs, channels, change, depth, heads, window, drop_rates, neighbours, deformable_groups, scale,
                 options, rng):
        super().__init__()
        self.reshape = change_of_scale(change, inputs, channels, rng)
        mutual_depth = int(depth * options.mul_attn_ratio)
        self.residual_group1 = Group(channels, mutual_depth, heads, (2, *window[1:]), True, drop_rates, options, rng)
        self.linear1 = Linear(channels, channels, rng)
        self.residual_group2 = Group(channels, depth - mutual_depth, heads, window, False, drop_rates, options, rng)
        self.linear2 = Linear(channels, channels, rng)
        self.aligns = neighbours > 0
        if self.aligns:
            self.pa_deform = Alignment(channels, neighbours, deformable_groups, scale, rng)
            self.pa_fuse = GatedMlp(3 * channels, 3 * channels, channels, rng)

    def construct(self, x, backward, forward, run=None, kept=None):
        """x: (N, D, H, W, C); backward, forward: flows by distance at the stage's scale; run, kept: as
        ``VRT.construct`` has them.
        """
        x = self.reshape(x)
        x = x + self.linear1(run_group(self.residual_group1, x, run, kept))
        x = x + self.linear2(run_group(self.residual_group2, x, run, kept))
        if not self.aligns:
            return x
        joined = ops.cat((x, *self.pa_deform(x, backward, forward, run)), -1)
        return self.pa_fuse(joined) if run is None else run.tokens_apart(self.pa_fuse, joined)


class Refinement(nn.Cell):
    """One group of stage 8: x + linear(self-attention x)."""

    def __init__(self, channels, depth, heads, window, drop_rates, options, rng):
        super().__init__()
        self.residual_group = Group(channels, depth, heads, window, False, drop_rates, options, rng)
        self.linear = Linear(channels, channels, rng)

    def construct(self, x, run=None, kept=None):
        return x + self.linear(run_group(self.residual_group, x, run, kept))


def run_group(group, x, run, kept):
    """Return group(x, kept), or run.group(group, x) where there is something else to run it."""
    return group(x, kept) if run is None else run.group(group, x)


class Down(nn.Cell):
    """Four pixels become one of four times the channels, ordered (column, row, channel)."""

    def construct(self, x):
        batch, frames, height, width, channels = x.shape
        x = x.reshape(-1, 2, width // 2, 2, channels).permute(0, 2, 3, 1, 4)
        return x.reshape(batch, frames, height // 2, width // 2, 4 * channels)


class Up(nn.Cell):
    """The inverse: one pixel's channels, ordered (column, row, channel), become four pixels."""

    def construct(self, x):
        batch, frames, height, width, channels = x.shape
        x = x.reshape(-1, width, 2, 2, channels // 4).permute(0, 3, 1, 2, 4)
        return x.reshape(batch, frames, 2 * height, 2 * width, channels // 4)


def change_of_scale(change, inputs, channels, rng):
    """Return the layers at a stage's beginning: ``"same"``, ``"down"`` or ``"up"``, half or twice the size."""
    if change == "same":
        return nn.SequentialCell(nn.Identity(), LayerNorm(channels))
    rearrange, inputs = (Down(), 4 * inputs) if change == "down" else (Up(), inputs // 4)
    return nn.SequentialCell(rearrange, LayerNorm(inputs), Linear(inputs, channels, rng))
