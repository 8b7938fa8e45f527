"""Pictures and videos of clips as arrays: one frame, all frames, several clips side by side."""
from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from mindrestore.files import PathLike
from mindrestore.media import writing
from mindrestore.media.pixels import in_colour, to_image

GAP, LABEL_HEIGHT = 6, 22
FRAMES_A_SECOND = 10


def write_comparison(path: PathLike, columns: dict[str, np.ndarray], frames: Iterable[int] | None = None) -> None:
    """Write clips side by side as a PNG: one column a clip, one row a frame.

    Args:
        columns: heading -> clip (T, H, W), colour (3, T, H, W), or one picture (H, W) shown in the first row only; 0–1.
        frames: which frames are rows; first, middle and last by default.
    """
    length = max(clip.shape[-3] for clip in columns.values() if clip.ndim > 2)
    frames = sorted({0, length // 2, length - 1}) if frames is None else frames
    rows = []
    for row, index in enumerate(frames):
        cells = [_cell(clip, index, row, name if row == 0 else "") for name, clip in columns.items()]
        rows.append(np.concatenate([cells[0]] + [part for cell in cells[1:] for part in (_white(cell.shape[0], GAP), cell)], 1))
    apart = [part for row in rows[1:] for part in (_white(GAP, row.shape[1]), row)]
    writing.write_picture(path, np.concatenate([rows[0]] + apart, 0))


def write_strip(path: PathLike, clip: np.ndarray, columns: int = 5) -> None:
    """Write all frames of a clip (T, H, W) or (3, T, H, W) as one PNG, ``columns`` a row."""
    frames = [_bgr(clip, index) for index in range(clip.shape[-3])]
    frames += [_white(*frames[0].shape[:2])] * (-len(frames) % columns)
    rows = [np.concatenate(frames[start:start + columns], 1) for start in range(0, len(frames), columns)]
    writing.write_picture(path, np.concatenate(rows, 0))


def write_frame(path: PathLike, frame: np.ndarray) -> None:
    """Write a frame (H, W) or (3, H, W), 0–1, as PNG of 8 bits."""
    writing.write_picture(path, _bgr(frame[..., None, :, :], 0))


def write_video(path: PathLike, clip: np.ndarray, rate: float = FRAMES_A_SECOND) -> None:
    """Write a clip (T, H, W) or (3, T, H, W), 0–1, as an MP4 video (H.264) of ``rate`` frames a second."""
    writing.write_video(path, (_bgr(clip, index) for index in range(clip.shape[-3])), rate)


def _cell(clip: np.ndarray, index: int, row: int, name: str) -> np.ndarray:
    if clip.ndim == 2:
        image = _bgr(clip[None], 0) if row == 0 else _white(*clip.shape)
    else:
        image = _bgr(clip, index)
    if not name:
        return image
    label = _white(LABEL_HEIGHT, image.shape[1])
    cv2.putText(label, name, (4, LABEL_HEIGHT - 7), cv2.FONT_HERSHEY_SIMPLEX, fontScale=0.42, color=(0, 0, 0), thickness=1,
                lineType=cv2.LINE_AA)
    return np.concatenate((label, image), 0)


def _bgr(clip: np.ndarray, index: int) -> np.ndarray:
    return in_colour(to_image(clip[..., index, :, :]))


def _white(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)
