"""Settings of VRT, checked before anything is built, and those of the published tasks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from mindrestore.errors import UserError
from mindrestore.models.kind import INTERPOLATED_FRAMES, VideoAbilities
from mindrestore.models.settings import Counts, Flag, Settings, Three, Whole

if TYPE_CHECKING:
    from mindrestore.models.vrt.training import VRTTrainingKeys

STAGE_SCALES = (1, 2, 4, 8, 4, 2, 1)  # of stages 1 to 7
STAGES = len(STAGE_SCALES)
LARGEST_WINDOW = 4096  # pixels; memory grows with the square
FEWEST_FRAMES = {0: 2, 2: 2, 4: 3, 6: 4}  # by pa_frames

_SUPER_RESOLUTION = dict(
    upscale=4, depths=(8,) * 7 + (4,) * 6, indep_reconsts=(11, 12), embed_dims=(120,) * 7 + (180,) * 6, num_heads=(6,) * 13
)
_SAME_SIZE = dict(upscale=1, depths=(8,) * 7 + (4,) * 4, embed_dims=(96,) * 7 + (120,) * 4, num_heads=(6,) * 11)
_RESTORATION = dict(
    _SAME_SIZE, img_size=(6, 192, 192), window_size=(6, 8, 8), indep_reconsts=(9, 10), pa_frames=2, deformable_groups=16
)

TASKS = {
    "001_videosr_bi_reds_6frames": dict(
        _SUPER_RESOLUTION, img_size=(6, 64, 64), window_size=(6, 8, 8), pa_frames=2, deformable_groups=12
    ),
    "002_videosr_bi_reds_16frames": dict(
        _SUPER_RESOLUTION, img_size=(16, 64, 64), window_size=(8, 8, 8), pa_frames=6, deformable_groups=24
    ),
    "003_videosr_bi_vimeo_7frames": dict(
        _SUPER_RESOLUTION, img_size=(8, 64, 64), window_size=(8, 8, 8), pa_frames=4, deformable_groups=16
    ),
    "004_videosr_bd_vimeo_7frames": dict(
        _SUPER_RESOLUTION, img_size=(8, 64, 64), window_size=(8, 8, 8), pa_frames=4, deformable_groups=16
    ),
    "005_videodeblurring_dvd": _RESTORATION,
    "006_videodeblurring_gopro": _RESTORATION,
    "007_videodeblurring_reds": _RESTORATION,
    "008_videodenoising_davis": dict(_RESTORATION, nonblind_denoising=True),
    "009_videofi_vimeo_4frames": dict(
        _SAME_SIZE, img_size=(4, 192, 192), window_size=(4, 8, 8), indep_reconsts=(), pa_frames=0
    ),
}
"""Settings of the published networks; the others are the defaults of ``VRTSettings``."""


class Options(NamedTuple):
    """Settings that all blocks share."""

    mul_attn_ratio: float
    mlp_ratio: float
    qkv_bias: bool
    qk_scale: float | None


class VRTSettings(Settings):
    """Settings of a VRT; the defaults are those of published task 001.

    Lists have an entry for each of the seven stages and for each group of stage 8.
    """

    title: ClassVar[str] = "VRT"

    name: Literal["vrt"] = "vrt"
    upscale: Literal[1, 2, 3, 4, 8] = 4
    in_chans: Whole = Field(3, description="channels of a frame, without the noise level")
    out_chans: Whole = 3
    img_size: Three = Field([6, 64, 64], description="(frames, height, width) trained on; any other size can be restored")
    window_size: Three = Field([6, 8, 8], description="of self-attention, (frames, height, width)")
    depths: Counts = Field([8] * 7 + [4] * 6, description="blocks")
    indep_reconsts: list[Annotated[int, Field(strict=True, ge=0)]] = Field(
        [11, 12], description="which groups, counted over stages and groups, attend within a frame only"
    )
    embed_dims: Counts = Field([120] * 7 + [180] * 6, description="channels")
    num_heads: Counts = Field([6] * 13, description="heads of attention")
    mul_attn_ratio: float = Field(0.75, ge=0, lt=1, description="part of a stage's blocks that have mutual attention")
    mlp_ratio: float = Field(2.0, gt=0, description="hidden channels over channels")
    qkv_bias: Flag = Field(True, description="of attention")
    qk_scale: Annotated[float, Field(gt=0)] | None = Field(
        None, description="of attention; None: by the root of a head's channels"
    )
    drop_path_rate: float = Field(0.2, ge=0, lt=1, description="of the last block in training; it rises linearly from 0")
    pa_frames: Literal[0, 2, 4, 6] = Field(
        2, description="frames aligned to each; 0: none, which interpolates, or denoises without flows"
    )
    deformable_groups: Whole = Field(12, description="of the alignment")
    num_feat: Whole = Field(
        64, description="channels of the features at the size of the result: of upsampling, and of interpolation's last layers"
    )
    nonblind_denoising: Flag = Field(False, description="frames come with a noise level as one more channel")

    @property
    def abilities(self) -> VideoAbilities:
        return abilities(self.network_settings())

    def check_training(self, training: VRTTrainingKeys) -> None:
        if training.initial_flow and self.pa_frames == 0:
            raise ValueError(
                "training.initial_flow: this network has no SpyNet to take it (model.pa_frames is 0); leave it away"
            )
        recompute = training.recompute
        for part, stages in (("attention", recompute.attention), ("mlp", recompute.mlp)):
            if max(stages, default=0) >= len(self.depths):
                raise ValueError(
                    f"training.recompute.{part} has stage {max(stages)}; the stages of this network are 0 to "
                    f"{len(self.depths) - 1}, one for each of model.depths"
                )

    def least_numbers(self) -> int:
        blocks = sum(
            depth * channels * 3 * (channels + int(channels * self.mlp_ratio))  # queries, keys, values; three layers
            for depth, channels in zip(self.depths, self.embed_dims)
        )
        first = self.embed_dims[0]
        features = first * self.num_feat if self.upscale > 1 or not self.pa_frames else 0
        fused = self.img_size[0] * features if not self.pa_frames and not self.nonblind_denoising else features
        return blocks + first * self.in_chans + self.out_chans + fused

    @model_validator(mode="after")
    def _fits(self) -> VRTSettings:
        if math.prod(self.window_size) > LARGEST_WINDOW:
            raise ValueError(f"VRT window_size is {self.window_size}; attention is among {LARGEST_WINDOW} pixels at most.")
        if len(self.depths) <= STAGES:
            raise ValueError(
                f"VRT depths has {len(self.depths)} entries; it must have one for each of the {STAGES} stages and "
                "one or more for the groups of stage 8."
            )
        for name, value in (("embed_dims", self.embed_dims), ("num_heads", self.num_heads)):
            if len(value) != len(self.depths):
                raise ValueError(f"VRT {name} has {len(value)} entries; it must have {len(self.depths)}, as many as depths.")
        for channels, heads in zip(self.embed_dims, self.num_heads):
            if channels % heads:
                raise ValueError(f"VRT num_heads has {heads}, which does not divide the {channels} of embed_dims.")
        for channels in self.embed_dims[:STAGES]:
            if channels % 4:
                raise ValueError(f"VRT embed_dims has {channels}; those of the {STAGES} stages must be multiples of 4.")
        if self.pa_frames:
            self._check_alignment()
        elif self.upscale != 1:
            raise ValueError(f"VRT upscale is {self.upscale}; with pa_frames 0 (no alignment) it must be 1.")
        elif self.abilities.interpolates and self.img_size[0] != INTERPOLATED_FRAMES:
            raise ValueError(
                f"VRT img_size is {self.img_size}; frame interpolation (pa_frames 0) takes {INTERPOLATED_FRAMES} frames."
            )
        return self

    def _check_alignment(self) -> None:
        neighbours, groups = self.pa_frames // 2, self.deformable_groups
        if groups % neighbours:
            raise ValueError(
                f"VRT deformable_groups is {groups}; with pa_frames {self.pa_frames} it must be a multiple of {neighbours}."
            )
        for channels in self.embed_dims[:STAGES]:
            if channels % neighbours or neighbours * channels % groups:
                raise ValueError(
                    f"VRT deformable_groups is {groups}; it must divide the {neighbours} times {channels} "
                    "channels that are aligned."
                )


def abilities(settings: Mapping[str, Any]) -> VideoAbilities:
    """Return the ``VideoAbilities`` of a network with the ``settings`` of a VRT by name; those absent take a default."""
    denoises = bool(settings.get("nonblind_denoising", False))
    interpolates = settings.get("pa_frames", 2) == 0 and not denoises
    scale = settings.get("upscale", 1)
    tasks = (
        ("sr",) if scale > 1 else ("denoise",) if denoises else ("interpolate",) if interpolates else ("deblur", "denoise")
    )  # the settings of the two are the same
    return VideoAbilities(
        tasks=tasks,
        scale=scale,
        window=tuple(settings.get("window_size", (1, 8, 8))),
        interpolates=interpolates,
        takes_noise_level=denoises,
        channels=settings.get("in_chans", 3),
        out_channels=settings.get("out_chans", 3),
        features=settings.get("embed_dims", (0,))[0],
        clip=tuple(settings.get("img_size", (6, 64, 64))),
    )


def check_clip(shape: tuple[int | None, ...], channels: int, interpolating: bool) -> None:
    """Raise ``UserError`` unless a clip of ``shape`` can enter a network that takes ``channels``."""
    if len(shape) != 5:
        raise UserError(f"VRT takes a clip (N, D, C, H, W); this one has shape {tuple(shape)}.")
    if shape[2] != channels:
        raise UserError(f"this VRT takes frames of {channels} channels; these have {shape[2]}.")
    if interpolating and shape[1] != INTERPOLATED_FRAMES:
        raise UserError(
            f"frame interpolation takes exactly {INTERPOLATED_FRAMES} frames, those around the one that it "
            f"makes; this clip has {shape[1]}."
        )
