"""A file from the network: with progress, resumed where it stopped, and whole before anybody sees it.

Proxies are those of the environment (``https_proxy``, ``no_proxy``), as everywhere in Python's ``urllib``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import http.client
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from tqdm import tqdm

from mindrestore.errors import UserError, printable
from mindrestore.version import __version__

CHUNK = 1 << 20  # bytes
SILENCE = 30  # seconds without a byte, after which a server is given up
_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # of writing, not of the connection
_VERSIONS = ("ETag", "Last-Modified")  # answers by which the same file is known again, the better one first


class Failed(Exception):
    """A download failed; the message says why, without the address."""


def download(address: str, part: Path, megabytes: float) -> None:
    """Fetch ``address`` into ``part``; what is there already of the same file is not fetched again.

    Args:
        address: of the file.
        part: where it grows. Beside it lies, while it grows, ``.version``: what the server calls this state of the file.
        megabytes: its size to within a tenth; another one is refused.

    Raises:
        Failed: no connection, another answer than the file, a file of another size, or one cut short. What has come stays in
            ``part`` where it can be gone on with, and is removed otherwise.
    """
    try:
        with _answer(address, part) as (answer, begin, total):
            _check_size(total, megabytes, part)
            _receive(answer, part, begin, total)
            _check_whole(part, total, megabytes)
    except urllib.error.HTTPError as error:
        raise Failed(f"it answers {error.code} {printable(error.reason)}{_by_proxy(address)}") from error
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise Failed(f"it cannot be reached{_by_proxy(address)} ({printable(reason)})") from error
    except (OSError, http.client.HTTPException) as error:  # once connected: a reset, silence, an answer that is no HTTP
        if getattr(error, "filename", None) or getattr(error, "errno", None) in _OURS:
            raise UserError(
                f"{part}: cannot be written ({error.strerror}); make room, or set MINDRESTORE_CACHE to a folder "
                "you may write to."
            ) from error
        raise Failed(f"the connection broke{_so_far(part, megabytes)} ({printable(error) or type(error).__name__})") from error
    _version_of(part).unlink(missing_ok=True)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time have ``path``: others, such as the ranks of one training, wait."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path.with_name(f".{path.name}.lock"), "w")  # noqa: SIM115, closed below
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); set MINDRESTORE_CACHE to a folder you may write to."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _answer(address: str, part: Path) -> Iterator[tuple[http.client.HTTPResponse, int, int | None]]:
    """Yield (answer, where in the file it begins, size of the whole file, None if not said)."""
    have, version = part.stat().st_size if part.exists() else 0, _read(_version_of(part))
    if have and version:
        rest = _rest(address, have, version)
        if rest:
            with rest:
                yield rest, have, int(_span(rest)[1])
            return
    with _asked(address, {}) as answer:
        length = answer.headers.get("Content-Length")
        if answer.status != 200:
            raise Failed(f"it answers {answer.status} {printable(answer.reason)}, without the file")
        part.parent.mkdir(parents=True, exist_ok=True)
        _version_of(part).write_text(_version_in(answer), encoding="utf-8")
        yield answer, 0, int(length) if length and length.isdecimal() else None


def _rest(address: str, have: int, version: str) -> http.client.HTTPResponse | None:
    """Return the answer that goes on after ``have`` bytes, None where there is none of the same state of the file."""
    try:
        answer = _asked(address, {"Range": f"bytes={have}-", "If-Range": version})
    except urllib.error.HTTPError as error:
        if error.code == 416:  # what is here is longer than what is there
            return None
        raise
    span = _span(answer)
    if answer.status == 206 and span and int(span[0]) == have and _version_in(answer) in ("", version):
        return answer
    answer.close()
    return None


def _span(answer: http.client.HTTPResponse) -> tuple[str, str] | None:
    """Return (first byte, size of the whole file) of an answer that is a part of it."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    return match and match.groups()


def _version_in(answer: http.client.HTTPResponse) -> str:
    """Return what the server calls this state of the file, empty if it says nothing that can be relied on."""
    versions = (answer.headers.get(name) for name in _VERSIONS)
    return next((version for version in versions if version and not version.startswith("W/")), "")


def _asked(address: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Ask by the proxies of the environment as it is now: ``urlopen`` keeps those of its first call."""
    request = urllib.request.Request(address, headers={"User-Agent": f"mindrestore/{__version__}", **headers})
    return urllib.request.build_opener().open(request, timeout=SILENCE)


def _check_size(total: int | None, megabytes: float, part: Path) -> None:
    """Raise ``Failed`` for a size that is not that of the file: a page that asks for something, another file."""
    if total is not None and abs(total / 1e6 - megabytes) > 0.1 * megabytes:
        _forget(part)
        raise Failed(f"it has {total:,} bytes for us where about {megabytes:g} MB were expected, which is another file")


def _receive(answer: http.client.HTTPResponse, part: Path, begin: int, total: int | None) -> None:
    with open(part, "ab" if begin else "wb") as file, _bar(part, begin, total) as bar:
        for chunk in _chunks(answer):
            file.write(chunk)
            bar.update(len(chunk))


def _check_whole(part: Path, total: int | None, megabytes: float) -> None:
    """Raise ``Failed`` where less has come than there is, or, where the server did not say how much there is, another file."""
    size = part.stat().st_size
    if total is None:
        _check_size(size, megabytes, part)
    elif size < total:
        raise Failed(f"the connection ended{_so_far(part, megabytes)}")


def _chunks(answer: BinaryIO) -> Iterator[bytes]:
    while chunk := answer.read(CHUNK):
        yield chunk


def _bar(part: Path, begin: int, total: int | None) -> tqdm:
    return tqdm(
        total=total, initial=begin, desc=part.stem, unit="B", unit_scale=True, file=sys.stderr, dynamic_ncols=True, leave=False
    )


def _so_far(part: Path, megabytes: float) -> str:
    have = part.stat().st_size / 1e6 if part.exists() else 0
    resumable = ", and the same command goes on from there" if _read(_version_of(part)) else ""
    return f" after {have:.1f} of about {megabytes:g} MB{resumable}" if have else ""


def _by_proxy(address: str) -> str:
    """Say by way of which proxy ``address`` is asked for, without the password that may be in the proxy's address."""
    parts = urlsplit(address)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return f" by way of the proxy {proxy.rpartition('@')[2]} ({parts.scheme}_proxy)"


def _forget(part: Path) -> None:
    for path in (part, _version_of(part)):
        path.unlink(missing_ok=True)


def _version_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _read(path: Path) -> str:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="utf-8")
    return ""


def cache() -> Path:
    """Return the folder of what was downloaded: ``MINDRESTORE_CACHE``, or ``mindrestore/weights`` in the user's cache."""
    chosen = os.environ.get("MINDRESTORE_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mindrestore/weights"
