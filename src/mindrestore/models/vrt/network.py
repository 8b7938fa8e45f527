"""VRT, a video restoration transformer: clip in, restored clip out. Source: arXiv 2201.12288 and its published weights.

Parameter names and shapes are those of the published checkpoints. Features inside are channels last: (N, D, H, W, C).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.ops import constexpr

from mindrestore.models.vrt import operations, settings
from mindrestore.models.vrt.attention import Block, WindowedBlock
from mindrestore.models.vrt.ends import (
    ChannelsLast,
    Crop,
    EnlargedClip,
    MiddleFrame,
    NeighboursJoined,
    PixelsLast,
    upscale_steps,
)
from mindrestore.models.vrt.flows import SCALES, ClipFlows, of_scale
from mindrestore.models.vrt.layers import Conv, LayerNorm, Linear, NormedLinear, ResidualLinear, Sum, convolutions
from mindrestore.models.vrt.settings import STAGE_SCALES, STAGES, Options, VRTSettings
from mindrestore.models.vrt.spynet import SpyNet
from mindrestore.models.vrt.stage import Refinement, Stage
from mindrestore.ops.reflection import reflected
from mindrestore.runtime.execution import assign_in_place

CHANGES = ("same", "down", "down", "down", "up", "up", "up")
FEATURE_KERNEL = (1, 3, 3)
COMPUTED = ("spynet.mean", "spynet.std", ".relative_position_index", ".position_bias")


class VRT(nn.Cell):
    """Video restoration transformer.

    Args:
        settings: ``VRTSettings``; or these by name, as in ``VRT(upscale=2, depths=...)``.
        seed: of the first weights.

    Raises:
        UserError: a setting that is not allowed.
    """

    def __init__(self, settings: VRTSettings | None = None, seed: int = 0, **by_name: Any) -> None:
        super().__init__()
        s = VRTSettings.of(by_name) if settings is None else settings
        self.settings, self.abilities = s.network_settings(), s.abilities
        self.upscale, self.pa_frames = s.upscale, s.pa_frames
        self.colours, self.nonblind = s.in_chans, s.nonblind_denoising
        self.interpolates = s.abilities.interpolates
        self.least_size = 8 * max(s.window_size[1], 8), 8 * max(s.window_size[2], 8)
        self.distances = s.pa_frames // 2
        rng = np.random.default_rng(seed)
        window = tuple(s.window_size)
        options = Options(s.mul_attn_ratio, s.mlp_ratio, s.qkv_bias, s.qk_scale)
        rates = drop_rates(s.depths, s.drop_path_rate)
        depths, channels, heads = s.depths, s.embed_dims, s.num_heads
        first, last = channels[0], channels[-1]

        inputs = 9 * s.in_chans if s.pa_frames else s.in_chans
        self.conv_first = Conv(inputs + s.nonblind_denoising, first, rng, FEATURE_KERNEL)
        if s.pa_frames:
            self.spynet = SpyNet(rng)
        for index, (scale, change) in enumerate(zip(STAGE_SCALES, CHANGES)):
            setattr(
                self,
                f"stage{index + 1}",
                Stage(
                    channels[max(index - 1, 0)],
                    channels[index],
                    change,
                    depth=depths[index],
                    heads=heads[index],
                    window=window,
                    drop_rates=rates[index],
                    neighbours=self.distances,
                    deformable_groups=s.deformable_groups,
                    scale=scale,
                    options=options,
                    rng=rng,
                ),
            )
        widen = nn.SequentialCell(
            nn.Identity(), LayerNorm(channels[STAGES - 1]), Linear(channels[STAGES - 1], channels[STAGES], rng)
        )
        self.stage8 = nn.CellList(
            [widen]
            + [
                Refinement(
                    channels[index],
                    depth=depths[index],
                    heads=heads[index],
                    window=(1, *window[1:]) if index in s.indep_reconsts else window,
                    drop_rates=rates[index],
                    options=options,
                    rng=rng,
                )
                for index in range(STAGES, len(depths))
            ]
        )
        self.widen = NormedLinear(widen[1], widen[2])
        self.norm = LayerNorm(last)
        self.conv_after_body = Linear(last, first, rng)
        if self.interpolates:
            self.linear_fuse = Conv(first * s.img_size[0], s.num_feat, rng, (1, 1))
            self.conv_last = Conv(s.num_feat, s.out_chans, rng, (7, 7))
        elif s.upscale == 1:
            self.conv_last = Conv(first, s.out_chans, rng, FEATURE_KERNEL)
        else:
            self.conv_before_upsample = nn.SequentialCell(Conv(first, s.num_feat, rng, FEATURE_KERNEL))
            self.upsample = upsample(s.num_feat, s.upscale, rng)
            self.conv_last = Conv(s.num_feat, s.out_chans, rng, FEATURE_KERNEL)
        if s.pa_frames:
            self.flows = ClipFlows(self.spynet, self.distances)
            self.join_neighbours = NeighboursJoined(s.in_chans)
        self.embed, self.channels_last = convolutions([self.conv_first], (1.0,)), ChannelsLast()
        self.finish = NormedLinear(self.norm)
        self.fuse_body = ResidualLinear(self.conv_after_body)
        self.sum, self.pixels_last = Sum(), PixelsLast()
        if self.interpolates:
            self.make_middle = MiddleFrame(self.linear_fuse, self.conv_last)
        elif s.upscale == 1:
            self.details = convolutions([self.conv_last], (1.0,))
        else:
            factors = upscale_steps(s.upscale)
            cells = [self.conv_before_upsample[0], *list(self.upsample)[::5], self.conv_last]
            self.details = convolutions(cells, (0.01, *(0.1 for _ in factors), 1.0, 1.0), (1, *factors, 1, 1))
            self.enlarge = EnlargedClip(s.upscale)
        self.crop = Crop()
        self.__dict__["_multipliers"] = None
        for number, block in enumerate(self.windowed_blocks()):
            block.number = number
        self.drop_rates = [cell.drop_rate for _, cell in self.cells_and_names() if isinstance(cell, Block)]

    def construct(self, x: Tensor) -> Tensor:
        """Restore a clip.

        x: (N, D, C, H, W), 0–1, of any height, width and number of frames; in frame interpolation D = 4, and the result lies
            between frames 2 and 3; in non-blind denoising the last channel is the noise level.
        Returns (N, D, out_chans, upscale · H, upscale · W), in frame interpolation D = 1.
        Raises ``UserError`` for a shape that is not allowed.
        """
        _check_clip(x.shape, self.colours + self.nonblind, self.interpolates)
        _, frames, _, height, width = x.shape
        x = self.padded(x)
        y = self.interpolate(x) if self.interpolates else self.restore(x)
        size = (1 if self.interpolates else frames, self.upscale * height, self.upscale * width)
        return y if (y.shape[1], *y.shape[3:]) == size else self.crop(y, size)

    def padded(self, x: Tensor) -> Tensor:
        """Pad a clip by reflection at its end, bottom and right to a size that the network takes."""
        for axis, length in zip((1, 3, 4), self.whole_size(x.shape[1], *x.shape[3:])):
            if length > x.shape[axis]:
                x = ops.gather(x, _reflected(x.shape[axis], length), axis)
        return x

    def whole_size(self, frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Return the least (frames, height, width), no smaller, that the network takes without padding."""
        fewest = settings.FEWEST_FRAMES[self.pa_frames]
        return (max(frames, fewest), *(_whole_size(size, least) for size, least in zip((height, width), self.least_size)))

    def restore(self, x: Tensor) -> Tensor:
        """Restore a clip of a size that the network takes."""
        clip = x[:, :, : self.colours]
        flows = self.flows(clip) if self.pa_frames else ()
        if self.pa_frames:
            x = self.join_neighbours(x, *of_scale(flows, 0)[:: self.distances])
        features = self.channels_last(self.embed(x))
        details = self.details(self.pixels_last(self.fuse_body(features, self.body(features, flows))))
        return self.sum(clip if self.upscale == 1 else self.enlarge(clip), details)

    def interpolate(self, x: Tensor) -> Tensor:
        """Make the frame in the middle of four: (N, 4, C, H, W) -> (N, 1, C, H, W)."""
        mean = x.mean((1, 3, 4), keepdim=True)
        features = self.channels_last(self.embed(x - mean))
        return self.make_middle(self.fuse_body(features, self.body(features, ())), mean)

    def body(self, x: Tensor, flows: tuple[Tensor, ...]) -> Tensor:
        """Stages 1 to 8 and the last normalisation, (N, D, H, W, C); flows: of ``ClipFlows``."""
        full, half, quarter, eighth = [of_scale(flows, scale) for scale in range(SCALES)]
        x1 = self.stage1(x, *full)
        x2 = self.stage2(x1, *half)
        x3 = self.stage3(x2, *quarter)
        x = self.stage4(x3, *eighth)
        x = self.stage5(x, *quarter)
        x = self.stage6(self.sum(x, x3), *half)
        x = self.sum(self.stage7(self.sum(x, x2), *full), x1)
        x = self.widen(x)
        for index in range(1, len(self.stage8)):  # a slice of a CellList would rename its parameters
            x = self.stage8[index](x)
        return self.finish(x)

    @contextlib.contextmanager
    def dropping(self, multipliers: Tensor) -> Iterator[None]:
        """While the context lasts, apply stochastic depth (arXiv 1603.09382) to each clip.

        multipliers: (N, 2 · blocks), two for each block, of attention and of the MLP: 0 (dropped) or 1 / keep probability. N is
            the same at every call.
        """
        if self._multipliers is None:
            self.__dict__["_multipliers"] = Parameter(Tensor(multipliers), name="multipliers", requires_grad=False)
        assign_in_place(self._multipliers, multipliers)
        self._multiply_by(self._multipliers)
        try:
            yield
        finally:
            self._multiply_by(None)

    def _multiply_by(self, multipliers: Parameter | None) -> None:
        for block in self.windowed_blocks():
            block.__dict__["multipliers"] = multipliers  # past Cell.__setattr__, so that no checkpoint holds it

    def windowed_blocks(self) -> list[WindowedBlock]:
        """Return the pieces that attend within windows, in the order of execution."""
        return [cell for _, cell in self.cells_and_names() if isinstance(cell, WindowedBlock)]

    def recompute_parts(self, attention: Collection[int] = (), mlp: Collection[int] = (), second_groups: bool = False) -> None:
        """Store less and compute more in training, by recomputation (``ops.recomputation``).

        Args:
            attention, mlp: stages, counted as in ``indep_reconsts``, whose attention or MLPs are recomputed.
            second_groups: whether attention of the second group of every stage is recomputed too.
        """
        stages = [getattr(self, f"stage{number}") for number in range(1, settings.STAGES + 1)] + list(self.stage8)[1:]
        for index, stage in enumerate(stages):
            for name, block in stage.cells_and_names():
                if isinstance(block, WindowedBlock):
                    second = second_groups and name.startswith("residual_group2.")
                    block.recompute_parts(index in attention or second, index in mlp)

    def multiply_adds(self, frames: int, height: int, width: int) -> int:
        """Return how many multiply-adds one clip of a size takes that is not padded, see ``operations``."""
        return operations.multiply_adds(self, frames, height, width)

    def published_buffers(self, name: str) -> bool:
        """Tell whether an entry of a published checkpoint is a constant that this network computes itself."""
        return name.endswith(COMPUTED)


def upsample(channels: int, upscale: int, rng: np.random.Generator) -> nn.SequentialCell:
    """Return the convolutions that enlarge features, indexed as in published checkpoints."""
    layers = []
    for factor in upscale_steps(upscale):
        layers += [Conv(channels, factor**2 * channels, rng, FEATURE_KERNEL)] + [nn.Identity() for _ in range(4)]
    return nn.SequentialCell(*layers, Conv(channels, channels, rng, FEATURE_KERNEL))


def drop_rates(depths: Sequence[int], last: float) -> list[list[float]]:
    """Return the drop rates of the blocks of each stage, rising linearly from 0 to ``last`` over all blocks."""
    rates = np.linspace(0, last, sum(depths)).tolist()
    starts = np.cumsum([0, *depths])
    return [rates[start : start + depth] for start, depth in zip(starts, depths)]


def _whole_size(size: int, least: int) -> int:
    return max(-(-size // 8) * 8, least)


@constexpr
def _check_clip(shape: tuple[int, ...], channels: int, interpolating: bool) -> bool:
    settings.check_clip(shape, channels, interpolating)
    return True


@constexpr
def _reflected(length: int, longer: int) -> Tensor:
    return Tensor(reflected(length, longer))
