"""VRT, a video restoration transformer: clip in, restored clip out. Source: arXiv 2201.12288 and its published weights.

Parameter names and shapes are those of the published checkpoints. Features inside are channels last: (N, D, H, W, C).
"""
import contextlib

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.ops import constexpr

from mindrestore.models.vrt import settings
from mindrestore.models.vrt.attention import Block, WindowedBlock
from mindrestore.models.vrt.ends import Crop, Details, Embedding, EnlargedDetails, MiddleFrame, PixelsLast, upscale_steps
from mindrestore.models.vrt.flows import SCALES, ClipFlows, of_scale
from mindrestore.models.vrt.layers import Conv, LayerNorm, Linear, NormedLinear, ResidualLinear, Sum
from mindrestore.models.vrt.settings import STAGE_SCALES, STAGES, Options, VRTSettings
from mindrestore.models.vrt.spynet import SpyNet
from mindrestore.models.vrt.stage import Refinement, Stage
from mindrestore.ops.margins import reflected
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
        UserError: a setting that cannot be.
    """

    def __init__(self, settings=None, seed=0, **given):
        super().__init__()
        s = VRTSettings.of(given) if settings is None else settings
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
            setattr(self, f"stage{index + 1}", Stage(
                channels[max(index - 1, 0)], channels[index], change, depths[index], heads[index], window,
                rates[index], self.distances, s.deformable_groups, scale, options, rng))
        widen = nn.SequentialCell(
            nn.Identity(), LayerNorm(channels[STAGES - 1]), Linear(channels[STAGES - 1], channels[STAGES], rng))
        self.stage8 = nn.CellList([widen] + [
            Refinement(channels[index], depths[index], heads[index],
                       (1, *window[1:]) if index in s.indep_reconsts else window, rates[index], options, rng)
            for index in range(STAGES, len(depths))])
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
        self.embed = Embedding(self.conv_first, s.in_chans, self.distances)
        self.finish = NormedLinear(self.norm)
        self.fuse_body = ResidualLinear(self.conv_after_body)
        self.sum, self.pixels_last = Sum(), PixelsLast()
        if self.interpolates:
            self.make_middle = MiddleFrame(self.linear_fuse, self.conv_last)
        elif s.upscale == 1:
            self.add_details = Details(self.conv_last)
        else:
            self.add_details = EnlargedDetails(self.conv_before_upsample, self.upsample, self.conv_last, s.upscale)
        self.crop = Crop()
        self.__dict__["_multipliers"] = None
        for number, block in enumerate(self.windowed_blocks()):
            block.number = number
        self.drop_rates = [cell.drop_rate for _, cell in self.cells_and_names() if isinstance(cell, Block)]

    def construct(self, x):
        """Restore a clip.

        x: (N, D, C, H, W), 0–1, of any height and width and any number of frames (frame interpolation: exactly 4, in
        order, the new frame lies in their middle); one channel more, the noise level, for non-blind denoising.
        Returns (N, D, out_chans, upscale · H, upscale · W), D = 1 for frame interpolation.
        """
        _check_clip(x.shape, self.colours + self.nonblind, self.interpolates)
        _, frames, _, height, width = x.shape
        x = self.padded(x)
        y = self.interpolate(x) if self.interpolates else self.restore(x)
        size = (1 if self.interpolates else frames, self.upscale * height, self.upscale * width)
        return y if (y.shape[1], *y.shape[3:]) == size else self.crop(y, size)

    def padded(self, x):
        """Reflect a clip at its end, bottom and right to a size that the network takes."""
        fewest = settings.FEWEST_FRAMES[self.pa_frames]
        lengths = (max(x.shape[1], fewest), *(_whole_size(size, least) for size, least in zip(x.shape[3:], self.least_size)))
        for axis, length in zip((1, 3, 4), lengths):
            if length > x.shape[axis]:
                x = ops.gather(x, _reflected(x.shape[axis], length), axis)
        return x

    def restore(self, x):
        """Restore a clip of a size that the network takes."""
        clip = x[:, :, :self.colours]
        flows = self.flows(clip) if self.pa_frames else ()
        features = self.embed(x, *of_scale(flows, 0)[::max(self.distances, 1)])
        return self.add_details(self.pixels_last(self.fuse_body(features, self.body(features, flows))), clip)

    def interpolate(self, x):
        """Make the frame in the middle of four: (N, 4, C, H, W) -> (N, 1, C, H, W)."""
        mean = x.mean((1, 3, 4), keepdim=True)
        features = self.embed(x - mean)
        return self.make_middle(self.fuse_body(features, self.body(features, ())), mean)

    def body(self, x, flows):
        """Stages 1 to 8 and the last normalisation, (N, D, H, W, C); flows as of ``ClipFlows``."""
        full, half, quarter, eighth = [of_scale(flows, scale) for scale in range(SCALES)]
        x1 = self.stage1(x, *full)
        x2 = self.stage2(x1, *half)
        x3 = self.stage3(x2, *quarter)
        x = self.stage4(x3, *eighth)
        x = self.stage5(x, *quarter)
        x = self.stage6(self.sum(x, x3), *half)
        x = self.sum(self.stage7(self.sum(x, x2), *full), x1)
        x = self.widen(x)
        for index in range(1, len(self.stage8)):  # a slice would rename its parameters
            x = self.stage8[index](x)
        return self.finish(x)

    @contextlib.contextmanager
    def dropping(self, multipliers):
        """While the context lasts, attention and MLP of each clip are multiplied: stochastic depth (arXiv 1603.09382).

        multipliers: Tensor (N, 2 · blocks), for each block of its attention and of its MLP: 0 (dropped) or 1 / keep
            probability, see ``drop_rates``; as many clips each time.
        """
        if self._multipliers is None:
            self.__dict__["_multipliers"] = Parameter(Tensor(multipliers), name="multipliers", requires_grad=False)
        assign_in_place(self._multipliers, multipliers)
        self._multiply_by(self._multipliers)
        try:
            yield
        finally:
            self._multiply_by(None)

    def _multiply_by(self, multipliers):
        for block in self.windowed_blocks():
            block.__dict__["multipliers"] = multipliers  # not the block's own: no checkpoint holds it

    def windowed_blocks(self):
        """Return the pieces that attend within windows, in the order in which they run."""
        return [cell for _, cell in self.cells_and_names() if isinstance(cell, WindowedBlock)]

    def recompute_parts(self, attention=(), mlp=(), second_groups=False):
        """In training keep less and compute more (``ops.recomputation``): in attention and MLPs of these stages, counted as
        ``indep_reconsts`` counts them, and, if asked, in attention of the second group of every stage.
        """
        stages = [getattr(self, f"stage{number}") for number in range(1, settings.STAGES + 1)] + list(self.stage8)[1:]
        for index, stage in enumerate(stages):
            for name, block in stage.cells_and_names():
                if isinstance(block, WindowedBlock):
                    second = second_groups and name.startswith("residual_group2.")
                    block.recompute_parts(index in attention or second, index in mlp)

    def published_buffers(self, name):
        """Tell whether a published checkpoint's entry is a constant that this network computes itself."""
        return name.endswith(COMPUTED)


def upsample(channels, upscale, rng):
    """Return the convolutions of ``EnlargedDetails``, at the places where published checkpoints have them."""
    layers = []
    for factor in upscale_steps(upscale):
        layers += [Conv(channels, factor ** 2 * channels, rng, FEATURE_KERNEL)] + [nn.Identity() for _ in range(4)]
    return nn.SequentialCell(*layers, Conv(channels, channels, rng, FEATURE_KERNEL))


def drop_rates(depths, last):
    """Return for each stage the rates of its blocks, rising linearly from 0 to ``last`` over all blocks."""
    rates = np.linspace(0, last, sum(depths)).tolist()
    starts = np.cumsum([0, *depths])
    return [rates[start: start + depth] for start, depth in zip(starts, depths)]


def _whole_size(size, least):
    return max(-(-size // 8) * 8, least)


@constexpr
def _check_clip(shape, channels, interpolating):
    settings.check_clip(shape, channels, interpolating)
    return True


@constexpr
def _reflected(length, longer):
    return Tensor(reflected(length, longer))
