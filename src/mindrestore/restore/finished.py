"""Finished frames, kept in a folder beside the result until that is whole, so that a stopped run can go on.

The folder is called as the result with ``.part`` behind it. It holds the frames as 00000000.png, 00000001.png, …, each
whole or absent, and ``run.json``, which says what made them.
"""
from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mindrestore.errors import UserError
from mindrestore.files import PathLike, replacing, write_text
from mindrestore.media.writing import coded

RECORD = "run.json"
FAST = (cv2.IMWRITE_PNG_COMPRESSION, 1)


class FinishedFrames:
    """The finished frames of one result.

    Args:
        target: path of the result.
        record: what decides the frames, JSON values by name; frames of another record are not gone on with.
        resume: whether to go on with frames that are there.

    Raises:
        UserError: frames are there and were not to be gone on with, or were made otherwise.
    """

    def __init__(self, target: PathLike, record: dict[str, Any], resume: bool = False) -> None:
        target = Path(target)
        self.folder = target.with_name(target.name + ".part")
        if self.folder.exists():
            self._check(record, resume)
        write_text(self.folder / RECORD, json.dumps(record, indent=2) + "\n")
        self.count = 0
        while self._path(self.count).exists():
            self.count += 1

    def add(self, image: np.ndarray) -> None:
        """Keep the next frame, a stored image."""
        with replacing(self._path(self.count)) as scratch:
            scratch.write_bytes(coded(image, scratch, FAST))
        self.count += 1

    def images(self) -> Iterator[np.ndarray]:
        """An iterator over the stored images, as they were added."""
        for number in range(self.count):
            image = cv2.imdecode(np.fromfile(self._path(number), np.uint8), cv2.IMREAD_UNCHANGED)
            if image is None:
                raise UserError(f"{self._path(number)}: this finished frame is damaged; delete it and those after it, and "
                                "go on with --resume.")
            yield image

    def discard(self) -> None:
        """Delete them all."""
        shutil.rmtree(self.folder)

    def _check(self, record: dict[str, Any], resume: bool) -> None:
        try:
            stored = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UserError(f"{self.folder}: is in the way and holds no unfinished run; move it elsewhere.") from None
        if not resume:
            raise UserError(f"{self.folder}: holds finished frames of a run that was stopped; add --resume to go on with it, "
                            "or delete this folder to begin again.")
        differing = [name for name in record if stored.get(name) != record[name]]
        if differing:
            name = differing[0]
            raise UserError(f"{self.folder}: its frames were made with {name} {stored.get(name)}, now it is {record[name]}; "
                            "give what it was, or delete this folder to begin again.")

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.png"
