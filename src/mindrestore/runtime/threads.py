"""How many of the processor's cores this process computes on."""
import contextlib
import os

import mindspore as ms

_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def limit(count):
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
