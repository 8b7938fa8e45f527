"""Stored images into a clip on disk, of the kind that its name says, one by one and whole or not at all.

out.mp4, .m4v, .mov, .mkv, .avi   a video            out.tif, .tiff          a page a frame, 8 or 16 bits
out                               a folder of PNG    out.png, .jpg, .bmp …   one frame
                                  files, 8 or 16 bits
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import tifffile

from mindrestore.data.folders import IMAGE_SUFFIXES, PAGED_SUFFIXES
from mindrestore.errors import UserError
from mindrestore.files import PathLike, replacing, replacing_folder, write_bytes
from mindrestore.media.pixels import in_8_bits
from mindrestore.media.video_writer import CONTAINERS, VideoSettings, check_video, write_video

__all__ = ["check_target", "kind_of", "stored_size", "write_clip", "write_picture", "write_video"]

KINDS = ("video", "pages", "picture", "folder")
LARGEST_PLAIN_TIFF = 2**32 - 2**25  # bytes; above, its 32-bit offsets do not reach


def kind_of(path: PathLike) -> str:
    """Return which of ``KINDS`` a clip called ``path`` is; ``UserError`` if no kind that is written ends like this."""
    suffix = Path(path).suffix.lower()
    if suffix in CONTAINERS:
        return "video"
    if suffix in PAGED_SUFFIXES:
        return "pages"
    if suffix in IMAGE_SUFFIXES:
        return "picture"
    if suffix and not Path(path).is_dir():
        raise UserError(
            f"{path}: no clip that is written ends in {suffix}; name a video ({', '.join(CONTAINERS)}), a file of "
            f"pages ({', '.join(PAGED_SUFFIXES)}), or a folder without a suffix."
        )
    return "folder"


def write_clip(
    path: PathLike,
    images: Iterable[np.ndarray],
    count: int,
    rate: float | None = None,
    names: Sequence[str] | None = None,
    video: VideoSettings | None = None,
) -> list[str]:
    """Write a clip; what it is follows from ``path``.

    Args:
        path: of the file or folder; a file that is there is replaced, a folder must be empty.
        images: iterable of grey (H, W) or BGR (H, W, 3) images, uint8 or uint16, all alike.
        count: how many there are.
        rate: frames a second, for a video whose settings say no times.
        names: of the frames in a folder, without suffix; numbers by default.
        video: how a video is coded, timed and tagged.

    Returns:
        Sentences about what a video could keep, as of ``write_video``; none for other kinds.

    Raises:
        UserError: a path that cannot be written, a full disk, or several frames for a picture of one.
    """
    kind = kind_of(path)
    if kind == "video":
        return write_video(path, images, rate, video)
    if kind == "pages":
        _write_pages(path, images, count)
    elif kind == "picture":
        write_picture(path, next(iter(images)))
    else:
        _write_folder(path, images, names or [f"{number:08d}" for number in range(count)])
    return []


def check_target(path: PathLike, count: int, size: tuple[int, int] | None = None, video: VideoSettings | None = None) -> None:
    """Raise ``UserError`` if a clip of ``count`` frames cannot be written to ``path``, before anything is computed.

    ``size``, (height, width) of its frames, and ``video`` let a video's codec be tried.
    """
    path = Path(path)
    kind = kind_of(path)
    if kind == "picture" and count > 1:
        raise UserError(
            f"{path}: a {path.suffix} picture holds one frame and there are {count}; name a video, a .tif or a folder."
        )
    if kind == "folder" and path.is_dir() and any(path.iterdir()):
        raise UserError(f"{path}: this folder holds something already; give a new or an empty one.")
    if kind == "folder" and path.is_file():
        raise UserError(f"{path}: is a file; give another name for the folder of frames.")
    if kind != "folder" and path.is_dir():
        raise UserError(f"{path}: is a folder; give the name of a file.")
    if kind == "video" and size:
        check_video(path, video or VideoSettings(), *size)


def check_encoder(path: PathLike) -> None:
    """Raise ``UserError`` if a picture called ``path`` has a suffix that this build of OpenCV reads and does not write."""
    if kind_of(path) == "picture" and not cv2.haveImageWriter(str(path)):
        raise UserError(
            f"{path}: this build of OpenCV writes no {Path(path).suffix} pictures; choose a name that ends in .png."
        )


def check_picture(path: PathLike, option: str) -> None:
    """Raise ``UserError`` if the value ``path`` of an option, such as ``--sheet``, does not name a picture."""
    if kind_of(path) != "picture":
        raise UserError(f"{option} {path}: a picture is written; give a name that ends in .png.")


def stored_size(path: PathLike, height: int, width: int, video: VideoSettings | None = None) -> tuple[int, int]:
    """Return the (height, width) at which a clip called ``path`` keeps frames: those of most videos are even."""
    return (video or VideoSettings()).stored_size(height, width) if kind_of(path) == "video" else (height, width)


def write_picture(path: PathLike, image: np.ndarray) -> None:
    """Write a grey or BGR image, in the format that the suffix of ``path`` says."""
    path = Path(path)
    if image.dtype == np.uint16 and path.suffix.lower() != ".png":
        image = in_8_bits(image)
    write_bytes(path, coded(image, path))


def coded(image: np.ndarray, path: Path, options: Sequence[int] = ()) -> bytes:
    """Return the bytes of the picture file called ``path``; ``UserError`` if its format does not take this image."""
    try:
        done, content = cv2.imencode(path.suffix.lower(), image, options)
    except cv2.error:
        done = False
    if not done:
        raise UserError(
            f"{path}: OpenCV cannot write a picture of {image.shape[1]} x {image.shape[0]} pixels in this format; "
            "choose a name that ends in .png."
        )
    return content.tobytes()


def _write_pages(path: PathLike, images: Iterable[np.ndarray], count: int) -> None:
    with replacing(path) as scratch, contextlib.ExitStack() as stack:
        file = None
        for image in images:
            if file is None:
                large = count * image.nbytes > LARGEST_PLAIN_TIFF
                file = stack.enter_context(tifffile.TiffWriter(scratch, bigtiff=large))
            page = cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if image.ndim == 3 else image
            file.write(page, photometric="rgb" if image.ndim == 3 else "minisblack", compression="zlib", metadata=None)


def _write_folder(path: PathLike, images: Iterable[np.ndarray], names: Sequence[str]) -> None:
    with replacing_folder(path) as scratch:
        for name, image in zip(names, images):
            write_picture(scratch / f"{name}.png", image)
