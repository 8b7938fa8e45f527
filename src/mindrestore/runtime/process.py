"""What this process asks of the system for computing on a CPU: freed memory kept, subnormal numbers flushed to zero.

MindSpore's CPU kernels allocate their large buffers anew at every step. By default glibc maps and unmaps each of them, and the
page faults cost a third of a training step (measured: 2.8 s against 1.2 s for the small RevSCI).

MindSpore's own threads differ in whether they flush subnormal numbers (below 1e-38) to zero, and which thread computes what
changes from run to run. So would results, in the last bits of gradients that have become that small. A thread inherits the mode
of the one that starts it.
"""

from __future__ import annotations

import ctypes
import os
import platform

import numpy as np

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt(3)
_VARIABLES = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
_ENVIRONMENT = 64  # bytes, more than a ``fenv_t`` has
_WORDS = {"x86_64": (7, 0x8040), "aarch64": (0, 1 << 24)}
"""By machine: which word of glibc's ``fenv_t`` holds the mode, and its bits that flush results and operands to zero."""


def keep_freed_memory() -> None:
    """Tune glibc's allocator for this process; do nothing elsewhere, or where the user has tuned it."""
    if any(variable in os.environ for variable in _VARIABLES):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 64 * 2**20)


def flush_subnormals() -> bool:
    """Make this thread, and those that it starts from now on, flush subnormal numbers to zero; return whether it does."""
    np.finfo(np.float32), np.finfo(np.float64)  # asked for the first time afterwards they would warn
    word, bits = _WORDS.get(platform.machine(), (None, None))
    if word is not None:
        try:
            library = ctypes.CDLL("libm.so.6")
            environment = (ctypes.c_uint32 * (_ENVIRONMENT // 4))()
            library.fegetenv(environment)
            environment[word] |= bits
            library.fesetenv(environment)
        except (OSError, AttributeError):  # another C library
            pass
    return flushes_subnormals()


def flushes_subnormals() -> bool:
    """Return whether this thread flushes subnormal numbers to zero."""
    return bool((np.full(1, 1e-38, np.float32) * np.full(1, 0.1, np.float32))[0] == 0)
