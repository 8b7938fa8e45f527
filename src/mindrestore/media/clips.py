"""A clip on disk, and everything about it that a restored one keeps."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tifffile

from mindrestore.data.ahead import ahead
from mindrestore.data.folders import PAGED_SUFFIXES, frame_files
from mindrestore.data.frames import as_frames, count_frames, is_video, stored_frames
from mindrestore.data.video_file import Contents, VideoReader
from mindrestore.files import PathLike, existing


@dataclass(frozen=True)
class Clip:
    """A clip on disk.

    Attributes:
        path: of the file or folder.
        count: frames.
        height, width: of each, in pixels, as they are shown.
        bits: 8 or 16, those of its deepest frame.
        grey: whether all of it is stored without colour; a video never is.
        rate: frames a second, on average; None where nothing says it.
        names: of the frames, without suffix, where they are files of a folder.
        video, contents: of a video file, what it says of itself and what was found in it; None of pictures.
        begin: number of the first frame on disk that belongs to it, where it is a part of what is there.
    """

    path: Path
    count: int
    height: int
    width: int
    bits: int
    grey: bool
    rate: float | None = None
    names: tuple[str, ...] | None = None
    video: VideoReader | None = None
    contents: Contents | None = None
    begin: int = 0

    @property
    def is_video(self) -> bool:
        return self.video is not None

    def frames(self, first: int = 0) -> Iterator[np.ndarray]:
        """An iterator over the frames from number ``first`` on, (3, H, W), float32 0–1, read a few ahead."""
        start = self.begin + first
        stored = (
            stored_frames(self.path, start)
            if self.video is None
            else ((self.path, image) for image in self.video.images(start))
        )
        return as_frames(ahead(itertools.islice(stored, self.count - first)), colour=True)

    def part(self, first: int, count: int) -> Clip:
        """The ``count`` frames from number ``first`` on, as a clip."""
        return replace(self, begin=self.begin + first, count=count, names=self.names and self.names[first : first + count])


def open_clip(path: PathLike) -> Clip:
    """Look at the clip at ``path``: a video, a folder of frames or a picture whose pages are frames.

    A video is decoded once for that, as only its frames know how many they are, and so is a clip whose first picture is grey.

    Raises:
        UserError: nothing is there, or its first frame cannot be read, or a video's frames differ in size.
    """
    path = existing(path, "video, folder of frames or picture")
    if is_video(path):
        return _video_clip(path)
    images = stored_frames(path)
    _, first = next(images)
    deep = first.dtype == np.uint16 or _holds_16_bits(path)
    grey = first.ndim == 2 and all(image.ndim == 2 for _, image in images)
    names = tuple(file.stem for file in frame_files(path)) if path.is_dir() else None
    return Clip(path, count_frames(path), *first.shape[:2], bits=16 if deep else 8, grey=grey, names=names)


def _holds_16_bits(path: Path) -> bool:
    """Whether any picture of a clip has 16 bits, by the headers alone of the two formats that have them."""
    for file in frame_files(path) if path.is_dir() else [path]:
        if file.suffix.lower() == ".png":
            with open(file, "rb") as header:
                if header.read(25)[24:] == b"\x10":  # the depth, in the first chunk of every PNG
                    return True
        elif file.suffix.lower() in PAGED_SUFFIXES:
            with contextlib.suppress(tifffile.TiffFileError), tifffile.TiffFile(file) as pages:
                if any(page.dtype == np.uint16 for page in pages.pages):
                    return True
    return False


def _video_clip(path: Path) -> Clip:
    reader = VideoReader(path)
    contents = reader.contents()
    rate = float(contents.times.rate) if reader.rate or not contents.times.is_steady else None
    return Clip(
        path,
        contents.count,
        reader.height,
        reader.width,
        bits=8 if reader.bits == 8 else 16,
        grey=False,
        rate=rate,
        video=reader,
        contents=contents,
    )
