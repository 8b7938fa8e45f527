"""A window-attention block and a stage of VRT in PyTorch, to measure against: names, shapes and values as ours. The whole
network is in ``torch_vrt_network.py``.

Source: arXiv 2201.12288, sections 3.1 to 3.4. Layers are PyTorch's own, frames and directions one after the other, as one
would write them; deformable convolution is ``grid_sample`` and a matrix product, because torchvision, which has an operator
for it, is not everywhere. Parameters have the published names.
"""

import torch
from torch import nn
from torch.nn import functional as F

MASKED = -100.0


class Mlp(nn.Module):
    """fc2(gelu(fc11 x) * fc12 x)"""

    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.fc11, self.fc12, self.fc2 = nn.Linear(inputs, hidden), nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc11(x)) * self.fc12(x))


class Attention(nn.Module):
    """Self-attention in windows (B, N, C), joined by mutual attention of a window's two frames where ``mutual``."""

    def __init__(self, channels, heads, window, mutual, positions):
        super().__init__()
        self.heads, self.mutual = heads, mutual
        entries = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(entries, heads))
        self.register_buffer("index", relative_positions(window), persistent=False)
        self.qkv_self = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear((1 + mutual) * channels, channels)
        if mutual:
            self.register_buffer("positions", positions, persistent=False)  # (1, N / 2, C)
            self.qkv_mut = nn.Linear(channels, 3 * channels)

    def forward(self, x, mask):
        count, tokens, channels = x.shape
        bias = self.relative_position_bias_table[self.index.reshape(-1)].reshape(tokens, tokens, self.heads)
        y = self.attend(*self.split(self.qkv_self(x)), mask, bias.permute(2, 0, 1))
        if self.mutual:
            query, key, value = self.split(self.qkv_mut(x + self.positions.repeat(1, 2, 1)))
            query1, query2 = query.chunk(2, 2)
            key1, key2 = key.chunk(2, 2)
            value1, value2 = value.chunk(2, 2)
            half = None if mask is None else mask[:, : tokens // 2, : tokens // 2]
            first, second = self.attend(query2, key1, value1, half), self.attend(query1, key2, value2, half)
            y = torch.cat((torch.cat((first, second), 1), y), 2)
        return self.proj(y)

    def split(self, qkv):
        count, tokens, channels = qkv.shape
        return qkv.reshape(count, tokens, 3, self.heads, channels // 3 // self.heads).permute(2, 0, 3, 1, 4)

    def attend(self, query, key, value, mask, bias=None):
        scores = query * query.shape[-1] ** -0.5 @ key.transpose(-2, -1)
        if bias is not None:
            scores = scores + bias
        if mask is not None:
            kinds, tokens, _ = mask.shape
            scores = scores.reshape(-1, kinds, self.heads, tokens, tokens) + mask[:, None].to(scores.dtype)
            scores = scores.reshape(-1, self.heads, tokens, tokens)
        y = scores.softmax(-1) @ value
        return y.transpose(1, 2).reshape(y.shape[0], y.shape[2], -1)


class Block(nn.Module):
    """Attention and MLP of (N, D, H, W, C)."""

    def __init__(self, channels, heads, window, shifted, mutual, positions=None):
        super().__init__()
        self.window, self.shift = window, tuple(size // 2 if shifted else 0 for size in window)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attn = Attention(channels, heads, window, mutual, positions)
        self.mlp = Mlp(channels, 2 * channels, channels)

    def forward(self, x):
        frames, height, width = x.shape[1:4]
        shift = tuple(s if length > w else 0 for s, length, w in zip(self.shift, x.shape[1:4], self.window))
        missing = [-length % w for length, w in zip(x.shape[1:4], self.window)]
        y = F.pad(self.norm1(x), (0, 0, 0, missing[2], 0, missing[1], 0, missing[0]))
        padded = y.shape
        if any(shift):
            y = torch.roll(y, [-s for s in shift], (1, 2, 3))
        y = joined(self.attn(windows(y, self.window), mask_of(padded[1:4], self.window, shift)), self.window, padded)
        if any(shift):
            y = torch.roll(y, shift, (1, 2, 3))
        x = x + y[:, :frames, :height, :width]
        return x + self.mlp(self.norm2(x))


class Alignment(nn.Module):
    """Flow-guided deformable convolution of the nearest neighbours, frame by frame."""

    def __init__(self, channels, groups, scale):
        super().__init__()
        self.residue, self.groups = 10 / scale, groups
        self.weight = nn.Parameter(torch.zeros(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        layers = []
        for inputs in (2 * channels + 2, channels, channels):
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.LeakyReLU(0.1)]
        self.conv_offset = nn.Sequential(*layers, nn.Conv2d(channels, 27 * groups, 3, padding=1))

    def forward(self, x, backward, forward):
        """x: (N, D, C, H, W); flows (N, D - 1, 2, H, W). Returns what comes from later and from earlier frames."""
        frames = x.shape[1]
        later = [self.align(x[:, t + 1], x[:, t], backward[:, t]) for t in range(frames - 1)] + [torch.zeros_like(x[:, 0])]
        earlier = [torch.zeros_like(x[:, 0])] + [self.align(x[:, t - 1], x[:, t], forward[:, t - 1]) for t in range(1, frames)]
        return torch.stack(later, 1), torch.stack(earlier, 1)

    def align(self, neighbour, current, flow):
        offsets = self.conv_offset(torch.cat((warp(neighbour, flow), current, flow), 1))
        offset, mask = offsets.split((18 * self.groups, 9 * self.groups), 1)
        offset = self.residue * torch.tanh(offset) + flow.flip(1).repeat(1, 9 * self.groups, 1, 1)
        return deformable_convolution(neighbour, offset, torch.sigmoid(mask), self.weight, self.bias, self.groups)


class Stage(nn.Module):
    """``depth`` blocks, three quarters of them mutual, then alignment to the nearest neighbours.

    ``inputs`` and ``change`` ("down" or "up"): of a stage that begins with half or twice the size; ``scale``: of the stage.
    """

    def __init__(self, channels, depth, heads, window, groups, positions, inputs=None, change=None, scale=1):
        super().__init__()
        mutual = int(0.75 * depth)
        self.change = change
        rearranged = {None: channels, "down": 4 * (inputs or 0), "up": (inputs or 0) // 4}[change]
        self.reshape = nn.Sequential(
            nn.Identity(), nn.LayerNorm(rearranged), *([nn.Linear(rearranged, channels)] if change else [])
        )
        self.residual_group1 = Group(channels, mutual, heads, (2, *window[1:]), True, positions)
        self.linear1 = nn.Linear(channels, channels)
        self.residual_group2 = Group(channels, depth - mutual, heads, window, False)
        self.linear2 = nn.Linear(channels, channels)
        self.pa_deform = Alignment(channels, groups, scale)
        self.pa_fuse = Mlp(3 * channels, 3 * channels, channels)

    def forward(self, x, backward, forward):
        """x: (N, D, H, W, C); flows: (N, D - 1, 2, H, W)."""
        if self.change:
            x = (halved if self.change == "down" else doubled)(x)
        x = self.reshape(x)
        x = x + self.linear1(self.residual_group1(x))
        x = x + self.linear2(self.residual_group2(x))
        aligned = self.pa_deform(x.permute(0, 1, 4, 2, 3).contiguous(), backward, forward)
        return self.pa_fuse(torch.cat((x, *(y.permute(0, 1, 3, 4, 2) for y in aligned)), -1))


class Group(nn.Module):
    """Blocks of one window, every second one shifted."""

    def __init__(self, channels, depth, heads, window, mutual, positions=None):
        super().__init__()
        self.blocks = nn.Sequential(
            *(Block(channels, heads, window, index % 2 == 1, mutual, positions) for index in range(depth))
        )

    def forward(self, x):
        return self.blocks(x)


def halved(x):
    """Four pixels become one of four times the channels, ordered (column, row, channel)."""
    return torch.cat([x[:, :, row::2, column::2] for column in (0, 1) for row in (0, 1)], -1)


def doubled(x):
    """The other way round: one pixel becomes four."""
    count, frames, height, width, channels = x.shape
    x = x.reshape(count, frames, height, width, 2, 2, channels // 4).permute(0, 1, 2, 5, 3, 4, 6)
    return x.reshape(count, frames, 2 * height, 2 * width, channels // 4)


def windows(x, window):
    """(N, D, H, W, C) -> (windows, tokens, C)"""
    count, frames, height, width, channels = x.shape
    d, h, w = window
    x = x.reshape(count, frames // d, d, height // h, h, width // w, w, channels)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(-1, d * h * w, channels)


def joined(x, window, shape):
    """Undo ``windows``."""
    count, frames, height, width, channels = shape
    d, h, w = window
    x = x.reshape(count, frames // d, height // h, width // w, d, h, w, channels)
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(shape)


def mask_of(size, window, shift):
    """(windows, tokens, tokens): 0 within a region of the shifted map, MASKED between regions; None without a shift."""
    if not any(shift):
        return None
    key = size, window, shift
    if key not in _masks:
        regions = torch.zeros(1, *size, 1)
        for axis, (length, s) in enumerate(zip(size, shift)):
            region = (torch.arange(length) >= length - s).float()
            regions = 2 * regions + region.reshape([-1 if at == axis + 1 else 1 for at in range(5)])
        regions = windows(regions, window)[..., 0]
        _masks[key] = (regions[:, :, None] != regions[:, None]).float() * MASKED
    return _masks[key]


_masks = {}


def relative_positions(window):
    """Row of the bias table for each pair of tokens: (N, N)."""
    grid = torch.stack(torch.meshgrid(*map(torch.arange, window), indexing="ij")).reshape(3, -1)
    index = 0
    for distance, length in zip(grid[:, :, None] - grid[:, None], window):
        index = index * (2 * length - 1) + distance + length - 1
    return index


def deformable_convolution(x, offset, mask, weight, bias, groups):
    """Modulated deformable 3 x 3 convolution (arXiv 1811.11168), zeros outside.

    x: (N, C, H, W); offset: (N, groups * 9 * 2, H, W), (y, x) for each tap; mask: (N, groups * 9, H, W).
    """
    count, channels, height, width = x.shape
    offset = offset.reshape(count * groups, 9, 2, height, width).flip(2)  # (x, y)
    y, column = torch.meshgrid(torch.arange(-1, 2, dtype=x.dtype), torch.arange(-1, 2, dtype=x.dtype), indexing="ij")
    taps = torch.stack((column, y)).reshape(2, 9).T[:, :, None, None]
    flow = (offset + taps).permute(0, 2, 1, 3, 4).reshape(count * groups, 2, 9 * height, width)
    samples = sampled(x.reshape(count * groups, channels // groups, height, width), flow, height)
    samples = samples.reshape(count, groups, channels // groups, 9, height * width)
    samples = samples * mask.reshape(count, groups, 1, 9, height * width)
    y = weight.reshape(weight.shape[0], -1) @ samples.reshape(count, channels * 9, height * width)
    return (y + bias[:, None]).reshape(count, -1, height, width)


def warp(x, flow, padding="zeros"):
    """Bilinear sampling of (N, C, H, W) at pixel + flow (x, y); outside zeros, or the border."""
    return sampled(x, flow, x.shape[2], padding)


def sampled(x, flow, rows, padding="zeros"):
    """Sample at the pixels of a grid of ``rows`` rows plus ``flow`` (N, 2, R, W), the grid repeated R / rows times."""
    height, width = x.shape[2:]
    y, column = torch.meshgrid(
        torch.arange(rows, dtype=x.dtype).repeat(flow.shape[2] // rows), torch.arange(width, dtype=x.dtype), indexing="ij"
    )
    at = torch.stack((2 * (column + flow[:, 0]) / max(width - 1, 1) - 1, 2 * (y + flow[:, 1]) / max(height - 1, 1) - 1), -1)
    return F.grid_sample(x, at, align_corners=True, padding_mode=padding)
