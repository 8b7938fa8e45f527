"""The two-way grey RevSCI in PyTorch, to measure against: same layers, widths, parameter names and values of gradients.

Source: arXiv 2103.03089, sections 3.2 and 3.3. Layers are PyTorch's own in its default layout, as one would write them.
"""

import torch
from torch import nn

SLOPE = 0.01


class RevSCI(nn.Module):
    """Measurement (B, H, W) and mask (T, H, W) in, clip (B, T, H, W) out, for even H and W.

    ``channels`` is the width inside the blocks, 64 as published; that of head and tail scales with it.
    """

    def __init__(self, blocks=50, channels=64):
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.conv1 = nn.Sequential(
            nn.Conv3d(1, quarter, 5, padding=2),
            nn.LeakyReLU(SLOPE),
            nn.Conv3d(quarter, half, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv3d(half, half, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv3d(half, channels, 3, stride=(1, 2, 2), padding=1),
            nn.LeakyReLU(SLOPE),
        )
        self.layers = nn.ModuleList([Block(half) for _ in range(blocks)])
        self.conv2 = nn.Sequential(
            nn.ConvTranspose3d(channels, half, (1, 3, 3), (1, 2, 2), (0, 1, 1), (0, 1, 1)),
            nn.LeakyReLU(SLOPE),
            nn.Conv3d(half, half, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv3d(half, quarter, 1),
            nn.LeakyReLU(SLOPE),
            nn.Conv3d(quarter, 1, 3, padding=1),
        )

    def forward(self, measurement, mask):
        return self.tail(self.run_blocks(self.head(measurement, mask)))

    def head(self, measurement, mask):
        """Return the two halves of the channels, (B, channels / 2, T, H / 2, W / 2) each."""
        total = mask.sum(0)
        normalised = (measurement / torch.where(total == 0, torch.ones_like(total), total))[:, None]  # (B, 1, H, W)
        return self.conv1((normalised + mask * normalised)[:, None]).chunk(2, 1)

    def run_blocks(self, halves):
        for block in self.layers:
            halves = block(*halves)
        return halves

    def tail(self, halves):
        return self.conv2(torch.cat(halves, 1))[:, 0]


class Block(nn.Module):
    """y1 = x1 + f(x2); y2 = x2 + g(y1)"""

    def __init__(self, channels):
        super().__init__()
        self.f1 = residual(channels)
        self.g1 = residual(channels)

    def forward(self, x1, x2):
        y1 = x1 + self.f1(x2)
        return y1, x2 + self.g1(y1)

    def pull_back(self, halves, of_halves):
        """Return the block's input and the gradient of it; add the weights' gradients to theirs."""
        (y1, y2), (of_y1, of_y2) = halves, of_halves
        g, of_g = _run_and_pull_back(self.g1, y1, of_y2)
        x2, of_x1 = y2 - g, of_y1 + of_g
        f, of_f = _run_and_pull_back(self.f1, x2, of_x1)
        return (y1 - f, x2), (of_x1, of_y2 + of_f)


def residual(channels):
    return nn.Sequential(
        nn.Conv3d(channels, channels, 3, padding=1), nn.LeakyReLU(SLOPE), nn.Conv3d(channels, channels, 3, padding=1)
    )


def plain_step(network, loss, clip, measurement, mask):
    """Ordinary backpropagation: return the loss, leave the gradients in the parameters."""
    network.zero_grad(set_to_none=True)
    value = loss(network(measurement, mask), clip)
    value.backward()
    return value.detach()


def reversible_step(network, loss, clip, measurement, mask):
    """The same without storing what happens inside the blocks: their inputs are rebuilt from their outputs."""
    network.zero_grad(set_to_none=True)
    with torch.no_grad():
        halves = network.run_blocks(network.head(measurement, mask))
    halves = [half.requires_grad_() for half in halves]
    value = loss(network.tail(halves), clip)
    value.backward()
    of_halves = [half.grad for half in halves]
    with torch.no_grad():
        halves = [half.detach() for half in halves]
        for block in reversed(network.layers):
            halves, of_halves = block.pull_back(halves, of_halves)
    torch.autograd.backward(network.head(measurement, mask), of_halves)
    return value.detach()


STEPS = {"plain": plain_step, "reversible": reversible_step}


def _run_and_pull_back(function, x, gradient):
    """Return (function(x), gradient of x for ``gradient`` of its result)."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        y = function(x)
    y.backward(gradient)
    return y.detach(), x.grad
