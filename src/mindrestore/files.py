"""Files that are whole or absent: everything is written beside its place and moved into it."""
import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from mindrestore.errors import UserError


@contextlib.contextmanager
def replacing(path):
    """Give the path of a scratch file beside ``path``; on a clean exit move it into place, otherwise delete it.

    The scratch file keeps the suffix of ``path``, so writers that choose a format by suffix work unchanged.
    Missing parent folders are made. Raises ``UserError`` if the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose a folder you may write to.") from error
    os.close(handle)
    try:
        yield Path(scratch)
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scratch)
        raise


@contextlib.contextmanager
def replacing_folder(path):
    """As ``replacing`` for a folder: give one beside ``path`` to fill, which takes its place; ``path`` is absent or empty."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose a folder you may write to.") from error
    try:
        yield scratch
        scratch.chmod(0o777 & ~_umask())
        if path.is_dir():
            path.rmdir()
        scratch.rename(path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def write_text(path, text):
    """Write ``text`` to ``path`` as UTF-8, whole or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def existing(path, what):
    """Return ``path`` as a ``Path``; raise ``UserError`` naming ``what`` if nothing is there."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such {what}; give the path of an existing {what}.")
    return path


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
