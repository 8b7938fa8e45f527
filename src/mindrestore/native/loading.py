"""The library of native operators, loaded when it is first used."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from mindrestore.native import build
from mindrestore.runtime import cluster, device, execution, precision

VARIABLE = "MINDRESTORE_NATIVE"  # 0: MindSpore's own operators alone
_wanted = True
_loaded = None  # (library, None), or (None, why there is none)


def use(wanted: bool) -> None:
    """Use native operators from now on where they are available, or never."""
    global _wanted
    _wanted = wanted


def available() -> bool:
    """Return whether pieces are computed natively: on a CPU, in float32, in graph mode, and not switched off.

    The first call compiles the operators, which takes seconds; if they cannot be, it says so on standard error.
    """
    if not wanted() or device.name() != "cpu" or precision.chosen() != "float32" or execution.mode() != "graph":
        return False
    return library() is not None


def wanted() -> bool:
    """Return whether native operators are not switched off."""
    return _wanted and os.environ.get(VARIABLE, "1") != "0"


def library() -> ctypes.CDLL | None:
    """Return the library, None if it cannot be compiled or loaded."""
    return _library()[0]


def described() -> tuple[bool, str]:
    """Return (whether native operators are used on a CPU, a clause that says more)."""
    if not wanted():
        return False, f"switched off ({VARIABLE}=0 or runtime.native)"
    compiled, reason = _library()
    return (True, f"compiled for this processor, in {build.cache()}") if compiled else (False, reason)


def _library() -> tuple[ctypes.CDLL | None, str | None]:
    """Return (library, None), or (None, why there is none)."""
    global _loaded
    if _loaded is None:
        try:
            _loaded = _load(build.built()), None
        except build.Unavailable as error:
            _loaded = None, str(error)
            if cluster.is_main():
                print(f"mindrestore: without native operators, as {error}: networks take longer on this CPU.", file=sys.stderr)
    return _loaded


def _load(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:  # for example the cache lies on a file system mounted noexec
        raise build.Unavailable(f"what was compiled cannot be loaded ({error})") from error
