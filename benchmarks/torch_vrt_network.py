"""VRT as a whole in PyTorch, with alignment to the nearest neighbours (``pa_frames`` 2): names, shapes and values as ours.

Source: arXiv 2201.12288. Runs in float32 and float64 alike, so that it can show what rounding does (``rounding.py``).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F
from torch_vrt import Group, Stage, warp

SCALES = (1, 2, 4, 8, 4, 2, 1)
CHANGES = (None, "down", "down", "down", "up", "up", "up")
LEVELS = 6
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VRT(nn.Module):
    """Settings as ours, those named here.

    positions: position encoding of the tokens of one frame of a window, (1, h * w, C).
    """

    def __init__(
        self,
        positions,
        upscale,
        window_size,
        depths,
        indep_reconsts,
        embed_dims,
        num_heads,
        deformable_groups,
        nonblind_denoising=False,
        num_feat=64,
    ):
        super().__init__()
        self.upscale = upscale
        first, window = embed_dims[0], tuple(window_size)
        self.spynet = SpyNet()
        self.conv_first = in_frames(27 + nonblind_denoising, first)
        for index, (scale, change) in enumerate(zip(SCALES, CHANGES)):
            setattr(
                self,
                f"stage{index + 1}",
                Stage(
                    embed_dims[index],
                    depths[index],
                    num_heads[index],
                    window,
                    deformable_groups,
                    positions,
                    embed_dims[max(index - 1, 0)],
                    change,
                    scale,
                ),
            )
        stages = len(SCALES)
        self.stage8 = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Identity(), nn.LayerNorm(embed_dims[stages - 1]), nn.Linear(embed_dims[stages - 1], embed_dims[stages])
                )
            ]
        )
        self.stage8.extend(
            Refinement(
                embed_dims[index], depths[index], num_heads[index], (1, *window[1:]) if index in indep_reconsts else window
            )
            for index in range(stages, len(depths))
        )
        self.norm = nn.LayerNorm(embed_dims[-1])
        self.conv_after_body = nn.Linear(embed_dims[-1], first)
        if upscale == 1:
            self.conv_last = in_frames(first, 3)
            return
        self.conv_before_upsample = nn.Sequential(in_frames(first, num_feat), nn.LeakyReLU())
        doublings = []
        for _ in range(int(math.log2(upscale))):
            doublings += [in_frames(num_feat, 4 * num_feat), nn.Identity(), Shuffle(), nn.Identity(), nn.LeakyReLU(0.1)]
        self.upsample = nn.Sequential(*doublings, in_frames(num_feat, num_feat))
        self.conv_last = in_frames(num_feat, 3)

    def forward(self, x):
        """(N, D, C, H, W) -> (N, D, 3, upscale * H, upscale * W); H and W are multiples of 8."""
        clip = x[:, :, :3]
        count, frames, _, height, width = clip.shape
        earlier, later = (part.reshape(-1, 3, height, width) for part in (clip[:, :-1], clip[:, 1:]))
        backward, forward = self.spynet(earlier, later), self.spynet(later, earlier)
        none = torch.zeros(count, 1, 12, height, width, dtype=x.dtype)
        from_later = torch.cat((_in_clips(nearest4(later, backward[0]), count), none), 1)
        from_earlier = torch.cat((none, _in_clips(nearest4(earlier, forward[0]), count)), 1)
        flows = [tuple(_in_clips(flow, count) for flow in pair) for pair in zip(backward, forward)]
        features = self.conv_first(torch.cat((clip, from_later, from_earlier, x[:, :, 3:]), 2).transpose(1, 2))
        body = self.body(features.permute(0, 2, 3, 4, 1), flows)
        features = features + self.conv_after_body(body).permute(0, 4, 1, 2, 3)
        if self.upscale == 1:
            return clip + self.conv_last(features).transpose(1, 2)
        details = self.conv_last(self.upsample(self.conv_before_upsample(features))).transpose(1, 2)
        enlarged = F.interpolate(
            clip.reshape(-1, 3, height, width), size=details.shape[3:], mode="bilinear", align_corners=False
        )
        return details + enlarged.reshape(details.shape)

    def body(self, x, flows):
        x1 = self.stage1(x, *flows[0])
        x2 = self.stage2(x1, *flows[1])
        x3 = self.stage3(x2, *flows[2])
        x = self.stage4(x3, *flows[3])
        x = self.stage5(x, *flows[2])
        x = self.stage6(x + x3, *flows[1])
        x = self.stage7(x + x2, *flows[0]) + x1
        for layer in self.stage8:
            x = layer(x)
        return self.norm(x)


class Refinement(nn.Module):
    """One group of stage 8."""

    def __init__(self, channels, depth, heads, window):
        super().__init__()
        self.residual_group = Group(channels, depth, heads, window, False)
        self.linear = nn.Linear(channels, channels)

    def forward(self, x):
        return x + self.linear(self.residual_group(x))


class Shuffle(nn.Module):
    """Pixel shuffle by 2 of each frame: (N, 4 C, D, H, W) -> (N, C, D, 2 H, 2 W)."""

    def forward(self, x):
        return F.pixel_shuffle(x.transpose(1, 2), 2).transpose(1, 2)


class SpyNet(nn.Module):
    """Flow from images to neighbours, (N, 3, H, W): at scales 1, 1/2, 1/4 and 1/8."""

    def __init__(self):
        super().__init__()
        self.basic_module = nn.ModuleList(FlowUpdate() for _ in range(LEVELS))

    def forward(self, image, neighbour):
        height, width = image.shape[2:]
        images, neighbours = self.pyramid(image), self.pyramid(neighbour)
        flow, flows = None, []
        for level, (one, other) in enumerate(zip(images, neighbours)):
            size = one.shape[2:]
            flow = (
                torch.zeros(len(one), 2, *size, dtype=one.dtype)
                if flow is None
                else 2 * F.interpolate(flow, size=size, mode="bilinear", align_corners=True)
            )
            flow = flow + self.basic_module[level](torch.cat((one, warp(other, flow, "border"), flow), 1))
            if level >= 2:
                scale = 2 ** (LEVELS - 1 - level)
                flows.append(_resized(flow, height // scale, width // scale))
        return flows[::-1]

    def pyramid(self, x):
        mean, std = (torch.tensor(values, dtype=x.dtype).reshape(1, 3, 1, 1) for values in (MEAN, STD))
        size = [-(-length // 32) * 32 for length in x.shape[2:]]
        x = (x - mean) / std
        levels = [F.interpolate(x, size=size, mode="bilinear", align_corners=False)]
        for _ in range(LEVELS - 1):
            levels.append(F.avg_pool2d(levels[-1], 2, 2))
        return levels[::-1]


class FlowUpdate(nn.Module):
    """Five 7 x 7 convolutions."""

    def __init__(self):
        super().__init__()
        layers = []
        for inputs, outputs in ((8, 32), (32, 64), (64, 32), (32, 16), (16, 2)):
            layers += [nn.Conv2d(inputs, outputs, 7, padding=3), nn.ReLU()]
        self.basic_module = nn.Sequential(*layers[:-1])

    def forward(self, x):
        return self.basic_module(x)


def in_frames(inputs, outputs):
    """A 3 x 3 convolution of each frame, (N, C, D, H, W)."""
    return nn.Conv3d(inputs, outputs, (1, 3, 3), padding=(0, 1, 1))


def nearest4(x, flow):
    """The four pixels around pixel + flow, zero outside: (N, C, H, W) -> (N, 4 C, H, W)."""
    count, channels, height, width = x.shape
    row, column = torch.meshgrid(torch.arange(height, dtype=x.dtype), torch.arange(width, dtype=x.dtype), indexing="ij")
    at_x, at_y = column + flow[:, 0], row + flow[:, 1]
    copies = []
    for left in (at_x.floor(), at_x.ceil()):
        for top in (at_y.floor(), at_y.ceil()):
            inside = (left >= 0) & (left < width) & (top >= 0) & (top < height)
            place = (top.clamp(0, height - 1) * width + left.clamp(0, width - 1)).long()
            taken = x.flatten(2).gather(2, place.reshape(count, 1, -1).expand(-1, channels, -1)).reshape(x.shape)
            copies.append(taken * inside[:, None])
    return torch.cat(copies, 1)


def _in_clips(images, count):
    return images.reshape(count, -1, *images.shape[1:])


def _resized(flow, height, width):
    old_height, old_width = flow.shape[2:]
    if (height, width) == (old_height, old_width):
        return flow
    factors = torch.tensor([width / old_width, height / old_height], dtype=flow.dtype).reshape(1, 2, 1, 1)
    return factors * F.interpolate(flow, size=(height, width), mode="bilinear", align_corners=False)
