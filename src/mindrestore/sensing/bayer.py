"""The RGGB colour filter: a frame to the mosaic that a colour sensor measures, and linear demosaicing.

Red sits at row 0, column 0, blue at row 1, column 1, green at the other two. Frames are ``(..., 3, T, H, W)``, that is,
colour before time; mosaics are ``(..., T, H, W)``.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

from mindrestore.errors import UserError


@functools.lru_cache(maxsize=32)
def rggb(height: int, width: int) -> np.ndarray:
    """Return the filter: ``(3, H, W)`` float32, 1 where the sensor sees that colour. Read-only, cached by size."""
    sites = np.zeros((3, height, width), np.float32)
    sites[0, 0::2, 0::2] = 1
    sites[1, 0::2, 1::2] = sites[1, 1::2, 0::2] = 1
    sites[2, 1::2, 1::2] = 1
    sites.flags.writeable = False
    return sites


def mosaic(clip: np.ndarray) -> np.ndarray:
    """Keep at every pixel the one colour its filter lets through: ``(..., 3, T, H, W)`` -> ``(..., T, H, W)``.

    Raises ``UserError`` unless the fourth axis from the end has three channels.
    """
    clip = np.asarray(clip)
    if clip.ndim < 4 or clip.shape[-4] != 3:
        raise UserError(f"a colour clip has shape (..., 3, T, H, W), got {clip.shape}.")
    frames = np.empty(clip.shape[:-4] + clip.shape[-3:], clip.dtype)
    for channel, row, column in ((0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1)):
        frames[..., row::2, column::2] = clip[..., channel, :, row::2, column::2]
    return frames


def spread(frames: np.ndarray) -> np.ndarray:
    """The adjoint of ``mosaic``, each pixel back into its own colour: ``(..., T, H, W)`` -> ``(..., 3, T, H, W)``."""
    frames = np.asarray(frames)
    return frames[..., None, :, :, :] * rggb(*frames.shape[-2:])[:, None]


def demosaic(frames: np.ndarray) -> np.ndarray:
    """Interpolate the missing colours of a mosaic, linearly: ``(..., T, H, W)`` -> ``(..., 3, T, H, W)`` float32.

    Every missing colour is the bilinear mean of its nearest neighbours plus a Laplacian of the colour that was measured
    there (Malvar, He and Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color images",
    ICASSP 2004). As it is linear, it takes residuals as well as frames; measured pixels are unchanged:
    mosaic(demosaic(m)) = m. Raises ``UserError`` below 4 x 4 pixels.
    """
    frames = np.ascontiguousarray(frames, np.float32)
    if frames.ndim < 3 or min(frames.shape[-2:]) < 4:
        raise UserError(f"a mosaic has shape (..., T, H, W) with at least 4 x 4 pixels, got {frames.shape}.")
    flat = frames.reshape(-1, *frames.shape[-2:])
    colours = np.stack([_demosaic_frame(frame) for frame in flat], axis=1)  # (3, frames, H, W)
    colours = colours.reshape(3, *frames.shape)
    return np.ascontiguousarray(np.moveaxis(colours, 0, frames.ndim - 3))


_KERNELS = {
    name: np.array(rows, np.float32) / 8
    for name, rows in {
        "green": [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]],
        "in_row": [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]],
        "diagonal": [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]],
    }.items()
}


def _demosaic_frame(frame: np.ndarray) -> np.ndarray:
    """``(H, W)`` -> ``(3, H, W)``."""

    def at(name: str, transposed: bool = False) -> np.ndarray:
        kernel = _KERNELS[name].T if transposed else _KERNELS[name]
        return cv2.filter2D(frame, -1, kernel, borderType=cv2.BORDER_REFLECT_101)  # this reflection keeps the pattern

    colours = np.repeat(frame[None], 3, axis=0)
    green, in_row, in_column, diagonal = at("green"), at("in_row"), at("in_row", transposed=True), at("diagonal")
    red_rows = red_columns = np.s_[0::2]
    blue_rows = blue_columns = np.s_[1::2]
    colours[1, red_rows, red_columns] = green[red_rows, red_columns]
    colours[1, blue_rows, blue_columns] = green[blue_rows, blue_columns]
    colours[0, red_rows, blue_columns] = in_row[red_rows, blue_columns]  # green between reds of its row
    colours[0, blue_rows, red_columns] = in_column[blue_rows, red_columns]
    colours[0, blue_rows, blue_columns] = diagonal[blue_rows, blue_columns]
    colours[2, blue_rows, red_columns] = in_row[blue_rows, red_columns]
    colours[2, red_rows, blue_columns] = in_column[red_rows, blue_columns]
    colours[2, red_rows, red_columns] = diagonal[red_rows, red_columns]
    return colours
