"""Prepare MindSpore for a run: device, execution mode, precision, threads, and no traces in the user's working directory."""

from __future__ import annotations

import sys

from mindrestore.runtime import cluster, device, execution, precision as number_type, process, release

SLOWER = "mindrestore: float16 on a CPU is slower than float32: numbers are rounded to it and computed in float32."


def start(choice: str = "auto", mode: str = "graph", threads: int | None = None, precision: str = "float32") -> str:
    """Select device and execution mode, meet the other processes if there are any, and return the name of the device.

    Args:
        choice: ``auto``, ``cpu``, ``gpu`` or ``ascend``.
        mode: ``graph`` or ``pynative``.
        threads: cores of the CPU to compute on; ``None`` leaves MindSpore's choice, all of them.
        precision: ``float32``, or ``float16`` for products and convolutions (``mindrestore.ops.half_precision``).

    Raises:
        UserError: a device that is not there, or NumPy 2.
    """
    release.refuse_numpy_2()
    selected = device.select(choice, cluster.device_number())
    execution.use(mode)
    number_type.use(precision)
    cluster.join()
    if selected == "cpu" and precision == "float16" and cluster.is_main():
        print(SLOWER, file=sys.stderr)
    if selected == "cpu":
        process.keep_freed_memory()
        process.flush_subnormals()
        release.compute_operators_in_turn()
    if threads is not None:
        release.limit_cores(threads)
    release.keep_dumps_away()
    if selected == "gpu":
        release.leave_no_empty_folder()
    return selected
