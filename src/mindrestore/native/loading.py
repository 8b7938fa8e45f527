"""The library of native operators, as far as there is one and it is wanted."""
import ctypes
import os
import sys
from typing import Optional, Tuple

from mindrestore.native import build
from mindrestore.runtime import cluster, device, execution, precision

VARIABLE = "MINDRESTORE_NATIVE"  # 0: MindSpore's own operators alone
_wanted = True
_loaded = None  # (library, None) or (None, why there is none)


def use(wanted: bool) -> None:
    """Use native operators from now on where they are available, or never."""
    global _wanted
    _wanted = wanted


def available() -> bool:
    """Return whether pieces are to be computed natively: on a CPU, in float32, compiled, and not switched off.

    Compiles them at first, which takes some seconds; that there is none is said once.
    """
    if not wanted() or device.name() != "cpu" or precision.chosen() != "float32" or execution.mode() != "graph":
        return False
    return library() is not None


def wanted() -> bool:
    """Return whether nobody has switched them off."""
    return _wanted and os.environ.get(VARIABLE, "1") != "0"


def library() -> Optional[ctypes.CDLL]:
    """Return the library, None where it cannot be had."""
    return _library()[0]


def described() -> Tuple[bool, str]:
    """Return (whether native operators are used on a CPU, a clause that says more)."""
    if not wanted():
        return False, f"switched off ({VARIABLE}=0 or runtime.native)"
    found, why_not = _library()
    return (True, f"compiled for this processor, in {build.cache()}") if found else (False, why_not)


def _library():
    global _loaded
    if _loaded is None:
        try:
            _loaded = _load(build.built()), None
        except build.Unavailable as error:
            _loaded = None, str(error)
            if cluster.is_main():
                print(f"mindrestore: without native operators, as {error}: networks take longer on this CPU.", file=sys.stderr)
    return _loaded


def _load(path):
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:  # such as in a folder where nothing may be executed
        raise build.Unavailable(f"what was compiled cannot be loaded ({error})") from error
