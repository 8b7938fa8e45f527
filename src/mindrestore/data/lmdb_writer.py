"""Make an LMDB of a folder of clips, in several threads, going on where a killed run stopped."""
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import lmdb
import numpy as np
from tqdm import tqdm

from mindrestore.data.clip_lists import ListedClip
from mindrestore.data.frame_stores import META_INFO, FolderStore, LmdbStore, decoded
from mindrestore.errors import UserError
from mindrestore.files import check_writable, write_text
from mindrestore.locks import held

_FIRST_SIZE = 2**30  # bytes; grown as needed
_CHUNK = 64  # frames a transaction
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def create_lmdb(folder, output, clips=None, workers=None, compression=1):
    """Store the frames of a folder of clips as PNG files in an LMDB.

    The LMDB is made in ``<output>.partial`` and moved into place once every frame was verified to be there, whole and of
    the listed size. A run that was killed goes on from what ``<output>.partial`` holds.

    Args:
        folder: of clips, each a folder of images.
        output: the LMDB folder to make; its name ends in ``.lmdb``.
        clips: ``ListedClip`` to store, from ``read_list``; all by default. What a list says of frames, shape and first
            frame must hold.
        workers: threads that decode and encode; as many as there are cores by default.
        compression: of PNG, 0 to 9.

    Returns:
        The ``ListedClip`` stored.

    Raises:
        UserError: nothing to store, ``output`` exists, a listed clip is missing or differs from its line, a frame does not
            decode, or frames of a clip differ in size.
    """
    output = Path(output)
    if output.suffix != ".lmdb":
        raise UserError(f"{output}: the name of an LMDB folder ends in .lmdb; add it.")
    partial = output.parent / f"{output.name}.partial"
    check_writable(partial)
    if output.exists():
        raise UserError(f"{output}: it exists; remove it or choose another output.")
    if not 0 <= compression <= 9:
        raise UserError(f"PNG's compression is 0 to 9, got {compression}.")
    store = FolderStore(folder)
    frames = _chosen_frames(store, clips)
    with held(output, output.parent / f".{output.name}.lock"):
        return _create(store, frames, partial, output, clips, workers, compression)


def _create(store, frames, partial, output, clips, workers, compression):
    """Make ``output``, which this process has to itself."""
    try:
        partial.mkdir(parents=True, exist_ok=True)
        # LMDB's own lock is a mapped file, whose process dies by SIGBUS where the disk has no page left for it
        environment = lmdb.open(str(partial), map_size=_FIRST_SIZE, lock=False)
        try:
            shapes = _fill(environment, store, frames, workers or os.cpu_count(), compression)
            environment.sync()
        finally:
            environment.close()
    except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError) as error:
        raise UserError(f"{partial}: is damaged ({error}); remove it and run this again.") from error
    except lmdb.Error as error:  # a full disk is now this error, now that
        raise UserError(f"{partial}: cannot be written ({error}); free some space and run this again, it goes on from "
                        "here.") from error
    listed = _listed(store, frames, shapes, clips)
    write_text(partial / META_INFO, "".join(
        f"{clip}/{frame}.png ({','.join(map(str, shapes[clip, frame]))}) {compression}\n" for clip, frame in frames))
    verify(partial)
    for lock in partial.glob("lock.mdb"):
        lock.unlink()
    os.replace(partial, output)
    return listed


def verify(path):
    """Check that every frame that an LMDB lists is stored, a whole PNG of the listed size; ``UserError`` names the first
    that is not.
    """
    store = LmdbStore(path)
    environment = store.environment()
    with environment.begin(buffers=True) as transaction:
        for (clip, frame), shape in store.shapes.items():
            value = transaction.get(f"{clip}/{frame}".encode())
            if value is None or _png_size(value) != shape[:2]:
                raise UserError(f"{path}, key {clip}/{frame}: not a whole PNG of {shape[1]} x {shape[0]} pixels; "
                                f"remove the LMDB and make it again.")


def _chosen_frames(store, clips):
    """(clip, frame) of everything to store, checked against the list."""
    frames_to_write = []
    missing = [clip.name for clip in clips or () if clip.name not in store.clips]
    if missing:
        raise UserError(f"{store.root}: {len(missing)} listed clips are not in it, the first is {missing[0]}; correct "
                        f"the list or the folder.")
    for clip in clips or [ListedClip(name) for name in store.clips]:
        frames = store.clips[clip.name]
        numbers = [frame_number(frame) for frame in frames]
        if clip.frames is not None and len(frames) != clip.frames:
            raise UserError(f"{store.root}: clip {clip.name} has {len(frames)} frames, its list says {clip.frames}.")
        if clip.first is not None and numbers[0] != clip.first:
            raise UserError(f"{store.root}: clip {clip.name} starts at {frames[0]}, its list says {clip.first}.")
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            absent = next(number for number in range(numbers[0], numbers[-1]) if number not in numbers)
            raise UserError(f"{store.root}: clip {clip.name} has no frame {absent}; complete it or leave it out.")
        frames_to_write.extend((clip.name, frame) for frame in frames)
    return frames_to_write


def frame_number(frame):
    """The number in a frame's name, ``00000047`` or ``im4``; ``UserError`` if it has none."""
    match = re.search(r"(\d+)$", frame)
    if not match:
        raise UserError(f"frame {frame}: its name does not end in a number; expected names such as 00000000 or im1.")
    return int(match[1])


def _fill(environment, store, frames, workers, compression):
    """Store what is not stored yet; return the shapes of all."""
    shapes = {}
    with environment.begin(buffers=True) as transaction:
        for clip, frame in frames:
            value = transaction.get(f"{clip}/{frame}".encode())
            size = None if value is None else _png_size(value)
            if size:
                shapes[clip, frame] = (*size, 3)
    todo = [key for key in frames if key not in shapes]
    bar = tqdm(total=len(frames), initial=len(shapes), unit="frame", file=sys.stderr, dynamic_ncols=True)
    # OpenCV lets go of Python's lock, so that threads are as quick as processes; and no thread outlives a killed process, or is
    # killed and waited for in vain
    with bar, ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(todo), _CHUNK):
            keys = todo[start:start + _CHUNK]
            paths = [str(store.path(*key)) for key in keys]
            encoded = pool.map(_encode, paths, [compression] * len(paths))
            values = {}
            for key, (value, shape) in zip(keys, encoded):
                values["/".join(key).encode()], shapes[key] = value, shape
                bar.update()
            _put(environment, values)
    return shapes


def _put(environment, values):
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in values.items():
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])


def _encode(path, compression):
    """The image at ``path`` as (bytes of a PNG file, shape)."""
    image = decoded(np.fromfile(path, np.uint8), path)
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, compression])[1].tobytes(), image.shape


def _png_size(value):
    """(height, width) of a whole PNG file, ``None`` of anything else."""
    if bytes(value[:8]) != _PNG_START or bytes(value[-8:]) != _PNG_END:
        return None
    return int.from_bytes(value[20:24], "big"), int.from_bytes(value[16:20], "big")


def _listed(store, frames, shapes, clips):
    """The clips as stored; ``UserError`` for a clip of two sizes, or of another than its list says."""
    listed = []
    said = {clip.name: clip.shape for clip in clips or ()}
    for name in dict.fromkeys(clip for clip, _ in frames):
        of_clip = store.clips[name]
        first = shapes[name, of_clip[0]]
        for frame in of_clip:
            if shapes[name, frame] != (said.get(name) or first):
                raise UserError(f"{store.path(name, frame)}: it has shape {shapes[name, frame]}, expected "
                                f"{said.get(name) or first}; all frames of a clip have one shape, the listed one.")
        listed.append(ListedClip(name, len(of_clip), first, frame_number(of_clip[0])))
    return listed
