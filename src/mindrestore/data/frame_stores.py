"""Frames of a data set in a folder of clips, or in an LMDB made from one, behind one interface.

Names are paths below the root without their suffix: clip ``000``, frame ``00000000``; Vimeo-90K ``00001/0001`` and ``im4``.
In an LMDB the key is both, ``000/00000000``, and the value the bytes of a PNG file; ``meta_info.txt`` beside it has a line a
frame, ``000/00000000.png (720,1280,3) 1``: the key, the shape and PNG's compression.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Any, Protocol

import lmdb
import numpy as np

from mindrestore.data.clip_lists import SHAPE, numbered_lines
from mindrestore.data.folders import IMAGE_SUFFIXES, clips_folder, find_clips, natural_order
from mindrestore.data.picture_files import IN_COLOUR, image_in
from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike, existing

META_INFO = "meta_info.txt"
BESIDE = (("sharp", "blur"), ("GT", "input"))
"""Names of the folders of ground truth and low quality in a clip's folder: in GoPro, in DVD."""
_OPENING = threading.Lock()  # an LMDB must be opened once only in a process of several threads
_META_LINE = re.compile(rf"(.+)/([^/]+)\.\w+ {SHAPE} [0-9]+")


class FrameStore(Protocol):
    """Frames by clip.

    Attributes:
        root: of the folder or LMDB.
        clips: clip name -> names of its frames in natural order.
    """

    root: Path
    clips: dict[str, tuple[str, ...]]

    def read(self, clip: str, frame: str) -> np.ndarray:
        """One frame, (H, W, 3) uint8 RGB; ``UserError`` if it is missing or does not decode."""


def open_store(path: PathLike) -> FrameStore:
    """Return the ``FolderStore`` or ``LmdbStore`` at ``path``; ``UserError`` if there is neither."""
    path = existing(path, "data set")
    if (path / "data.mdb").exists():
        return LmdbStore(path)
    if not path.is_dir():
        raise UserError(f"{path}: expected a folder of clips or an LMDB folder, got a file.")
    return FolderStore(clips_folder(path))


def training_stores(gt: PathLike, lq: PathLike | None = None, blurred: bool = False) -> tuple[FrameStore, FrameStore | None]:
    """Return the stores of ground truth and of low quality, ``None`` where that is to be made.

    Where a clip's folder holds both, as GoPro and DVD are downloaded (``BESIDE``), one path names both, and clips are called by
    their folders: ``GOPR0372_07_00``.

    Args:
        gt: path of ground truth.
        lq: path of low quality; if ``None`` and ``blurred``, what lies beside ground truth is taken.
        blurred: whether training removes blur.

    Raises:
        UserError: as ``open_store`` does.
    """
    gt_store, lq_store = open_store(gt), open_store(lq) if lq else None
    gt_parts = _beside(gt_store)
    if gt_parts and lq_store is None and blurred:
        lq_store = gt_store
    return _part(gt_store, gt_parts, 0), lq_store and _part(lq_store, _beside(lq_store), 1)


def _beside(store: FrameStore) -> tuple[str, str] | None:
    """The pair of ``BESIDE`` that a store's clips have; ``None`` if they have neither."""
    folders = {clip.rpartition("/")[0] for clip in store.clips}
    return next(
        (parts for parts in BESIDE for folder in folders if all(_inside(folder, part) in store.clips for part in parts)), None
    )


def _part(store: FrameStore, parts: tuple[str, str] | None, which: int) -> FrameStore:
    return PartStore(store, parts[which]) if parts else store


def _inside(folder: str, part: str) -> str:
    return f"{folder}/{part}" if folder else part


class PartStore:
    """One part of a store whose clips are called ``clip/part``, such as ``sharp`` of GoPro: ``x`` is clip ``x/part`` there."""

    def __init__(self, store: FrameStore, part: str) -> None:
        self.store, self.root = store, store.root
        self._name_there = {
            clip.rpartition("/")[0] or store.root.name: clip for clip in store.clips if clip.rpartition("/")[2] == part
        }
        self.clips = {name: store.clips[clip] for name, clip in self._name_there.items()}

    def read(self, clip: str, frame: str) -> np.ndarray:
        """As the store reads it."""
        return self.store.read(self._name_there[clip], frame)


class FolderStore:
    """Clips as folders of images, those that ``find_clips`` finds at ``root``; ``UserError`` if it finds none."""

    def __init__(self, root: PathLike) -> None:
        self.root = Path(root)
        self._files = {name: {file.stem: file for file in clip.frames} for name, clip in find_clips(self.root).items()}
        if not self._files:
            raise UserError(f"{self.root}: no clips in it; expected folders of images ending in {', '.join(IMAGE_SUFFIXES)}.")
        self.clips = {clip: tuple(files) for clip, files in self._files.items()}

    def path(self, clip: str, frame: str) -> Path:
        """The file of a frame; ``UserError`` if there is no such clip or frame."""
        try:
            return self._files[clip][frame]
        except KeyError:
            raise UserError(f"{self.root}: no frame {frame} of clip {clip} in it.") from None

    def read(self, clip: str, frame: str) -> np.ndarray:
        """One frame, (H, W, 3) uint8 RGB; ``UserError`` naming the file if it is gone or does not decode."""
        path = self.path(clip, frame)
        return _rgb(stored_bytes(path), path)


class LmdbStore:
    """Clips in an LMDB folder, ours or one that the published tools made."""

    def __init__(self, root: PathLike) -> None:
        self.root = existing(root, "LMDB folder")
        self.shapes = {}  # (clip, frame) -> (height, width, channels)
        clips = {}
        for number, line in numbered_lines(existing(self.root / META_INFO, "list of frames")):
            match = _META_LINE.fullmatch(line)
            if not match:
                raise UserError(
                    f'{self.root / META_INFO}, line {number}: "{printable(line)}" is no frame; expected '
                    f'"000/00000000.png (720,1280,3) 1".'
                )
            clip, frame, *shape = match.groups()
            clips.setdefault(clip, []).append(frame)
            self.shapes[clip, frame] = tuple(map(int, shape))
        if not clips:
            raise UserError(f"{self.root / META_INFO}: it lists no frames; make the LMDB again.")
        self.clips = {clip: tuple(sorted(frames, key=natural_order)) for clip, frames in clips.items()}
        self._opened = None

    def read(self, clip: str, frame: str) -> np.ndarray:
        """One frame, (H, W, 3) uint8 RGB; ``UserError`` naming the key if it is missing or does not decode."""
        key = f"{clip}/{frame}"
        where = f"{self.root}, key {key}"
        try:
            with self.environment().begin(buffers=True) as transaction:
                value = transaction.get(key.encode())
                if value is None:
                    raise UserError(f"{where}: listed in {META_INFO} but not stored; make the LMDB again.")
                return _rgb(np.frombuffer(value, np.uint8), where)
        except lmdb.Error as error:
            raise UserError(f"{where}: cannot be read ({error}); make the LMDB again.") from error

    def environment(self) -> lmdb.Environment:
        """The LMDB opened for reading, once in every process."""
        with _OPENING:
            if self._opened is None or self._opened[0] != os.getpid():  # an environment must not cross a fork
                try:
                    environment = lmdb.open(str(self.root), readonly=True, lock=False, readahead=False, meminit=False)
                except lmdb.Error as error:
                    raise UserError(f"{self.root}: not a readable LMDB ({error}); make it again.") from error
                pages, page_size = environment.info()["last_pgno"] + 1, environment.stat()["psize"]
                if (self.root / "data.mdb").stat().st_size < pages * page_size:  # reading on would be a bus error
                    environment.close()
                    raise UserError(f"{self.root}: data.mdb was cut short; copy it again or make it again.")
                self._opened = os.getpid(), environment
            return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}


def stored_bytes(path: PathLike) -> np.ndarray:
    """The bytes of a file, uint8; ``UserError`` naming it if it cannot be read."""
    try:
        return np.fromfile(path, np.uint8)
    except OSError as error:
        raise UserError(f"{path}: this frame cannot be read ({error.strerror}); copy or make it again.") from error


def decoded(stored: np.ndarray, where: object) -> np.ndarray:
    """The frame in an array of a file's bytes, (H, W, 3) uint8 BGR; ``UserError`` naming ``where`` if it does not decode."""
    image = image_in(stored, where, IN_COLOUR)
    if image is None:
        raise UserError(f"{where}: this frame does not decode; copy or make it again.")
    return image


def _rgb(stored: np.ndarray, where: object) -> np.ndarray:
    return decoded(stored, where)[..., ::-1]  # a view: cutting a patch out of it copies the patch alone
