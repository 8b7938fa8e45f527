"""Finished frames, kept in a folder beside the result until that is whole, so that a stopped run can go on.

The folder is called as the result with ``.part`` behind it. It holds ``run.json``, which says what made the frames, and the
frames, each whole or absent: as 00000000.png, 00000001.png, …, and where the result is a video, as segments of it once there
are many, so that the folder is hardly larger than the result.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mindrestore.errors import UserError
from mindrestore.files import PathLike, replacing_folder, write_bytes, write_text
from mindrestore.media.segments import SegmentedVideo
from mindrestore.media.writing import coded
from mindrestore.readers.untrusted import json_object

RECORD = "run.json"
FAST = (cv2.IMWRITE_PNG_COMPRESSION, 1)
MOST_PICTURES = 250  # that wait until they are a segment: as many as encoders put between two frames that stand by themselves
MOST_BYTES = 2e9  # of them


def part_folder(target: PathLike) -> Path:
    """Where the finished frames of a result are kept."""
    target = Path(target)
    return target.with_name(target.name + ".part")


def check_unfinished(target: PathLike, resume: bool) -> None:
    """Raise ``UserError`` if finished frames of a run that was stopped are there and are not to be gone on with."""
    folder = part_folder(target)
    if resume or not folder.exists():
        return
    _recorded(folder)
    raise UserError(
        f"{folder}: holds finished frames of a run that was stopped; add --resume to go on with it, or delete this "
        "folder to begin again."
    )


def _recorded(folder: Path) -> dict[str, Any]:
    """Return the record of the run whose finished frames a folder holds; ``UserError`` if it holds none."""
    try:
        return json_object(folder / RECORD, "record of a run")
    except UserError:
        raise UserError(f"{folder}: is in the way and holds no unfinished run; move it elsewhere.") from None


class FinishedFrames:
    """The finished frames of one result.

    Args:
        target: path of the result.
        record: what decides the frames, JSON values by name; frames of another record are not gone on with.
        resume: whether to go on with frames that are there.

    Attributes:
        count: frames that are finished.
        first: of them are in segments; the others are pictures.
        keeps_pictures: whether no segments are made, as all pictures are wanted at the end.

    Raises:
        UserError: frames are there and were not to be gone on with, or were made otherwise.
    """

    def __init__(self, target: PathLike, record: dict[str, Any], resume: bool = False) -> None:
        self.folder = part_folder(target)
        check_unfinished(target, resume)
        if self.folder.exists():
            self._check(record)
        write_text(self.folder / RECORD, json.dumps(record, indent=2) + "\n")
        self._videos: Sequence[SegmentedVideo] = ()
        self.keeps_pictures = False
        self.first = self._bytes = 0  # bytes of the pictures
        self._count_pictures()

    def put_into(self, videos: Sequence[SegmentedVideo]) -> None:
        """Have frames become segments of ``videos``, all of the same frames."""
        self._videos = videos
        self.first = min(video.count for video in videos)
        for video in videos:
            video.keep(self.first)  # of a run stopped between the segments of two videos
        self._count_pictures()

    def add(self, image: np.ndarray) -> None:
        """Keep the next frame, a stored image."""
        content = coded(image, self._path(self.count), FAST)
        write_bytes(self._path(self.count), content)
        self.count += 1
        self._bytes += len(content)
        if self._videos and not self.keeps_pictures and (self.count - self.first >= MOST_PICTURES or self._bytes >= MOST_BYTES):
            self._make_segments()

    def write_videos(self) -> list[list[str]]:
        """Write the videos; return the sentences of each."""
        if not self.first:
            return [video.write_whole(self.images()) for video in self._videos]
        if self.count > self.first:
            self._make_segments()
        return [video.join() for video in self._videos]

    def images(self) -> Iterator[np.ndarray]:
        """An iterator over the stored images that are not in segments, as they were added."""
        for number in range(self.first, self.count):
            image = cv2.imdecode(np.fromfile(self._path(number), np.uint8), cv2.IMREAD_UNCHANGED)
            if image is None:
                raise UserError(
                    f"{self._path(number)}: this finished frame is damaged; delete it and those after it, and "
                    "go on with --resume."
                )
            yield image

    def link_into(self, folder: Path, names: Sequence[str] | None) -> None:
        """Make the pictures, without copying them where the file system allows that, those of a folder of frames that is absent
        or empty. ``names`` as of ``mindrestore.media.writing.write_clip``.
        """
        with replacing_folder(folder) as scratch:
            for number in range(self.count):
                picture = scratch / f"{names[number] if names else self._path(number).stem}.png"
                try:
                    os.link(self._path(number), picture)
                except OSError:
                    shutil.copyfile(self._path(number), picture)

    def discard(self) -> None:
        """Delete them all."""
        shutil.rmtree(self.folder)

    def _make_segments(self) -> None:
        for video in self._videos:
            video.add(self.images(), self.count - self.first)
        for number in range(self.first, self.count):
            self._path(number).unlink()
        self.first, self._bytes = self.count, 0

    def _count_pictures(self) -> None:
        self.count, self._bytes = self.first, 0
        while self._path(self.count).exists():
            self._bytes += self._path(self.count).stat().st_size
            self.count += 1

    def _check(self, record: dict[str, Any]) -> None:
        stored = _recorded(self.folder)
        differing = [name for name in record if stored.get(name) != record[name]]
        if differing:
            name = differing[0]
            raise UserError(
                f"{self.folder}: its frames were made with {name} {stored.get(name)}, now it is {record[name]}; "
                "give what it was, or delete this folder to begin again."
            )

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.png"
