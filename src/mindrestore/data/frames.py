"""Folders of image frames, pictures of one or more pages, and video files, as streams of frames or as whole clips."""
import itertools
import os
import re
from pathlib import Path
from typing import Iterator, List, Optional

import cv2
import numpy as np

from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing
from mindrestore.readers.untrusted import reading

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
PAGED_SUFFIXES = (".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".mpg", ".mpeg", ".webm", ".wmv", ".gif")
PAGES_AT_ONCE = 8


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
    return _checked(stored_frames(path, first), colour)


def stored_frames(path, first=0):
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
    if path.suffix.lower() in PAGED_SUFFIXES:
        return _pages(path, first)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return ((file, _load_image(file)) for file in [path][first:])
    return _decode(path, first)


def count_frames(path: PathLike) -> int:
    """Count the frames of what ``stored_frames`` reads; of a video by going through it, because its header may err.

    Raises ``UserError`` as ``stored_frames`` does.
    """
    if isinstance(path, (list, tuple)):
        return len(path)
    path = existing(path, "folder of frames, picture or video file")
    if path.is_dir():
        return len(frame_files(path))
    if path.suffix.lower() in PAGED_SUFFIXES:
        return _page_count(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return 1
    return _video_frames(path)


def read_clip(path: PathLike, colour: bool = False, first: int = 0, frames: Optional[int] = None) -> np.ndarray:
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


def frame_files(folder: PathLike) -> List[Path]:
    """The images of a folder in natural order, as paths; ``UserError`` if it holds none."""
    folder = existing(folder, "folder of frames")
    files = [path for path in visible(folder) if path.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise UserError(f"{folder}: no frames in it; expected images ending in {', '.join(IMAGE_SUFFIXES)}.")
    return files


def clips_folder(folder):
    """The folder of clips in a data set as it is unpacked: ``JPEGImages/480p`` of DAVIS, ``sequences`` of Vimeo-90K; any other
    folder itself. ``UserError`` for a DAVIS of other resolutions only.
    """
    if (folder / "JPEGImages").is_dir():
        return existing(folder / "JPEGImages" / "480p", "folder of clips")
    if [entry.name for entry in visible(folder) if entry.is_dir()] == ["sequences"]:
        return folder / "sequences"
    return folder


def visible(folder):
    """What a folder holds, as paths in natural order, hidden entries left out."""
    entries = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(entries, key=lambda path: natural_order(path.name))


def natural_order(name):
    """A sorting key that takes runs of digits in ``name`` as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _checked(frames, colour):
    """Pairs of (where from, BGR or grey image of any depth) as float32 frames, which must agree in size."""
    size = None
    for source, image in frames:
        size = size or image.shape[:2]
        if image.shape[:2] != size:
            raise UserError(f"{source}: this frame has {image.shape[1]} x {image.shape[0]} pixels, the ones before it "
                            f"{size[1]} x {size[0]}; all frames of a clip must have one size.")
        yield _converted(image, colour)


def _converted(image, colour):
    """An image as OpenCV reads it, ``(H, W)`` or ``(H, W, 3)`` BGR of 8 or 16 bits -> ``(H, W)`` or ``(3, H, W)``
    float32.
    """
    white = np.float32(65535 if image.dtype == np.uint16 else 255)
    if image.ndim == 2:
        return np.stack([image / white] * 3) if colour else image / white
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB if colour else cv2.COLOR_BGR2GRAY)
    return np.ascontiguousarray(image.transpose(2, 0, 1)) / white if colour else image / white


def _load_image(path):
    with reading(path, "image", "one of 8 or 16 bits"):
        stored = np.fromfile(path, np.uint8)
        image = cv2.imdecode(stored, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if stored.size else None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{path}: not a readable image; expected one of 8 or 16 bits.")
    return image


def _pages(path, first):
    """The pages of a TIFF file, a few at a time."""
    total = _page_count(path)
    for start in range(first, total, PAGES_AT_ONCE):
        count = min(PAGES_AT_ONCE, total - start)
        with reading(path, "picture", "TIFF pages of 8 or 16 bits"):
            read, pages = cv2.imreadmulti(str(path), start, count, flags=cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
        if not read or len(pages) != count or any(page.dtype not in (np.uint8, np.uint16) for page in pages):
            raise UserError(f"{path}: page {start + 1} or one soon after it is not readable; expected pages of 8 or 16 "
                            "bits.")
        for page in pages:
            yield path, page


def _page_count(path):
    with reading(path, "picture", "TIFF pages of 8 or 16 bits"):
        count = cv2.imcount(str(path))
    if not count:
        raise UserError(f"{path}: not a readable picture; expected TIFF pages of 8 or 16 bits.")
    return count


def _video_frames(path):
    capture = cv2.VideoCapture(str(path))
    try:
        count = 0
        while capture.grab():
            count += 1
        return count
    finally:
        capture.release()


def _decode(path, first):
    """Open a video, then iterate over (path, BGR image), without the first so many."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # silence: that a file is no video is said below
    capture = cv2.VideoCapture(str(path))
    images = _images_of(capture, first)
    image = next(images, None)
    if image is None:
        raise UserError(f"{path}: no video frames can be read{f' after the first {first}' if first else ''}; "
                        f"expected a video file that OpenCV decodes, or a folder of images.")
    return ((path, image) for image in itertools.chain([image], images))


def _images_of(capture, first):
    try:
        for _ in range(first):
            if not capture.grab():
                return
        while True:
            read, image = capture.read()
            if not read:
                return
            yield image
    finally:
        capture.release()
