"""What a VRT is built from, checked before anything is built, and the settings of the published tasks."""
from typing import NamedTuple, Optional

from mindrestore.errors import UserError

SCALES = (1, 2, 4, 8, 4, 2, 1)  # of stages 1 to 7
STAGES = len(SCALES)
FEWEST_FRAMES = {0: 2, 2: 2, 4: 3, 6: 4}  # by pa_frames
INTERPOLATED_FRAMES = 4
UPSCALES = (1, 2, 3, 4, 8)

_SUPER_RESOLUTION = dict(
    upscale=4, depths=(8,) * 7 + (4,) * 6, indep_reconsts=(11, 12), embed_dims=(120,) * 7 + (180,) * 6,
    num_heads=(6,) * 13)
_SAME_SIZE = dict(
    upscale=1, depths=(8,) * 7 + (4,) * 4, embed_dims=(96,) * 7 + (120,) * 4, num_heads=(6,) * 11)
_RESTORATION = dict(_SAME_SIZE, img_size=(6, 192, 192), window_size=(6, 8, 8), indep_reconsts=(9, 10), pa_frames=2,
                    deformable_groups=16)

TASKS = {
    "001_videosr_bi_reds_6frames": dict(
        _SUPER_RESOLUTION, img_size=(6, 64, 64), window_size=(6, 8, 8), pa_frames=2, deformable_groups=12),
    "002_videosr_bi_reds_16frames": dict(
        _SUPER_RESOLUTION, img_size=(16, 64, 64), window_size=(8, 8, 8), pa_frames=6, deformable_groups=24),
    "003_videosr_bi_vimeo_7frames": dict(
        _SUPER_RESOLUTION, img_size=(8, 64, 64), window_size=(8, 8, 8), pa_frames=4, deformable_groups=16),
    "004_videosr_bd_vimeo_7frames": dict(
        _SUPER_RESOLUTION, img_size=(8, 64, 64), window_size=(8, 8, 8), pa_frames=4, deformable_groups=16),
    "005_videodeblurring_dvd": _RESTORATION,
    "006_videodeblurring_gopro": _RESTORATION,
    "007_videodeblurring_reds": _RESTORATION,
    "008_videodenoising_davis": dict(_RESTORATION, nonblind_denoising=True),
    "009_videofi_vimeo_4frames": dict(
        _SAME_SIZE, img_size=(4, 192, 192), window_size=(4, 8, 8), indep_reconsts=(), pa_frames=0),
}
"""Settings of the published networks; what is not named is the default of ``VRT``."""


class Options(NamedTuple):
    """Settings that all blocks share."""

    mul_attn_ratio: float
    mlp_ratio: float
    qkv_bias: bool
    qk_scale: Optional[float]


def check(upscale, in_chans, out_chans, img_size, window_size, depths, indep_reconsts, embed_dims, num_heads,
          mul_attn_ratio, mlp_ratio, qkv_bias, qk_scale, drop_path_rate, pa_frames, deformable_groups,
          num_feat, nonblind_denoising):
    """Raise ``UserError`` naming the setting that cannot be, and what it could be."""
    _one_of("upscale", upscale, UPSCALES)
    _one_of("pa_frames", pa_frames, tuple(FEWEST_FRAMES))
    for name, value in (("in_chans", in_chans), ("out_chans", out_chans), ("deformable_groups", deformable_groups),
                        ("num_feat", num_feat)):
        _whole(name, value)
    for name, value in (("img_size", img_size), ("window_size", window_size)):
        _list(name, value, 3)
    for name, value in (("depths", depths), ("embed_dims", embed_dims), ("num_heads", num_heads)):
        _list(name, value)
    _list("indep_reconsts", indep_reconsts, least=0)
    if len(depths) <= STAGES:
        raise UserError(f"VRT depths has {len(depths)} entries; it must have one for each of the {STAGES} stages and "
                        "one or more for the groups of stage 8.")
    for name, value in (("embed_dims", embed_dims), ("num_heads", num_heads)):
        if len(value) != len(depths):
            raise UserError(f"VRT {name} has {len(value)} entries; it must have {len(depths)}, as many as depths.")
    for channels, heads in zip(embed_dims, num_heads):
        if channels % heads:
            raise UserError(f"VRT num_heads has {heads}, which does not divide the {channels} of embed_dims.")
    for channels in embed_dims[:STAGES]:
        if channels % 4:
            raise UserError(f"VRT embed_dims has {channels}; those of the {STAGES} stages must be multiples of 4.")
    if pa_frames:
        _deformable(pa_frames, deformable_groups, embed_dims)
    else:
        if upscale != 1:
            raise UserError(f"VRT upscale is {upscale}; with pa_frames 0 (no alignment) it must be 1.")
        if interpolates(pa_frames, nonblind_denoising) and img_size[0] != INTERPOLATED_FRAMES:
            raise UserError(f"VRT img_size is {list(img_size)}; frame interpolation (pa_frames 0) takes "
                            f"{INTERPOLATED_FRAMES} frames.")
    for name, value, most in (("mul_attn_ratio", mul_attn_ratio, 1), ("drop_path_rate", drop_path_rate, 1),
                              ("mlp_ratio", mlp_ratio, None), ("qk_scale", qk_scale, None)):
        _number(name, value, most)
    for name, value in (("qkv_bias", qkv_bias), ("nonblind_denoising", nonblind_denoising)):
        if not isinstance(value, bool):
            raise UserError(f"VRT {name} is {value!r}; it must be true or false.")


def interpolates(pa_frames, nonblind_denoising):
    """Tell whether a network of these settings makes the frame in the middle of four, instead of restoring those given."""
    return pa_frames == 0 and not nonblind_denoising


def check_clip(shape, channels, interpolating):
    """Raise ``UserError`` unless a clip of ``shape`` can enter a network that takes ``channels``."""
    if len(shape) != 5:
        raise UserError(f"VRT takes a clip (N, D, C, H, W); this one has shape {tuple(shape)}.")
    if shape[2] != channels:
        raise UserError(f"this VRT takes frames of {channels} channels; these have {shape[2]}.")
    if interpolating and shape[1] != INTERPOLATED_FRAMES:
        raise UserError(f"frame interpolation takes exactly {INTERPOLATED_FRAMES} frames, those around the one that it "
                        f"makes; this clip has {shape[1]}.")


def _deformable(pa_frames, groups, embed_dims):
    neighbours = pa_frames // 2
    if groups % neighbours:
        raise UserError(f"VRT deformable_groups is {groups}; with pa_frames {pa_frames} it must be a multiple of "
                        f"{neighbours}.")
    for channels in embed_dims[:STAGES]:
        if channels % neighbours or neighbours * channels % groups:
            raise UserError(f"VRT deformable_groups is {groups}; it must divide the {neighbours} times {channels} "
                            "channels that are aligned.")


def _one_of(name, value, choices):
    if isinstance(value, bool) or value not in choices:
        raise UserError(f"VRT {name} is {value!r}; choose one of {', '.join(map(str, choices))}.")


def _whole(name, value, least=1):
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UserError(f"VRT {name} is {value!r}; it must be a whole number of at least {least}.")


def _list(name, value, length=None, least=1):
    if not isinstance(value, (list, tuple)) or length not in (None, len(value)):
        raise UserError(f"VRT {name} is {value!r}; it must be a list{f' of {length}' if length else ''}.")
    for item in value:
        _whole(name, item, least)


def _number(name, value, most):
    if name == "qk_scale" and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0 or most is not None and value >= most:
        raise UserError(f"VRT {name} is {value!r}; it must be a number {f'from 0 to below {most}' if most else 'above 0'}.")
