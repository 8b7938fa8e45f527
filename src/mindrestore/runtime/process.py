"""What this process asks of the system for computing on a CPU: freed memory kept, subnormal numbers zero, so many cores.

MindSpore's CPU kernels allocate their large buffers anew at every step. By default glibc maps and unmaps each of them, and the
page faults cost a third of a training step (measured: 2.8 s against 1.2 s for the small RevSCI).

MindSpore's own threads differ in whether they take numbers below 1e-38 for zero, and which one computes what changes from run
to run: so would results, in their last bits where a gradient has become that small. A thread begins as the one that starts it.
"""
import contextlib
import ctypes
import os
import platform

import mindspore as ms
import numpy as np

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt(3)
_VARIABLES = ("MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
_ENVIRONMENT = 64  # bytes, more than a ``fenv_t`` has
_WORDS = {"x86_64": (7, 0x8040), "aarch64": (0, 1 << 24)}
"""Of glibc's ``fenv_t`` by machine: which word holds the mode, and the bits that flush results and operands to zero."""
_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


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


def flush_subnormals():
    """Let this thread, and those that it starts from now on, flush numbers below 1e-38 to zero; return whether it does."""
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
    return flushes_subnormals()


def flushes_subnormals():
    """Return whether this thread flushes them."""
    return bool((np.full(1, 1e-38, np.float32) * np.full(1, 0.1, np.float32))[0] == 0)


def limit_cores(count):
    """Keep every thread of this process, and those to come, on ``count`` cores.

    MindSpore 2.10 takes a number of threads for a hint: told 1, two compute. So on Linux the system sees to it. Which
    of the cores depends on the process, so that several processes of few threads do not crowd on the first ones.
    """
    if not _CORES:
        ms.device_context.cpu.op_tuning.threads_num(count)
        return
    cores = {_CORES[(os.getpid() + index) % len(_CORES)] for index in range(min(count, len(_CORES)))}
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # ended meanwhile
            os.sched_setaffinity(int(thread), cores)
