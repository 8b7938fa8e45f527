"""The settings of a VRT, found from the names and shapes of published weights."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mindrestore.errors import UserError
from mindrestore.models.vrt.settings import STAGES, TASKS

_MUTUAL_RATIO = 0.75
_NOT_IN_SHAPES = ("img_size",)


def settings_from_shapes(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Return the settings of the VRT that ``shapes`` (name -> shape, as published) belong to.

    The keys are those that ``mindrestore.models.create_model("vrt", ...)`` takes. The shapes decide all but ``img_size``, which
    is that of the published task with the same other settings, or 64 × 64. Windows are assumed to be square, and the part of
    the blocks with mutual attention as published. Raises ``UserError`` if these are the shapes of no VRT.
    """
    try:
        settings = _read(shapes)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"is no VRT: its names and shapes lack what a VRT has ({error}).") from error
    for task in TASKS.values():
        equal = all(_equal(settings[name], value) for name, value in task.items() if name not in _NOT_IN_SHAPES)
        if equal and settings["nonblind_denoising"] == task.get("nonblind_denoising", False):
            return {**settings, "img_size": list(task["img_size"])}
    return {**settings, "img_size": [settings["window_size"][0], 64, 64]}


def _read(shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    stages = [f"stage{number}" for number in range(1, STAGES + 1)]
    groups = [f"stage8.{number}" for number in range(1, 1 + _count(shapes, r"stage8\.([0-9]+)\.linear\.weight"))]
    mutual = [_depth(shapes, f"{stage}.residual_group1") for stage in stages]
    alone = [_depth(shapes, f"{stage}.residual_group2") for stage in stages]
    depths = [sum(pair) for pair in zip(mutual, alone)]
    if [int(_MUTUAL_RATIO * depth) for depth in depths] != mutual:
        raise UserError(
            f"is a VRT of {mutual} blocks with mutual attention of {depths} in its stages, where 3 of 4 were expected."
        )
    depths += [_depth(shapes, f"{group}.residual_group") for group in groups]
    owners = [f"{stage}.residual_group2" for stage in stages] + [f"{group}.residual_group" for group in groups]
    tables = [shapes[f"{owner}.blocks.0.attn.relative_position_bias_table"] for owner in owners]
    of_frame = shapes["stage1.residual_group1.blocks.0.attn.relative_position_bias_table"][0] // 3
    side = (math.isqrt(of_frame) + 1) // 2
    lengths = [(rows // of_frame + 1) // 2 for rows, _ in tables]
    channels = [shapes[f"{owner}.blocks.0.norm1.weight"][0] for owner in owners]
    inputs = shapes["conv_first.weight"][1]
    aligns = "stage1.pa_deform.weight" in shapes
    if not aligns and "linear_fuse.weight" not in shapes:
        raise UserError(
            "is a VRT that denoises without flows, of which no published one exists; give its own checkpoint, .ckpt."
        )
    neighbours = (shapes["stage1.pa_deform.conv_offset.0.weight"][1] - channels[0]) // (channels[0] + 2) if aligns else 0
    return {
        "upscale": _upscale(shapes),
        "in_chans": inputs // 9 if aligns else inputs,
        "out_chans": shapes["conv_last.weight"][0],
        "window_size": [lengths[0], side, side],
        "depths": depths,
        "indep_reconsts": [at for at, length in enumerate(lengths) if length == 1 < lengths[0]],
        "embed_dims": channels,
        "num_heads": [heads for _, heads in tables],
        "mul_attn_ratio": _MUTUAL_RATIO,
        "mlp_ratio": shapes["stage1.residual_group1.blocks.0.mlp.fc11.weight"][0] / channels[0],
        "qkv_bias": "stage1.residual_group1.blocks.0.attn.qkv_self.bias" in shapes,
        "pa_frames": 2 * neighbours,
        "deformable_groups": shapes["stage1.pa_deform.conv_offset.6.weight"][0] // 27 if aligns else 12,
        "num_feat": shapes["conv_last.weight"][1] if _upscale(shapes) > 1 or not aligns else 64,
        "nonblind_denoising": aligns and inputs % 9 == 1,
    }


def _upscale(shapes: Mapping[str, Sequence[int]]) -> int:
    if "conv_before_upsample.0.weight" not in shapes:
        return 1
    factors = [
        math.isqrt(shape[0] // shape[1]) for name, shape in shapes.items() if re.fullmatch(r"upsample\.[0-9]+\.weight", name)
    ]
    return math.prod(factors)


def _depth(shapes: Mapping[str, Sequence[int]], group: str) -> int:
    return _count(shapes, re.escape(group) + r"\.blocks\.([0-9]+)\.norm1\.weight")


def _count(shapes: Mapping[str, Sequence[int]], pattern: str) -> int:
    numbers = {int(match[1]) for match in (re.fullmatch(pattern, name) for name in shapes) if match}
    if not numbers:
        raise KeyError(pattern.replace("\\", ""))
    return len(numbers)


def _equal(setting: Any, published: Any) -> bool:
    return setting == (list(published) if isinstance(setting, list) else published)
