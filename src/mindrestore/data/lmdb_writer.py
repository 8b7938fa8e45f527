"""Make an LMDB of a folder of clips, in several threads, going on where a killed run stopped."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import lmdb
from tqdm import tqdm

from mindrestore.data.clip_lists import ListedClip, check_name, write_list
from mindrestore.data.folders import digest, frame_numbers
from mindrestore.data.frame_stores import META_INFO, FolderStore, LmdbStore, decoded, stored_bytes
from mindrestore.errors import UserError
from mindrestore.files import PathLike, cannot_be_written, check_writable, write_text
from mindrestore.locks import held

_FIRST_SIZE = 2**30  # bytes; grown as needed
_CHUNK = 64  # frames a transaction
_RECORD = "source.json"  # of what an unfinished LMDB is made
_LONGEST_KEY = 511  # bytes, of LMDB as it is built
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"

Key = tuple[str, str]  # clip, frame
Shapes = dict[Key, tuple[int, int, int]]  # (height, width, channels)


def create_lmdb(
    folder: PathLike,
    output: PathLike,
    clips: Sequence[ListedClip] | None = None,
    *,
    workers: int | None = None,
    compression: int = 1,
    listing: PathLike | None = None,
) -> list[ListedClip]:
    """Store the frames of a folder of clips as PNG files in an LMDB.

    The LMDB is made in ``<output>.partial`` and moved into place once every frame was verified to be there, whole and of
    the listed size. A run that was killed goes on from what ``<output>.partial`` holds, if files and settings are the same.

    Args:
        folder: of clips, each a folder of images.
        output: the LMDB folder to make; its name ends in ``.lmdb``.
        clips: ``ListedClip`` to store, from ``read_list``; all by default. What a list says of frames, shape and first
            frame must hold.
        workers: threads that decode and encode; as many as there are cores by default.
        compression: of PNG, 0 to 9.
        listing: where to write the list of what was stored; None for nowhere.

    Returns:
        The ``ListedClip`` stored.

    Raises:
        UserError: nothing to store, ``output`` exists, a listed clip is missing or differs from its line, a name cannot be
            listed, numbers of frames have a gap, a frame does not decode, frames of a clip differ in size, or ``output`` cannot
            be written.
    """
    output = Path(output)
    if output.suffix != ".lmdb":
        raise UserError(f"{output}: the name of an LMDB folder ends in .lmdb; add it.")
    partial = output.parent / f"{output.name}.partial"
    check_writable(partial)
    if listing is not None:
        check_writable(listing)
    if os.path.lexists(output):
        raise UserError(f"{output}: it exists; remove it or choose another output.")
    if not 0 <= compression <= 9:
        raise UserError(f"PNG's compression is 0 to 9, got {compression}.")
    store = FolderStore(folder)
    keys = _frames_to_store(store, clips)
    with held(output, output.parent / f".{output.name}.lock"):
        try:
            stored = _create(
                store, keys, partial, output, clips=clips, workers=workers or os.cpu_count() or 1, compression=compression
            )
        except OSError as error:
            raise cannot_be_written(output, error) from error
    if listing is not None:
        write_list(listing, stored)
    return stored


def _create(
    store: FolderStore,
    keys: Sequence[Key],
    partial: Path,
    output: Path,
    *,
    clips: Sequence[ListedClip] | None,
    workers: int,
    compression: int,
) -> list[ListedClip]:
    """Make ``output``, which this process has to itself."""
    _begin(partial, {"frames": digest(("/".join(key), store.path(*key)) for key in keys), "compression": compression})
    try:
        # LMDB's own lock is a mapped file, whose process dies by SIGBUS where the disk has no page left for it
        environment = lmdb.open(str(partial), map_size=_FIRST_SIZE, lock=False)
        try:
            shapes = _fill(environment, store, keys, workers=workers, compression=compression)
            environment.sync()
        finally:
            environment.close()
    except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.VersionMismatchError) as error:
        raise UserError(f"{partial}: is damaged ({error}); remove it and run this again.") from error
    except lmdb.Error as error:
        raise UserError(
            f"{partial}: cannot be written ({error}); free some space and run this again, it goes on from here."
        ) from error
    listed = _listed(store, keys, shapes, clips)
    write_text(
        partial / META_INFO,
        "".join(f"{clip}/{frame}.png ({','.join(map(str, shapes[clip, frame]))}) {compression}\n" for clip, frame in keys),
    )
    verify(partial)
    for name in ("lock.mdb", _RECORD):
        (partial / name).unlink(missing_ok=True)
    os.replace(partial, output)
    return listed


def _begin(partial: Path, record: dict[str, object]) -> None:
    """Make the folder of an unfinished LMDB; ``UserError`` if it is there and holds another's frames than ``record`` says."""
    path = partial / _RECORD
    if (partial / "data.mdb").exists() and (not path.exists() or path.read_text(encoding="utf-8") != json.dumps(record)):
        raise UserError(
            f"{partial}: holds an unfinished LMDB of other frames, another list or another compression; delete "
            "this folder to begin again."
        )
    partial.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(record))


def verify(path: PathLike) -> None:
    """Check that every frame that an LMDB lists is stored, a whole PNG of the listed size; ``UserError`` names the first
    that is not.
    """
    store = LmdbStore(path)
    environment = store.environment()
    with environment.begin(buffers=True) as transaction:
        for (clip, frame), shape in store.shapes.items():
            value = transaction.get(f"{clip}/{frame}".encode())
            if value is None or _png_size(value) != shape[:2]:
                raise UserError(
                    f"{path}, key {clip}/{frame}: not a whole PNG of {shape[1]} x {shape[0]} pixels; "
                    f"remove the LMDB and make it again."
                )


def _frames_to_store(store: FolderStore, clips: Sequence[ListedClip] | None) -> list[Key]:
    """The frames of ``clips``, of all clips if that is ``None``, checked against what the list says of them."""
    keys = []
    missing = [clip.name for clip in clips or () if clip.name not in store.clips]
    if missing:
        raise UserError(
            f"{store.root}: {len(missing)} listed clips are not in it, the first is {missing[0]}; correct "
            f"the list or the folder."
        )
    for clip in clips or [ListedClip(name) for name in store.clips]:
        frames = store.clips[clip.name]
        numbers = frame_numbers(frames)
        if None in numbers:
            unnumbered = frames[numbers.index(None)]
            raise UserError(
                f"{store.root}, clip {clip.name}: the name of frame {unnumbered} does not end in a number; "
                "expected names such as 00000000 or im1."
            )
        if clip.frames is not None and len(frames) != clip.frames:
            raise UserError(f"{store.root}: clip {clip.name} has {len(frames)} frames, its list says {clip.frames}.")
        if clip.first is not None and numbers[0] != clip.first:
            raise UserError(f"{store.root}: clip {clip.name} starts at {frames[0]}, its list says {clip.first}.")
        for place, (number, following) in enumerate(zip(numbers, numbers[1:])):
            if following > number + 1:
                raise UserError(f"{store.root}: clip {clip.name} has no frame {number + 1}; complete it or leave it out.")
            if following <= number:
                raise UserError(
                    f"{store.root}, clip {clip.name}: the numbers of frames {frames[place]} and "
                    f"{frames[place + 1]} do not rise; number them anew, or leave the clip out."
                )
        keys.extend((clip.name, frame) for frame in frames)
    for key in keys:
        _check_key(*key)
    return keys


def _check_key(clip: str, frame: str) -> None:
    check_name(clip)
    check_name(frame)
    if len(f"{clip}/{frame}".encode()) > _LONGEST_KEY:
        raise UserError(
            f"clip {clip[:40]}...: its name and a frame's take more than the {_LONGEST_KEY} bytes of an LMDB's "
            "key; give it a shorter name."
        )


def _fill(environment: lmdb.Environment, store: FolderStore, keys: Sequence[Key], *, workers: int, compression: int) -> Shapes:
    """Store the frames that are not stored yet; return the shapes of all."""
    shapes = {}
    with environment.begin(buffers=True) as transaction:
        for key in keys:
            value = transaction.get("/".join(key).encode())
            size = None if value is None else _png_size(value)
            if size:
                shapes[key] = (*size, 3)
    missing = [key for key in keys if key not in shapes]
    bar = tqdm(total=len(keys), initial=len(shapes), unit="frame", file=sys.stderr, dynamic_ncols=True)
    # OpenCV lets go of Python's lock, so that threads are as quick as processes; and no thread outlives a killed process, or is
    # killed and waited for in vain
    with bar, ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(missing), _CHUNK):
            chunk = missing[start : start + _CHUNK]
            paths = [str(store.path(*key)) for key in chunk]
            encoded = pool.map(_encode, paths, [compression] * len(paths))
            values = {}
            for key, (value, shape) in zip(chunk, encoded):
                values["/".join(key).encode()], shapes[key] = value, shape
                bar.update()
            _put(environment, values)
    return shapes


def _put(environment: lmdb.Environment, values: Mapping[bytes, bytes]) -> None:
    """Store ``values`` in one transaction; an LMDB that is full is enlarged."""
    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in values.items():
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])


def _encode(path: str, compression: int) -> tuple[bytes, tuple[int, int, int]]:
    """The image at ``path`` as (bytes of a PNG file, shape)."""
    image = decoded(stored_bytes(path), path)
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, compression])[1].tobytes(), image.shape


def _png_size(value: memoryview) -> tuple[int, int] | None:
    """(height, width) of a whole PNG file, ``None`` of anything else."""
    if bytes(value[:8]) != _PNG_START or bytes(value[-8:]) != _PNG_END:
        return None
    return int.from_bytes(value[20:24], "big"), int.from_bytes(value[16:20], "big")


def _listed(store: FolderStore, keys: Sequence[Key], shapes: Shapes, clips: Sequence[ListedClip] | None) -> list[ListedClip]:
    """The clips as stored; ``UserError`` for a clip of two sizes, or of another than its list says."""
    listed = []
    shapes_by_list = {clip.name: clip.shape for clip in clips or ()}
    for name in dict.fromkeys(clip for clip, _ in keys):
        frames = store.clips[name]
        expected = shapes_by_list.get(name) or shapes[name, frames[0]]
        for frame in frames:
            if shapes[name, frame] != expected:
                raise UserError(
                    f"{store.path(name, frame)}: it has shape {shapes[name, frame]}, expected {expected}; all "
                    "frames of a clip have one shape, the listed one."
                )
        listed.append(ListedClip(name, len(frames), expected, frame_numbers(frames)[0]))
    return listed
