"""Prepare MindSpore for a run: device, execution mode, precision, threads, and no traces in the user's working directory."""
import atexit
import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Optional

import mindspore as ms

from mindrestore.runtime import cluster, device, execution, precision as number_type, process

SLOWER = "mindrestore: float16 on a CPU is slower than float32: numbers are rounded to it and computed in float32."


def start(choice: str = "auto", mode: str = "graph", threads: Optional[int] = None, precision: str = "float32") -> str:
    """Select device and execution mode, meet the other processes if there are any, and return the name of the device.

    Args:
        choice: ``auto``, ``cpu``, ``gpu`` or ``ascend``.
        mode: ``graph`` or ``pynative``.
        threads: cores of the CPU to compute on; ``None`` leaves MindSpore's choice, all of them.
        precision: ``float32``, or ``float16`` for products and convolutions (``mindrestore.ops.half_precision``).

    Raises:
        UserError: a device that is not there.
    """
    selected = device.select(choice, cluster.device_number())
    execution.use(mode)
    number_type.use(precision)
    cluster.join()
    if selected == "cpu" and precision == "float16" and cluster.is_main():
        print(SLOWER, file=sys.stderr)
    if selected == "cpu":
        process.keep_freed_memory()
        process.flush_subnormals()
        ms.runtime.launch_blocking()  # a thread that waits for queued operators keeps a core busy: 12 % of a VRT's time
    if threads:
        process.limit_cores(threads)
    _keep_dumps_away()
    if selected == "gpu":
        _leave_no_empty_folder()
    return selected


def _keep_dumps_away():
    """Send what MindSpore dumps when a graph fails to compile to the temporary folder, not to ``./rank_0``."""
    folder = os.path.join(tempfile.gettempdir(), f"mindrestore-{os.getuid()}")
    os.environ.setdefault("MS_OM_PATH", folder)


def _leave_no_empty_folder():
    """Delete at the end what MindSpore makes on a GPU, for swapping that is not used: an empty ``./offload``."""
    folder = Path("offload").absolute()
    if not folder.exists():
        atexit.register(_delete_if_empty, folder)


def _delete_if_empty(folder):
    with contextlib.suppress(OSError):
        folder.rmdir()
