"""Files that are complete or absent: everything is written to a scratch file beside its place, then moved into it.

The name of a scratch file says which process writes it, so that a later process can remove what a killed one left.
"""
from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from mindrestore.errors import UserError

PathLike = str | os.PathLike[str]

FULL = {errno.ENOSPC: "its disk is full", errno.EDQUOT: "its disk quota is used up",
        errno.EFBIG: "it became larger than files may be"}

_tidied: set[Path] = set()  # folders already searched for leftovers by this process, as it may write thousands of files to one


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Yield the path of a scratch file beside ``path``; on a clean exit move it into place, otherwise delete it.

    The scratch file keeps the suffix of ``path``, so writers that choose a format by suffix work unchanged.
    Missing parent folders are made. Raises ``UserError`` if the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        handle, scratch = tempfile.mkstemp(prefix=_prefix(path.stem), suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose a folder you may write to.") from error
    os.close(handle)
    try:
        yield Path(scratch)
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scratch)
        if isinstance(error, OSError) and error.errno in FULL:
            raise cannot_be_written(path, error) from error
        raise


@contextlib.contextmanager
def replacing_folder(path: PathLike) -> Iterator[Path]:
    """As ``replacing``, for a folder: yield an empty one beside ``path`` that is moved into place; ``path`` is absent or an
    empty folder.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path.parent)
        scratch = Path(tempfile.mkdtemp(prefix=_prefix(path.name), dir=path.parent))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose a folder you may write to.") from error
    try:
        yield scratch
        scratch.chmod(0o777 & ~_umask())
        if path.is_dir():
            path.rmdir()
        scratch.rename(path)
    except BaseException as error:
        shutil.rmtree(scratch, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in FULL:
            raise cannot_be_written(path, error) from error
        raise


def cannot_be_written(path: PathLike, error: Exception) -> UserError:
    """What to raise where writing ``path`` failed with ``error``: one sentence that says so, and why."""
    number = getattr(error, "errno", None)
    if number in FULL:
        return UserError(f"{path}: cannot be written, {FULL[number]}; free some space, or name a place on another disk.")
    return UserError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error}); choose another place or name.")


def write_bytes(path: PathLike, content: bytes) -> None:
    """Write ``content`` to ``path``, whole or not at all, and onto the disk before it takes its place."""
    with replacing(path) as scratch:
        scratch.write_bytes(content)
        synced(scratch)


def synced(path: PathLike) -> None:
    """Have a written file reach its disk; ``OSError`` if it does not, such as of a full one that noticed late."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: PathLike, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, complete or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def existing(path: PathLike, kind: str) -> Path:
    """Return ``path`` as a ``Path``; raise ``UserError`` if it does not exist.

    kind: what the error calls it, such as ``"mask file"``.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such {kind}; give the path of an existing {kind}.")
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _prefix(name: str) -> str:
    """Return the prefix of this process's scratch files and folders for ``name``."""
    return f".{name}-{_host()}-{os.getpid()}-"


def _host() -> str:
    """Return hexadecimal digits for the host and, on Linux, the process namespace, within which process ids are unique."""
    place = socket.gethostname()
    with contextlib.suppress(OSError):
        place += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def _remove_leftovers(folder: Path) -> None:
    """Remove scratch files in ``folder`` that dead processes of this host left."""
    folder = folder.resolve()
    if folder in _tidied:
        return
    _tidied.add(folder)
    scratch = re.compile(rf"\..+-{_host()}-(\d+)-\w{{8}}(\.\w+)?")  # what tempfile appends has eight characters
    with contextlib.suppress(OSError):  # the folder cannot be listed, or another process removes the same file
        for path in folder.iterdir():
            match = scratch.fullmatch(path.name)
            if match and not psutil.pid_exists(int(match[1])):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
