"""Pictures and videos of clips as arrays: one frame, all frames, several clips side by side, sheets of images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from mindrestore.files import PathLike
from mindrestore.media import writing
from mindrestore.media.pixels import in_colour, to_image

GAP, LABEL_HEIGHT = 6, 22
SHEET_COLUMN = 250  # pixels, which a heading needs
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
        rows.append(_joined(cells, 1))
    writing.write_picture(path, _joined(rows, 0))


def write_strip(path: PathLike, clip: np.ndarray, columns: int = 5) -> None:
    """Write all frames of a clip (T, H, W) or (3, T, H, W) as one PNG, ``columns`` a row."""
    frames = [_bgr(clip, index) for index in range(clip.shape[-3])]
    frames += [_white(*frames[0].shape[:2])] * (-len(frames) % columns)
    rows = [np.concatenate(frames[start : start + columns], 1) for start in range(0, len(frames), columns)]
    writing.write_picture(path, np.concatenate(rows, 0))


def write_sheet(path: PathLike, images: dict[str, np.ndarray], columns: int = 4) -> None:
    """Write images (H, W) or (3, H, W), 0–1, all of one size, as one PNG, ``columns`` a row, each below its heading."""
    shown = [_cell(image[..., None, :, :], index=0, row=0, name=name, width=SHEET_COLUMN) for name, image in images.items()]
    shown += [_white(*shown[0].shape[:2])] * (-len(shown) % columns if len(shown) > columns else 0)
    rows = [_joined(shown[start : start + columns], 1) for start in range(0, len(shown), columns)]
    writing.write_picture(path, _joined(rows, 0))


def heat(image: np.ndarray, top: float) -> np.ndarray:
    """Return an image (H, W) in the colours of heat, black at 0, pale yellow at ``top`` and above: (3, H, W), 0–1."""
    shades = to_image(image / max(top, np.finfo(np.float32).tiny))
    return cv2.applyColorMap(shades, cv2.COLORMAP_INFERNO)[..., ::-1].transpose(2, 0, 1) / np.float32(255)


def write_frame(path: PathLike, frame: np.ndarray) -> None:
    """Write a frame (H, W) or (3, H, W), 0–1, as PNG of 8 bits."""
    writing.write_picture(path, _bgr(frame[..., None, :, :], 0))


def write_video(path: PathLike, clip: np.ndarray, rate: float = FRAMES_A_SECOND) -> None:
    """Write a clip (T, H, W) or (3, T, H, W), 0–1, as an MP4 video (H.264) of ``rate`` frames a second."""
    writing.write_video(path, (_bgr(clip, index) for index in range(clip.shape[-3])), rate)


def _cell(clip: np.ndarray, index: int, row: int, name: str, width: int = 0) -> np.ndarray:
    """A frame below its name, widened with white to ``width`` where it is narrower."""
    if clip.ndim == 2:
        image = _bgr(clip[None], 0) if row == 0 else _white(*clip.shape)
    else:
        image = _bgr(clip, index)
    if image.shape[1] < width:
        image = np.concatenate((image, _white(image.shape[0], width - image.shape[1])), 1)
    if not name:
        return image
    label = _white(LABEL_HEIGHT, image.shape[1])
    cv2.putText(
        label,
        name,
        (4, LABEL_HEIGHT - 7),
        cv2.FONT_HERSHEY_SIMPLEX,
        fontScale=0.42,
        color=(0, 0, 0),
        thickness=1,
        lineType=cv2.LINE_AA,
    )
    return np.concatenate((label, image), 0)


def _joined(images: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Images below one another, axis 0, or side by side, axis 1, with a gap between them."""
    gap = _white(*(GAP if each == axis else length for each, length in enumerate(images[0].shape[:2])))
    return np.concatenate([images[0]] + [part for image in images[1:] for part in (gap, image)], axis)


def _bgr(clip: np.ndarray, index: int) -> np.ndarray:
    return in_colour(to_image(clip[..., index, :, :]))


def _white(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)
