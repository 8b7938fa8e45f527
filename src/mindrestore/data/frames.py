"""Folders of image frames, pictures of one or more pages, and video files, as streams of frames or as whole clips."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from mindrestore.data.folders import IMAGE_SUFFIXES, PAGED_SUFFIXES, frame_files
from mindrestore.data.picture_files import EXPECTED, image_in, page_count, pages
from mindrestore.data.video_file import VideoReader, warn_of_damage
from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing
from mindrestore.readers.untrusted import reading


def stream_frames(path: PathLike, colour: bool = False, first: int = 0) -> Iterator[np.ndarray]:
    """Read frames one by one, so that a clip of any length passes through little memory.

    Args:
        path: as for ``stored_frames``.
        colour: RGB instead of grey (BT.601 luma).
        first: frames to leave out at the start.

    Returns:
        An iterator over ``(H, W)`` or, colour, ``(3, H, W)``; float32 in 0..1, all of one size.

    Raises:
        UserError: at once for a path that is missing, holds no frames or is no video; on the way for a frame that
            cannot be read or differs in size from the first.
    """
    return as_frames(stored_frames(path, first), colour)


def stored_frames(path: PathLike | Sequence[PathLike], first: int = 0) -> Iterator[tuple[Path, np.ndarray]]:
    """Read frames as they are stored, one by one.

    Args:
        path: a folder of images, taken in natural order (``2.png`` before ``10.png``), a picture, each page of which is
            a frame, a video file, or a list of image files, taken as it is.
        first: frames to leave out at the start.

    Returns:
        An iterator over (file, image), grey (H, W) or BGR (H, W, 3), uint8 or uint16.

    Raises:
        UserError: as ``stream_frames``, but for sizes that differ.
    """
    if isinstance(path, (list, tuple)):
        return ((file, _load_image(existing(file, "frame"))) for file in path[first:])
    path = existing(path, "folder of frames, picture or video file")
    if path.is_dir():
        return ((file, _load_image(file)) for file in frame_files(path)[first:])
    if is_video(path):
        return _video_frames(path, first)
    if path.suffix.lower() in PAGED_SUFFIXES:
        return ((path, page) for page in pages(path, first))
    return ((file, _load_image(file)) for file in [path][first:])


def count_frames(path: PathLike | Sequence[PathLike]) -> int:
    """Count the frames of what ``stored_frames`` reads; of a video by going through it, because its header may err.

    Raises ``UserError`` as ``stored_frames`` does.
    """
    if isinstance(path, (list, tuple)):
        return len(path)
    path = existing(path, "folder of frames, picture or video file")
    if path.is_dir():
        return len(frame_files(path))
    if is_video(path):
        return VideoReader(path).contents().count
    return page_count(path) if path.suffix.lower() in PAGED_SUFFIXES else 1


def is_video(path: Path) -> bool:
    """Whether ``stored_frames`` reads what lies at ``path`` as a video: any file that is not called a picture."""
    return path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES


def read_clip(path: PathLike, colour: bool = False, first: int = 0, frames: int | None = None) -> np.ndarray:
    """Read a clip whole.

    Args:
        path, colour, first: as for ``stream_frames``.
        frames: how many to read; ``None`` reads all.

    Returns:
        ``(T, H, W)`` or, colour, ``(3, T, H, W)``; float32 in 0..1.

    Raises:
        UserError: as for ``stream_frames``, or there are fewer frames than asked for.
    """
    if first < 0 or (frames is not None and frames < 1):
        raise UserError(f"first must be 0 or more and frames 1 or more, got {first} and {frames}.")
    clip = list(itertools.islice(stream_frames(path, colour, first), frames))
    if len(clip) < (frames or 1):
        raise UserError(f"{path}: it has {len(clip)} frames after the first {first}, expected {frames or 'some'}.")
    return np.stack(clip, axis=-3)


def as_frames(images: Iterable[tuple[Path, np.ndarray]], colour: bool) -> Iterator[np.ndarray]:
    """What ``stored_frames`` gives as what ``stream_frames`` gives."""
    size = None
    for source, image in images:
        size = size or image.shape[:2]
        if image.shape[:2] != size:
            raise UserError(
                f"{source}: this frame has {image.shape[1]} x {image.shape[0]} pixels, the ones before it "
                f"{size[1]} x {size[0]}; all frames of a clip must have one size."
            )
        yield _converted(image, colour)


def _converted(image: np.ndarray, colour: bool) -> np.ndarray:
    """An image as OpenCV reads it, ``(H, W)`` or ``(H, W, 3)`` BGR of 8 or 16 bits -> ``(H, W)`` or ``(3, H, W)``
    float32.
    """
    white = np.float32(65535 if image.dtype == np.uint16 else 255)
    if image.ndim == 2:
        return np.stack([image / white] * 3) if colour else image / white
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB if colour else cv2.COLOR_BGR2GRAY)
    return np.ascontiguousarray(image.transpose(2, 0, 1)) / white if colour else image / white


def _load_image(path: Path) -> np.ndarray:
    with reading(path, "image", EXPECTED):
        stored = np.fromfile(path, np.uint8)
    image = image_in(stored, path)
    if image is None:
        raise UserError(f"{path}: not a readable image; expected {EXPECTED}.")
    return image


def _video_frames(path: Path, first: int) -> Iterator[tuple[Path, np.ndarray]]:
    """Open a video, then iterate over (path, BGR image), without the first so many; what is missing at its end is said."""
    reader = VideoReader(path)

    def images() -> Iterator[tuple[Path, np.ndarray]]:
        image = None
        for image in reader.images(first):
            yield path, image
        if image is None:
            raise UserError(f"{path}: no video frames can be read after the first {first}; it has fewer.")
        warn_of_damage(path, reader.contents())

    return images()
