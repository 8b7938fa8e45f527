"""Any video as a snapshot camera would have measured it."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np

from mindrestore.data.folders import refuse_gap
from mindrestore.data.frames import stream_frames
from mindrestore.data.measurements import WHITE, save_measurements
from mindrestore.errors import UserError
from mindrestore.files import PathLike, check_writable
from mindrestore.media.clips import open_clip
from mindrestore.media.room import room_for
from mindrestore.metrics import to_uint8
from mindrestore.sensing.mask_kinds import check_kind, draw_mask
from mindrestore.sensing.masks import crop_mask, load_mask
from mindrestore.sensing.operator import SnapshotImaging


def simulate(
    video: PathLike,
    output: PathLike,
    ratio: int = 8,
    mask: PathLike | None = None,
    colour: bool = False,
    noise: float = 0.0,
    bits: int | None = None,
    frames: int | None = None,
    seed: int = 0,
    mask_kind: str | None = None,
) -> str:
    """Measure a video and write measurements, mask and originals, see ``mindrestore.data.measurements``.

    Args:
        video: path of what ``mindrestore.media.clips.open_clip`` takes.
        output: path of the .mat file.
        ratio: frames a measurement; what is left over at the end is not measured.
        mask: path of a mask of ``ratio`` planes or more; larger frames are cut to their middle. None: one is drawn.
        colour: behind an RGGB Bayer filter; otherwise the luma is measured.
        noise: standard deviation of the read noise, for white = 255.
        bits: of the converter, None for exact values.
        frames: only the first so many.
        seed: of the mask that is drawn and the noise.
        mask_kind: of the mask that is drawn, one of ``mindrestore.sensing.mask_kinds.KINDS``; None for a random one.

    Returns:
        A sentence that says what was written.

    Raises:
        UserError: a file that cannot be read or written, too few frames, a mask that is too small, a value that cannot be.
    """
    output = Path(output)
    if output.suffix.lower() != ".mat":
        raise UserError(f"{output}: measurements are written as MATLAB files; give a name that ends in .mat.")
    for name, value in (("ratio", ratio), ("frames", frames)):
        if value is not None and value < 1:
            raise UserError(f"--{name} {value}: it must be 1 or more.")
    if not 0 <= noise < math.inf:
        raise UserError(f"--noise {noise}: it must be a number of 0 or more.")
    if seed < 0:
        raise UserError(f"--seed {seed}: it must be 0 or more.")
    if mask is not None and mask_kind is not None:
        raise UserError(f"--mask-kind {mask_kind}: says which mask to draw and --mask gives one; leave one of them away.")
    if mask_kind is not None:
        check_kind(mask_kind)
    clip = open_clip(video)
    if clip.path.is_dir():
        refuse_gap(clip.path)
    count = min(clip.count, frames or clip.count) // ratio
    if not count:
        raise UserError(
            f"{video}: has {min(clip.count, frames or clip.count)} frames, too few for one measurement of {ratio}; "
            "give a longer video or a smaller --ratio."
        )
    check_writable(output, room_for(count * ratio, clip.height, clip.width, grey=not colour))
    planes = (
        draw_mask(mask_kind or "random", ratio, clip.height, clip.width, rng=seed) if mask is None else load_mask(mask, ratio)
    )
    height, width = min(clip.height, planes.shape[1]), min(clip.width, planes.shape[2])
    camera = SnapshotImaging(crop_mask(planes, height, width), colour)
    top, left = (clip.height - height) // 2, (clip.width - width) // 2
    read = stream_frames(clip.path, colour)
    rng = np.random.default_rng(seed + 1)
    originals, measurements = [], []
    for _ in range(count):
        group = np.stack(list(itertools.islice(read, ratio)), axis=-3)[..., top : top + height, left : left + width]
        originals.append(to_uint8(group))
        measurements.append(camera.measure(originals[-1] / np.float32(WHITE), noise / WHITE, bits, rng))
    save_measurements(output, np.concatenate(originals, axis=-3), np.stack(measurements), camera.mask, rate=clip.rate)
    cut = "" if (height, width) == (clip.height, clip.width) else f", the middle of {clip.width} x {clip.height}"
    left_over = clip.count - count * ratio
    unused = f"; {left_over} of the video's {clip.count} frames are not measured" if left_over else ""
    return (
        f"Wrote {output}: {count} measurements of {ratio} frames of {width} x {height}{cut}"
        f"{', in colour' if colour else ''}{unused}."
    )
