"""How many multiply-adds a VRT takes for a clip: those of its convolutions, linear layers and attention.

What is counted is what the field counts: products with weights, and of queries, keys and values. Warps, samples of deformable
convolution, normalisation and activations are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mindspore import nn

from mindrestore.models.vrt.attention import WindowedBlock
from mindrestore.models.vrt.ends import upscale_steps
from mindrestore.models.vrt.settings import STAGE_SCALES
from mindrestore.models.vrt.spynet import LEVELS, SIZE_MULTIPLE
from mindrestore.ops.windows import Sizes, fitted

if TYPE_CHECKING:
    from mindrestore.models.vrt.network import VRT


def multiply_adds(network: VRT, frames: int, height: int, width: int) -> int:
    """Return the multiply-adds for one clip of a size that the network takes without padding."""
    pairs = 2 * (frames - 1)
    pixels = height * width
    total = frames * pixels * products(network.conv_first)
    if network.pa_frames:
        total += pairs * _of_flow(network.spynet, height, width)
    for number, scale in enumerate(STAGE_SCALES, 1):
        stage = getattr(network, f"stage{number}")
        size = frames, height // scale, width // scale
        total += math.prod(size) * products(stage.reshape, stage.linear1, stage.linear2)
        total += _of_blocks([stage.residual_group1, stage.residual_group2], size)
        if stage.aligns:
            total += math.prod(size) * products(stage.pa_fuse)
            total += pairs * math.prod(size[1:]) * products(stage.pa_deform)
    size = frames, height, width
    refinements = list(network.stage8)[1:]
    total += math.prod(size) * products(network.stage8[0], *(each.linear for each in refinements), network.conv_after_body)
    total += _of_blocks([each.residual_group for each in refinements], size)
    if network.interpolates:
        return total + pixels * products(network.linear_fuse, network.conv_last)
    return total + frames * _of_details(network, pixels)


def products(*cells: nn.Cell) -> int:
    """Return the products that each pixel or token takes in the convolutions and linear layers of cells."""
    parameters = [each for cell in cells for each in cell.get_parameters()]
    return sum(each.size for each in parameters if each.name.endswith("weight") and each.ndim > 1)


def _of_flow(spynet: nn.Cell, height: int, width: int) -> int:
    """For one flow from an image to another, from the coarsest level to the finest."""
    pixels = math.prod(-(-side // SIZE_MULTIPLE) * SIZE_MULTIPLE for side in (height, width))
    return sum(pixels // 4 ** (LEVELS - 1 - level) * products(spynet.basic_module[level]) for level in range(LEVELS))


def _of_blocks(groups: Iterable[nn.Cell], size: Sizes) -> int:
    """For all blocks of groups on features of ``size`` (D, H, W), whose tokens are padded to whole windows."""
    total = 0
    for group in groups:
        for block in [cell for _, cell in group.cells_and_names() if isinstance(cell, WindowedBlock)]:
            window, _ = fitted(size, block.window, block.shifted)
            tokens = math.prod(-(-side // each) * each for side, each in zip(size, window))
            weights = dict(zip(block.names, block.weights))
            linear = sum(each.size for name, each in weights.items() if name.endswith(".weight") and each.ndim > 1)
            channels = weights["norm1.weight"].size
            attended = math.prod(window)  # tokens that each token attends to, and half as many in mutual attention
            total += tokens * (linear + 2 * channels * (attended + block.mutual * attended // 2))
    return total


def _of_details(network: VRT, pixels: int) -> int:
    """For a frame of ``pixels``, from features to colours; enlarged on the way."""
    if network.upscale == 1:
        return pixels * products(network.conv_last)
    total = pixels * products(network.conv_before_upsample)
    *enlarging, last = [cell for cell in network.upsample if products(cell)]
    for cell, factor in zip(enlarging, upscale_steps(network.upscale)):
        total += pixels * products(cell)
        pixels *= factor**2
    return total + pixels * products(last, network.conv_last)
