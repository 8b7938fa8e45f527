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
from mindrestore.models.vrt.spynet import SpyNet
from mindrestore.models.vrt.stage import Refinement, Stage
from mindrestore.ops.reflection import reflected

CHANGES = ("same", "down", "down", "down", "up", "up", "up")
FEATURE_KERNEL = (1, 3, 3)
COMPUTED = ("spynet.mean", "spynet.std", ".relative_position_index", ".position_bias")


class VRT(nn.Cell):
    """Video restoration transformer.

    Args:
        upscale: 1, 2, 3, 4 or 8.
        in_chans, out_chans: of a frame, without the noise level.
        img_size: (frames, height, width) trained on; any other size can be restored.
        window_size: of self-attention, (frames, height, width).
        depths, embed_dims, num_heads: blocks, channels and heads of the seven stages and of each group of stage 8.
        indep_reconsts: which groups, counted over all of them, attend within a frame only.
        mul_attn_ratio: part of a stage's blocks that have mutual attention.
        mlp_ratio: hidden channels over channels.
        qkv_bias, qk_scale: of attention; None scales by the root of a head's channels.
        drop_path_rate: of the last block in training; it rises linearly from 0.
        pa_frames: 2, 4 or 6 frames aligned to each; 0 for none: frame interpolation, or non-blind denoising without flows.
        deformable_groups: of the alignment.
        num_feat: channels of the features at the size of the result: of upsampling, and of interpolation's last layers.
        nonblind_denoising: whether frames come with a noise level as one more channel.
        seed: of the first weights.

    Raises:
        UserError: a setting that cannot be.
    """

    def __init__(self, upscale=4, in_chans=3, out_chans=3, img_size=(6, 64, 64), window_size=(6, 8, 8),
                 depths=(8,) * 7 + (4,) * 6, indep_reconsts=(11, 12), embed_dims=(120,) * 7 + (180,) * 6,
                 num_heads=(6,) * 13, mul_attn_ratio=0.75, mlp_ratio=2.0, qkv_bias=True, qk_scale=None,
                 drop_path_rate=0.2, pa_frames=2, deformable_groups=12, num_feat=64, nonblind_denoising=False,
                 seed=0):
        super().__init__()
        given = dict(
            upscale=upscale, in_chans=in_chans, out_chans=out_chans, img_size=img_size, window_size=window_size,
            depths=depths, indep_reconsts=indep_reconsts, embed_dims=embed_dims, num_heads=num_heads,
            mul_attn_ratio=mul_attn_ratio, mlp_ratio=mlp_ratio, qkv_bias=qkv_bias, qk_scale=qk_scale,
            drop_path_rate=drop_path_rate, pa_frames=pa_frames, deformable_groups=deformable_groups,
            num_feat=num_feat, nonblind_denoising=nonblind_denoising)
        settings.check(**given)
        self.settings = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
        self.upscale, self.pa_frames = upscale, pa_frames
        self.colours, self.nonblind = in_chans, nonblind_denoising
        self.interpolates = settings.interpolates(pa_frames, nonblind_denoising)
        self.least_size = 8 * max(window_size[1], 8), 8 * max(window_size[2], 8)
        self.distances = pa_frames // 2
        rng = np.random.default_rng(seed)
        window = tuple(window_size)
        options = settings.Options(mul_attn_ratio, mlp_ratio, qkv_bias, qk_scale)
        rates = drop_rates(depths, drop_path_rate)
        first, last = embed_dims[0], embed_dims[-1]

        inputs = 9 * in_chans if pa_frames else in_chans
        self.conv_first = Conv(inputs + nonblind_denoising, first, rng, FEATURE_KERNEL)
        if pa_frames:
            self.spynet = SpyNet(rng)
        for index, (scale, change) in enumerate(zip(settings.SCALES, CHANGES)):
            setattr(self, f"stage{index + 1}", Stage(
                embed_dims[max(index - 1, 0)], embed_dims[index], change, depths[index], num_heads[index], window,
                rates[index], self.distances, deformable_groups, scale, options, rng))
        stages = settings.STAGES
        widen = nn.SequentialCell(
            nn.Identity(), LayerNorm(embed_dims[stages - 1]), Linear(embed_dims[stages - 1], embed_dims[stages], rng))
        self.stage8 = nn.CellList([widen] + [
            Refinement(embed_dims[index], depths[index], num_heads[index],
                       (1, *window[1:]) if index in indep_reconsts else window, rates[index], options, rng)
            for index in range(stages, len(depths))])
        self.widen = NormedLinear(widen[1], widen[2])
        self.norm = LayerNorm(last)
        self.conv_after_body = Linear(last, first, rng)
        if self.interpolates:
            self.linear_fuse = Conv(first * img_size[0], num_feat, rng, (1, 1))
            self.conv_last = Conv(num_feat, out_chans, rng, (7, 7))
        elif upscale == 1:
            self.conv_last = Conv(first, out_chans, rng, FEATURE_KERNEL)
        else:
            self.conv_before_upsample = nn.SequentialCell(Conv(first, num_feat, rng, FEATURE_KERNEL))
            self.upsample = upsample(num_feat, upscale, rng)
            self.conv_last = Conv(num_feat, out_chans, rng, FEATURE_KERNEL)
        if pa_frames:
            self.flows = ClipFlows(self.spynet, self.distances)
        self.embed = Embedding(self.conv_first, in_chans, self.distances)
        self.finish = NormedLinear(self.norm)
        self.fuse_body = ResidualLinear(self.conv_after_body)
        self.sum, self.pixels_last = Sum(), PixelsLast()
        if self.interpolates:
            self.make_middle = MiddleFrame(self.linear_fuse, self.conv_last)
        elif upscale == 1:
            self.add_details = Details(self.conv_last)
        else:
            self.add_details = EnlargedDetails(self.conv_before_upsample, self.upsample, self.conv_last, upscale)
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
        ops.Assign()(self._multipliers, multipliers)
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
