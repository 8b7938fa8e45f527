"""Where the frames of a data set lie: a folder of clips, or an LMDB made from one, behind one interface.

A store has ``clips``, a dict of clip name -> names of its frames in order, and ``read(clip, frame)``, one frame as
``(H, W, 3)`` uint8 RGB. Names are paths below the root without their suffix: clip ``000``, frame ``00000000``; Vimeo-90K
``00001/0001`` and ``im4``. In an LMDB the key is both, ``000/00000000``, and the value the bytes of a PNG file; beside it
``meta_info.txt`` has a line a frame, ``000/00000000.png (720,1280,3) 1``, the last number being PNG's compression.
"""
import os
import re
import threading
from pathlib import Path

import cv2
import lmdb
import numpy as np

from mindrestore.data.frames import IMAGE_SUFFIXES, clips_folder, natural_order
from mindrestore.errors import UserError
from mindrestore.files import existing

META_INFO = "meta_info.txt"
BESIDE = (("sharp", "blur"), ("GT", "input"))
"""What the folders of ground truth and low quality in a clip's folder are called: by GoPro, by DVD."""
_OPENING = threading.Lock()  # an LMDB is opened once in a process, whichever of its threads comes first
_META_LINE = re.compile(r"(\S+)/([^/\s]+)\.\w+ \((\d+),\s*(\d+),\s*(\d+)\) \d+")


def open_store(path):
    """Return the ``FolderStore`` or ``LmdbStore`` at ``path``; ``UserError`` if there is neither."""
    path = existing(path, "data set")
    if (path / "data.mdb").exists():
        return LmdbStore(path)
    if not path.is_dir():
        raise UserError(f"{path}: expected a folder of clips or an LMDB folder, got a file.")
    return FolderStore(clips_folder(path))


def training_stores(gt, lq=None, blurred=False):
    """Return the stores of ground truth and of low quality, ``None`` where that is to be made.

    Where clips are folders that hold both, as GoPro's and DVD's are downloaded (``BESIDE``), one path names both, and clips are
    called by their folders: ``GOPR0372_07_00``.

    Args:
        gt: path of ground truth.
        lq: path of low quality; without it, what lies beside ground truth if that is ``blurred``: whether blur is what
            training is to undo.

    Raises:
        UserError: as ``open_store`` does.
    """
    gt, lq = open_store(gt), open_store(lq) if lq else None
    parts = _beside(gt)
    if parts and lq is None and blurred:
        lq = gt
    return _part(gt, parts, 0), lq and _part(lq, _beside(lq), 1)


def _beside(store):
    """The pair of ``BESIDE`` that clips of a store have, None if none of them."""
    folders = {clip.rpartition("/")[0] for clip in store.clips}
    return next((parts for parts in BESIDE for folder in folders
                 if all(_inside(folder, part) in store.clips for part in parts)), None)


def _part(store, parts, which):
    return PartStore(store, parts[which]) if parts else store


def _inside(folder, part):
    return f"{folder}/{part}" if folder else part


class PartStore:
    """Of a store whose clips are folders of several parts, one part: clip ``x`` is ``x/part`` there."""

    def __init__(self, store, part):
        self.store, self.root = store, store.root
        self._clips = {clip.rpartition("/")[0] or store.root.name: clip for clip in store.clips
                       if clip.rpartition("/")[2] == part}
        self.clips = {name: store.clips[clip] for name, clip in self._clips.items()}

    def read(self, clip, frame):
        """As the store reads it."""
        return self.store.read(self._clips[clip], frame)


class FolderStore:
    """Clips as folders of images, at any depth below ``root``."""

    def __init__(self, root):
        self.root = Path(root)
        self._files = {}
        for folder, _, names in sorted(os.walk(self.root, followlinks=True)):
            images = [name for name in names if not name.startswith(".") and name.lower().endswith(IMAGE_SUFFIXES)]
            if images:
                clip = Path(folder).relative_to(self.root).as_posix()
                self._files[clip] = _by_stem(Path(folder), images)
        if not self._files:
            raise UserError(f"{self.root}: no clips in it; expected folders of images "
                            f"ending in {', '.join(IMAGE_SUFFIXES)}.")
        self._files = {clip: self._files[clip] for clip in sorted(self._files, key=natural_order)}
        self.clips = {clip: tuple(files) for clip, files in self._files.items()}

    def path(self, clip, frame):
        """The file of a frame; ``UserError`` if there is no such clip or frame."""
        try:
            return self._files[clip][frame]
        except KeyError:
            raise UserError(f"{self.root}: no frame {frame} of clip {clip} in it.") from None

    def read(self, clip, frame):
        """One frame, (H, W, 3) uint8 RGB; ``UserError`` naming the file if it does not decode."""
        path = self.path(clip, frame)
        return _rgb(np.fromfile(path, np.uint8), path)


class LmdbStore:
    """Clips in an LMDB folder, ours or one that the published tools made."""

    def __init__(self, root):
        self.root = existing(root, "LMDB folder")
        self.shapes = {}
        clips = {}
        for number, line in enumerate(existing(self.root / META_INFO, "list of frames").read_text().splitlines(), 1):
            match = _META_LINE.fullmatch(line.strip())
            if not match:
                raise UserError(f'{self.root / META_INFO}, line {number}: "{line[:80]}" is no frame; expected '
                                f'"000/00000000.png (720,1280,3) 1".')
            clip, frame, *shape = match.groups()
            clips.setdefault(clip, []).append(frame)
            self.shapes[clip, frame] = tuple(map(int, shape))
        if not clips:
            raise UserError(f"{self.root / META_INFO}: it lists no frames; make the LMDB again.")
        self.clips = {clip: tuple(sorted(frames, key=natural_order)) for clip, frames in clips.items()}
        self._opened = None

    def read(self, clip, frame):
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

    def environment(self):
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

    def __getstate__(self):
        return {**self.__dict__, "_opened": None}


def _by_stem(folder, names):
    files = {}
    for name in sorted(names, key=natural_order):
        stem = name[:name.rindex(".")]
        if stem in files:
            raise UserError(f"{folder}: both {files[stem].name} and {name} are frame {stem}; remove one of them.")
        files[stem] = folder / name
    return files


def decoded(stored, where):
    """The frame in an array of a file's bytes, (H, W, 3) uint8 BGR; ``UserError`` naming ``where`` if it does not decode."""
    image = cv2.imdecode(stored, cv2.IMREAD_COLOR) if stored.size else None
    if image is None:
        raise UserError(f"{where}: this frame does not decode; copy or make it again.")
    return image


def _rgb(stored, where):
    return decoded(stored, where)[..., ::-1]  # a view: whoever wants a patch copies no more than that
