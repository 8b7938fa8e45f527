"""Files that are complete or absent: everything is written to a scratch file beside its place, has reached the disk, and is
then moved into its place.

The name of a scratch file says which process writes it, so that a later process can remove what a killed one left. A place that
is a link stays one: what it leads to is written. A device or a pipe is no place for a file that is moved there.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from mindrestore.errors import UserError

PathLike = str | os.PathLike[str]

FULL = {
    errno.ENOSPC: "its disk is full",
    errno.EDQUOT: "its disk quota is used up",
    errno.EFBIG: "it became larger than files may be",
}
"""By error number: why something was not written although it may be."""
LONGEST_NAME = 255  # bytes of a file's name, on every file system in use
_SHOWN = 40  # characters of a file's name that its scratch file is called by, which has more to say and must not be too long

_tidied: set[Path] = set()  # folders already searched for leftovers by this process, as it may write thousands of files to one


@contextlib.contextmanager
def replacing(path: PathLike, former: PathLike | None = None) -> Iterator[Path]:
    """Yield the path of a scratch file beside ``path``; on a clean exit move it into place, otherwise delete it.

    The scratch file keeps the suffix of ``path``, so writers that choose a format by suffix work unchanged.
    Missing parent folders are made. Whatever ``path`` held is then called ``former``, if that is given. Raises ``UserError`` if
    the folder cannot be written, ``path`` is a folder, or the disk is full; then ``path`` holds what it held.
    """
    path = Path(path)
    try:
        place = _place(path)
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(place.parent)
        handle, scratch = tempfile.mkstemp(prefix=_prefix(path.stem), suffix=path.suffix, dir=place.parent)
    except OSError as error:
        raise cannot_be_written(path, error) from error
    os.close(handle)
    try:
        with told_of_full_disks(path):
            yield Path(scratch)
            os.chmod(scratch, 0o666 & ~_umask())
            synced(scratch)
            if former is not None and place.exists():
                _keep(place, former, Path(scratch).with_suffix(".former"))
            os.replace(scratch, place)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scratch)
        raise


@contextlib.contextmanager
def replacing_folder(path: PathLike) -> Iterator[Path]:
    """As ``replacing``, for a folder: yield an empty one beside ``path`` that is moved into place; ``path`` is absent or an
    empty folder.
    """
    path = Path(path)
    try:
        place = _place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(place.parent)
        scratch = Path(tempfile.mkdtemp(prefix=_prefix(path.name), dir=place.parent))
    except OSError as error:
        raise cannot_be_written(path, error) from error
    try:
        with told_of_full_disks(path):
            yield scratch
            scratch.chmod(0o777 & ~_umask())
            if place.is_dir():
                place.rmdir()
            scratch.rename(place)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


@contextlib.contextmanager
def told_of_full_disks(path: PathLike) -> Iterator[None]:
    """While the context lasts, a full disk is a ``UserError`` that names ``path``, which is being written."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise cannot_be_written(path, error) from error


def cannot_be_written(path: PathLike, error: Exception) -> UserError:
    """Return what to raise where writing ``path`` failed with ``error``: one sentence that says so, and why."""
    number = getattr(error, "errno", None)
    if number in FULL:
        return UserError(f"{path}: cannot be written, {FULL[number]}; free some space, or name a place on another disk.")
    if number == errno.ENAMETOOLONG:
        return UserError(f"{path}: cannot be written, the name is too long; choose a shorter one.")
    if number == errno.ELOOP:
        return UserError(f"{path}: cannot be written, it is a link that leads back to itself; remove it.")
    if number == errno.EISDIR:
        return UserError(f"{path}: is a folder; give the name of a file.")
    reason = getattr(error, "strerror", None) or error
    return UserError(f"{path}: cannot be written ({reason}); choose a folder you may write to.")


def check_writable(path: PathLike, size: float = 0) -> None:
    """Raise ``UserError`` if ``path`` cannot be written, so that this is known before anything is computed; write nothing.

    size: bytes, at least, that it and what is needed to make it will take.
    """
    path = Path(path)
    try:
        folder = next(parent for parent in _place(path).absolute().parents if os.path.lexists(parent))
        handle, scratch = tempfile.mkstemp(prefix=_prefix(path.stem), dir=folder)
        os.close(handle)
        os.unlink(scratch)
    except OSError as error:
        raise cannot_be_written(path, error) from error
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{path}: takes about {size / 1e6:,.1f} MB, and {free / 1e6:,.1f} MB are free on its disk; free some "
            "space, or name a place on another disk."
        )


def _place(path: Path) -> Path:
    """Return where a file called ``path`` lies: itself, or what it is a link to, which may be absent.

    Raises ``OSError`` for links in a circle and for too long a name, ``UserError`` for what is neither file nor folder.
    """
    check_name(path)
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise UserError(f"{path}: is a pipe or a device, where a file would be put in its place; give the name of a file.")
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _keep(path: Path, former: PathLike, link: Path) -> None:
    """Have what ``path`` holds be called ``former`` too; ``link`` is what it is called in between.

    So there is a file at ``path`` all the time. Where the file system has no hard links it is absent until it is replaced.
    """
    try:
        os.link(path, link)
    except OSError:
        os.replace(path, former)
        return
    os.replace(link, former)
    link.unlink(missing_ok=True)  # it stays where ``former`` was the same file already


def check_name(path: Path) -> None:
    """Raise ``OSError``, as the system does, if a part of ``path`` is too long a name."""
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path))


def synced(path: PathLike) -> None:
    """Wait until a written file has reached its disk; ``OSError`` if it does not, as of a full disk noticed late."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: PathLike, content: bytes) -> None:
    """Write ``content`` to ``path``, complete or not at all."""
    with replacing(path) as scratch:
        scratch.write_bytes(content)


def write_text(path: PathLike, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, complete or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def existing(path: PathLike, kind: str) -> Path:
    """Return ``path`` as a ``Path``; raise ``UserError`` if it does not exist, or is a pipe or a device, which may have no end.

    kind: what the error calls it, such as ``"mask file"``.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such {kind}; give the path of an existing {kind}.")
    if not path.is_file() and not path.is_dir():
        raise UserError(f"{path}: is a pipe or a device; give the path of an existing {kind}.")
    return path


def digest_of(path: PathLike) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _prefix(name: str) -> str:
    """Return the prefix of this process's scratch files and folders for ``name``."""
    return f".{name[:_SHOWN]}-{_host()}-{os.getpid()}-"


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
