"""Keep freed memory for the next tensor instead of returning it to the system.

MindSpore's CPU kernels allocate their large buffers anew at every step. By default glibc maps and unmaps each of them, and the
page faults cost a third of a training step (measured: 2.8 s against 1.2 s for the small RevSCI).
"""
import ctypes
import os

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt(3)
_VARIABLES = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory():
    """Tune glibc's allocator for this process; do nothing elsewhere, or where the user has tuned it."""
    if any(variable in os.environ for variable in _VARIABLES):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2 ** 31 - 1)
    mallopt(_TOP_PAD, 64 * 2 ** 20)
