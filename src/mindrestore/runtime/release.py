"""What MindSpore 2.10 does to the whole process that one would not expect, each avoided by one function.

Nothing here imports MindSpore before it is called.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np

from mindrestore.errors import UserError

_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


@contextlib.contextmanager
def sigterm_as_keyboard_interrupt() -> Iterator[None]:
    """While the context lasts SIGTERM raises ``KeyboardInterrupt``.

    Once MindSpore has compiled a function, it turns SIGINT, and so Ctrl-C, into SIGTERM.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def compute_operators_in_turn() -> None:
    """Make a call of an operator return when it is computed, on a CPU.

    Otherwise operators are queued, and the thread that waits for them keeps a core busy: 12 % of a VRT's time.
    """
    import mindspore as ms

    ms.runtime.launch_blocking()


def refuse_numpy_2() -> None:
    """Raise ``UserError`` where another package brought NumPy 2: MindSpore is built against NumPy 1, and its operators fail or
    abort the process.
    """
    if int(np.__version__.split(".")[0]) >= 2:
        raise UserError(
            f"NumPy {np.__version__} is installed, and MindSpore 2.10 needs NumPy 1; run: pip install "
            '"numpy>=1.26,<2" "opencv-python-headless>=4.8,<4.12"'
        )


def check_cores(count: int | None) -> None:
    """Raise ``UserError`` if ``count``, as ``--threads`` gives it, is no number of cores."""
    if count is not None and count < 1:
        raise UserError(f"--threads {count}: it must be at least 1.")


def limit_cores(count: int) -> None:
    """Keep all threads of this process, those to come too, on ``count`` cores; ``UserError`` for less than one.

    MindSpore takes a number of threads for a hint: told 1, two compute. So on Linux the system sees to it. Which of the
    cores depends on the process, so that several processes of few threads do not crowd on the first ones.
    """
    check_cores(count)
    if not _CORES:
        import mindspore as ms

        ms.device_context.cpu.op_tuning.threads_num(count)
        return
    cores = {_CORES[(os.getpid() + index) % len(_CORES)] for index in range(min(count, len(_CORES)))}
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # ended meanwhile
            os.sched_setaffinity(int(thread), cores)


def keep_dumps_away() -> None:
    """Send what MindSpore dumps when a graph fails to compile to the temporary folder, not to ``./rank_0``."""
    folder = os.path.join(tempfile.gettempdir(), f"mindrestore-{os.getuid()}")
    os.environ.setdefault("MS_OM_PATH", folder)


def leave_no_empty_folder() -> None:
    """Delete at the end what MindSpore makes on a GPU, for swapping that is not used: an empty ``./offload``."""
    folder = Path("offload").absolute()
    if not folder.exists():
        atexit.register(_delete_if_empty, folder)


def _delete_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
