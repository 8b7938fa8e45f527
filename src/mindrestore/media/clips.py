"""A clip on disk, and everything about it that a restored one keeps."""
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Iterator, Optional, Tuple

import cv2
import numpy as np

from mindrestore.data.frames import IMAGE_SUFFIXES, count_frames, frame_files, stored_frames, stream_frames
from mindrestore.files import PathLike, existing

FASTEST = 1000  # frames a second; a header that says more says nothing


@dataclass(frozen=True)
class Clip:
    """A clip on disk.

    Attributes:
        path: of the file or folder.
        count: frames.
        height, width: of each, in pixels.
        bits: 8 or 16.
        grey: whether it is stored without colour; a video never is.
        rate: frames a second, None where nothing says it.
        names: of the frames, without suffix, where they are files of a folder.
    """

    path: Path
    count: int
    height: int
    width: int
    bits: int
    grey: bool
    rate: Optional[float] = None
    names: Optional[Tuple[str, ...]] = None

    @property
    def is_video(self) -> bool:
        return self.path.is_file() and self.path.suffix.lower() not in IMAGE_SUFFIXES

    def frames(self, first: int = 0) -> Iterator[np.ndarray]:
        """An iterator over the frames from number ``first`` on, (3, H, W), float32 0–1."""
        return stream_frames(self.path, colour=True, first=first)


def open_clip(path: PathLike) -> Clip:
    """Look at the clip at ``path``: a video, a folder of frames or a picture whose pages are frames.

    Raises:
        UserError: nothing is there, or its first frame cannot be read.
    """
    path = existing(path, "video, folder of frames or picture")
    _, first = next(stored_frames(path))
    names = tuple(file.stem for file in frame_files(path)) if path.is_dir() else None
    clip = Clip(path, count_frames(path), *first.shape[:2], 16 if first.dtype == np.uint16 else 8, first.ndim == 2,
                names=names)
    return replace(clip, rate=_rate(path)) if clip.is_video else clip


def _rate(path):
    capture = cv2.VideoCapture(str(path))
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return rate if 0 < rate <= FASTEST else None
