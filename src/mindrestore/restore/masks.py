"""Masks of snapshot cameras as files: made, described, calibrated. Each function returns the lines to print."""

from __future__ import annotations

import numpy as np

from mindrestore.data.measurements import load_measurements
from mindrestore.errors import UserError
from mindrestore.files import PathLike, check_writable
from mindrestore.media.pictures import write_sheet
from mindrestore.media.writing import check_picture
from mindrestore.sensing.calibration import calibrate_on_scene, calibrate_on_white
from mindrestore.sensing.inspection import inspect_mask
from mindrestore.sensing.mask_kinds import draw_mask
from mindrestore.sensing.masks import check_suffix, fingerprint, load_mask, save_mask

ENLARGED = 8  # times, the corner in a sheet


def make_mask(
    path: PathLike,
    kind: str,
    frames: int,
    height: int,
    width: int,
    *,
    density: float = 0.5,
    seed: int = 0,
    sheet: PathLike | None = None,
) -> list[str]:
    """Draw a mask as of ``draw_mask`` and write it to ``path``, and a PNG of it to ``sheet``; return what it is like.

    Raises ``UserError`` for a mask that cannot be, or a path that cannot be written.
    """
    check_suffix(path)
    check_writable(path)
    _check_sheet(sheet)
    mask = draw_mask(kind, frames, height, width, density=density, rng=seed)
    save_mask(path, mask)
    return _described(path, mask, sheet)


def look_at_mask(path: PathLike, frames: int | None = None, sheet: PathLike | None = None) -> list[str]:
    """Return what the mask in a file is like, or its first ``frames`` planes; write a PNG of it to ``sheet``.

    Raises ``UserError`` for a file without a mask, or a path that cannot be written.
    """
    _check_sheet(sheet)
    return _described(path, load_mask(path, frames), sheet)


def calibrate_mask(
    path: PathLike, snapshots: PathLike, output: PathLike, *, white: bool = False, level: float = 1.0, number: int = 1
) -> list[str]:
    """Write to ``output`` the mask that the snapshots in a file were really taken through; return what was wrong with it.

    Args:
        path: of the mask as it is thought to be.
        snapshots: .mat file of measurements.
        output: mask file to write.
        white: whether all snapshots are of an evenly white surface; their mean is used.
        level: brightness of that surface, white being 1.
        number: of the snapshot to use otherwise, from 1 on.

    Raises:
        UserError: a file that cannot be read or written, or snapshots that do not tell.
    """
    check_suffix(output)
    check_writable(output)
    file = load_measurements(snapshots, path)
    if not 1 <= number <= len(file.measurements):
        raise UserError(
            f"--number {number}: {snapshots} holds {len(file.measurements)} snapshots; give 1 to {len(file.measurements)}."
        )
    if white:
        found = calibrate_on_white(file.mask, file.measurements.mean(0), level)
    else:
        found = calibrate_on_scene(file.mask, file.measurements[number - 1], bool(file.colour))
    save_mask(output, found.correct(file.mask))
    return [*found.lines(*file.mask.shape[1:]), f"Wrote {output}."]


def _check_sheet(sheet: PathLike | None) -> None:
    if sheet is not None:
        check_picture(sheet, "--sheet")
        check_writable(sheet)


def _described(path: PathLike, mask: np.ndarray, sheet: PathLike | None) -> list[str]:
    lines = [f"{path}: fingerprint {fingerprint(mask)}", *inspect_mask(mask).lines()]
    if sheet is None:
        return lines
    write_sheet(sheet, _drawn(mask))
    return [*lines, f"Sheet: {sheet}"]


def _drawn(mask: np.ndarray) -> dict[str, np.ndarray]:
    """Return planes, mean and an enlarged corner of a mask (T, H, W), each (H, W) by its heading."""
    planes, height, width = mask.shape
    corner = mask[0, : -(-height // ENLARGED), : -(-width // ENLARGED)]
    return {
        **{f"plane {number + 1}": plane for number, plane in enumerate(mask)},
        f"sum / {planes}": mask.sum(0) / planes,
        f"plane 1, corner, {ENLARGED} times": corner.repeat(ENLARGED, 0).repeat(ENLARGED, 1)[:height, :width],
    }
