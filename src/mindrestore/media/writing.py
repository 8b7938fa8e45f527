"""Stored images into a clip on disk, of the kind that its name says, one by one and whole or not at all.

    out.mp4, .m4v, .mov, .mkv   MPEG-4 video          out.tif, .tiff          a page a frame, 8 or 16 bits
    out.avi                     Motion JPEG video     out.png, .jpg, .bmp …   one frame
    out                         a folder of PNG files, 8 or 16 bits
"""
import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import Iterable, Optional, Sequence, Tuple

import cv2
import numpy as np
import tifffile

from mindrestore.data.frames import IMAGE_SUFFIXES, PAGED_SUFFIXES
from mindrestore.errors import UserError
from mindrestore.files import PathLike, replacing, replacing_folder, write_bytes
from mindrestore.media.pixels import in_8_bits, in_colour

CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
KINDS = ("video", "pages", "picture", "folder")
LARGEST_PLAIN_TIFF = 2 ** 32 - 2 ** 25  # bytes; above, its 32-bit offsets do not reach


def kind_of(path: PathLike) -> str:
    """Return which of ``KINDS`` a clip called ``path`` is; ``UserError`` if no kind that is written ends like this."""
    suffix = Path(path).suffix.lower()
    if suffix in CODECS:
        return "video"
    if suffix in PAGED_SUFFIXES:
        return "pages"
    if suffix in IMAGE_SUFFIXES:
        return "picture"
    if suffix and not Path(path).is_dir():
        raise UserError(f"{path}: no clip that is written ends in {suffix}; name a video ({', '.join(CODECS)}), a file of "
                        f"pages ({', '.join(PAGED_SUFFIXES)}), or a folder without a suffix.")
    return "folder"


def write_clip(path: PathLike, images: Iterable[np.ndarray], count: int, rate: Optional[float] = None,
               names: Optional[Sequence[str]] = None) -> None:
    """Write a clip; what it is follows from ``path``.

    Args:
        path: of the file or folder; a file that is there is replaced, a folder must be empty.
        images: iterable of grey (H, W) or BGR (H, W, 3) images, uint8 or uint16, all alike. A video holds 8 bits.
        count: how many there are.
        rate: frames a second, for a video.
        names: of the frames in a folder, without suffix; numbers by default.

    Raises:
        UserError: a path that cannot be written, or several frames for a picture of one.
    """
    kind = kind_of(path)
    if kind == "video":
        write_video(path, images, rate)
    elif kind == "pages":
        _write_pages(path, images, count)
    elif kind == "picture":
        write_picture(path, next(iter(images)))
    else:
        _write_folder(path, images, names or [f"{number:08d}" for number in range(count)])


def check_target(path: PathLike, count: int) -> None:
    """Raise ``UserError`` if a clip of ``count`` frames cannot be written to ``path``, before anything is computed."""
    path = Path(path)
    kind = kind_of(path)
    if kind == "picture" and count > 1:
        raise UserError(f"{path}: a {path.suffix} picture holds one frame and there are {count}; name a video, a .tif "
                        "or a folder.")
    if kind == "folder" and path.is_dir() and any(path.iterdir()):
        raise UserError(f"{path}: this folder holds something already; give a new or an empty one.")
    if kind == "folder" and path.is_file():
        raise UserError(f"{path}: is a file; give another name for the folder of frames.")
    if kind != "folder" and path.is_dir():
        raise UserError(f"{path}: is a folder; give the name of a file.")


def check_encoder(path: PathLike) -> None:
    """Raise ``UserError`` if a picture called ``path`` has a suffix that this build of OpenCV reads and does not write."""
    if kind_of(path) == "picture" and not cv2.haveImageWriter(str(path)):
        raise UserError(f"{path}: this build of OpenCV writes no {Path(path).suffix} pictures; choose a name that ends in "
                        ".png.")


def stored_size(path: PathLike, height: int, width: int) -> Tuple[int, int]:
    """Return the (height, width) at which a clip called ``path`` keeps frames: a video's are even."""
    return (height + height % 2, width + width % 2) if kind_of(path) == "video" else (height, width)


def write_video(path: PathLike, images: Iterable[np.ndarray], rate: float) -> None:
    """Write images as a video of ``rate`` frames a second, coded as the suffix of ``path`` says in ``CODECS``.

    Video has even sizes: the last row or column of an odd one is repeated.
    """
    path = Path(path)
    with replacing(path) as scratch, contextlib.ExitStack() as stack:
        writer = None
        for image in images:
            image = in_colour(in_8_bits(image))
            image = np.pad(image, [(0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)], mode="edge")
            if writer is None:
                writer = cv2.VideoWriter(str(scratch), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*CODECS[path.suffix.lower()]),
                                         rate, image.shape[1::-1])
                stack.callback(writer.release)
                if not writer.isOpened():
                    raise UserError(f"{path}: OpenCV cannot write a video of {image.shape[1]} x {image.shape[0]} pixels and "
                                    f"{rate:g} frames a second here; write a folder of frames, or install an "
                                    "opencv-python wheel.")
            writer.write(image)


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
        raise UserError(f"{path}: OpenCV cannot write a picture of {image.shape[1]} x {image.shape[0]} pixels in this format; "
                        "choose a name that ends in .png.")
    return content.tobytes()


def _write_pages(path, images, count):
    with replacing(path) as scratch, contextlib.ExitStack() as stack:
        file = None
        for image in images:
            if file is None:
                file = stack.enter_context(tifffile.TiffWriter(scratch, bigtiff=count * image.nbytes > LARGEST_PLAIN_TIFF))
            page = cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if image.ndim == 3 else image
            file.write(page, photometric="rgb" if image.ndim == 3 else "minisblack", compression="zlib", metadata=None)


def _write_folder(path, images, names):
    with replacing_folder(path) as scratch:
        for name, image in zip(names, images):
            write_picture(scratch / f"{name}.png", image)


def carry_over(source: PathLike, target: PathLike) -> str:
    """Copy the sound of the video ``source`` into the video ``target``, its pictures untouched.

    Returns a sentence that says what became of it; ``target`` is a whole video either way.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        return "Audio is not carried over; with ffmpeg installed it is copied."
    try:
        with replacing(target) as joined:
            subprocess.run([ffmpeg, "-nostdin", "-loglevel", "error", "-y", "-i", str(target), "-i", str(source), "-map",
                            "0:v:0", "-map", "1:a?", "-c", "copy", str(joined)], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        return f"Audio is not carried over: ffmpeg could not copy it ({reason})."
    return "Audio, where there was any, was copied by ffmpeg."
