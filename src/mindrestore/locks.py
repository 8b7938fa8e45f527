"""Places that one process at a time may write to.

A lock is a file that its process holds open and locked. The system unlocks it when the process ends, however it does, so that a
killed one stands in nobody's way; the file, which says who made it, then stays until the next process removes it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not a POSIX system: nothing is locked
    fcntl = None

from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike, cannot_be_written, check_name

_LONGEST = 200  # bytes read of what a lock says of its holder
_handles: set[int] = set()


@contextlib.contextmanager
def held(place: PathLike, lock: PathLike) -> Iterator[None]:
    """Hold ``place`` for this process while the context lasts.

    Args:
        place: of the result, to name in an error.
        lock: path of the file that is the lock, in or beside ``place``. It is removed at the end, and so are folders that were
            made for it and are empty then.

    Raises:
        UserError: another process holds it, or the lock cannot be written. Where the file system has no locks, nothing is held.
    """
    lock = Path(lock)
    try:
        check_name(lock)
        made = [folder for folder in lock.parents if not folder.exists()]
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = _taken(place, lock)
    except OSError as error:
        raise cannot_be_written(place, error) from error
    _handles.add(handle)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        _handles.discard(handle)
        os.close(handle)
        with contextlib.suppress(OSError):  # the first that is not empty
            for folder in made:
                folder.rmdir()


def _taken(place: PathLike, lock: Path) -> int:
    """Return the handle of the lock file, opened and locked."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(handle, place)
            if _is_at(handle, lock):  # otherwise its holder removed it between the two calls, and ended
                os.truncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _take(handle: int, place: PathLike) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = printable(os.read(handle, _LONGEST).decode(errors="replace")) or "another process"
        raise UserError(f"{place}: {holder} is writing there; wait until it has ended, or choose another place.") from None
    except OSError:  # a file system without locks
        pass


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _let_go() -> None:
    """Close the locks in a process that was forked: they are its parent's, and shall not outlive that."""
    for handle in _handles:
        os.close(handle)
    _handles.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
