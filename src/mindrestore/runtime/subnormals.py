"""Numbers below 1e-38 taken for zero, by every thread alike.

MindSpore's own threads differ in whether they do, and which one computes what changes from run to run: so would results, in
their last bits where a gradient has become that small. A thread begins as the one that starts it.
"""
import ctypes
import platform

import numpy as np

_ENVIRONMENT = 64  # bytes, more than a ``fenv_t`` has
_WORDS = {"x86_64": (7, 0x8040), "aarch64": (0, 1 << 24)}
"""Of glibc's ``fenv_t`` by machine: which word holds the mode, and the bits that flush results and operands to zero."""


def flush():
    """Let this thread, and those that it starts from now on, flush such numbers to zero; return whether it does."""
    np.finfo(np.float32), np.finfo(np.float64)  # which would warn, asked for the first time afterwards
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
    return flushes()


def flushes():
    """Return whether this thread flushes them."""
    return bool((np.full(1, 1e-38, np.float32) * np.full(1, 0.1, np.float32))[0] == 0)
