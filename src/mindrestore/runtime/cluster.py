"""The processes that train together: how many, which one this is, and sums over all of them.

``msrun``, by itself or through ``scripts/run_distribute_train_*.sh``, starts them and says so in their environment;
MindSpore's own engine carries what they exchange: HCCL on Ascend, NCCL on GPUs, MCCL between processes on a CPU. Of
collectives only AllReduce of float32 is used, the one that every device has.
"""

from __future__ import annotations

import atexit
import contextlib
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import psutil
from mindspore import Tensor, ops
from mindspore.communication import get_group_size, get_rank, init, release

from mindrestore.errors import UserError
from mindrestore.runtime import device, starts

if TYPE_CHECKING:
    from mindspore.mint.distributed import TCPStore

BUCKET = 2**22  # values exchanged at once: a thousand small tensors one by one would cost a thousand delays

PATIENCE = timedelta(hours=1)
GRACE = 3  # seconds that ranks whose scheduler has failed may take to end

_rank, _size = 0, 1
_store, _meetings = None, 0


def launched() -> bool:
    """Return whether MindSpore's launcher started this process as one of several."""
    return starts.by_msrun()


def refuse_other_starts(config: str | None = None) -> None:
    """Raise ``UserError`` where another program started this process as one of several: each would do all the work.

    Args:
        config: path of the configuration to train, for a message that says how to start it; None where nothing is trained.
    """
    several = None if launched() else starts.among_several()
    if several:
        program, number, count = several
        way = (
            "start one process"
            if config is None
            else f"start all of them by one command, bash scripts/run_distribute_train_cpu.sh {config} --devices {count} "
            "(_gpu, _ascend) or msrun, as docs/train.md says"
        )
        raise UserError(
            f"{program} started this process as rank {number} of {count}, but each would do the whole by itself, "
            f"and all write into the same place; {way}."
        )


def device_number() -> int:
    """Return the number of the device, among those of its kind, that ``DEVICE_ID`` gives this process; without it 0."""
    text = os.environ.get("DEVICE_ID", "0")
    if not text.isdecimal():
        raise UserError(f"DEVICE_ID={text}: expected the number of a device, counted from 0; set it so, or unset it.")
    return int(text)


def join() -> None:
    """Meet the other processes, if there are any; the device must be selected before."""
    global _rank, _size, _store
    if launched() and _size == 1:
        try:
            init()
        except RuntimeError:
            if starts.as_scheduler():
                _end_the_ranks()
            raise
        _rank, _size = get_rank(), get_group_size()
        if device.name() == "cpu":
            _store = _shared_store()


def _end_the_ranks() -> None:
    """End the ranks of this server, which wait for this scheduler, after it has failed.

    msrun watches ranks only: once these have ended it shows the scheduler's log. By themselves they would wait ten minutes.
    """
    own, ranks = psutil.Process(), []
    for process in own.parent().children():
        with contextlib.suppress(psutil.Error):
            if process != own and process.environ().get("MS_ROLE") == "MS_WORKER":
                process.terminate()
                ranks.append(process)
    for process in psutil.wait_procs(ranks, GRACE)[1]:  # a rank that waits inside MindSpore does not react to SIGTERM
        with contextlib.suppress(psutil.Error):
            process.kill()


def _shared_store() -> TCPStore:
    """Return the ``TCPStore`` in which processes on a CPU count who has reached a point; rank 0 serves it.

    It listens on a port that the system finds free and that rank 0 holds until then, so that nobody takes it in between; then
    the others are told. A fixed port may be one of those that MindSpore gives the ranks themselves, from 8118 on.
    """
    from mindspore.mint.distributed import TCPStore

    host = _own_address()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((host, 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # so that the store can listen on the port bound here
        port = listener.getsockname()[1]
        store = TCPStore(host, port, _size, is_master=True, timeout=PATIENCE, wait_for_workers=False) if _rank == 0 else None
    host, port = gathered([int(ipaddress.IPv4Address(host)), port])[0]
    return store or TCPStore(
        str(ipaddress.IPv4Address(int(host))), int(port), _size, is_master=False, timeout=PATIENCE, wait_for_workers=False
    )


def _own_address() -> str:
    """Return this server's address as the others reach it: the one from which it reaches the scheduler; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((socket.gethostbyname(os.environ["MS_SCHED_HOST"]), int(os.environ["MS_SCHED_PORT"])))
        return probe.getsockname()[0]


def leave(status: int = 0) -> None:
    """End this process, one of several, with ``status``; do nothing in a process alone.

    Functions registered with ``atexit`` run: among them MindSpore takes leave of its scheduler, which otherwise waits half a
    minute and calls the run a failure. The rest of Python's and MindSpore's shutdown is skipped: in it MindSpore 2.10 was seen
    to crash when another process had ended before.
    """
    if _size > 1:
        if _store is not None:
            _store.add("left", 1)
            if _rank == 0:
                _wait_for("left", _size)  # it serves the store, and another rank may still be reading from it
        release()
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
        os._exit(status)


def rank() -> int:
    """Return the number of this process, from 0."""
    return _rank


def size() -> int:
    """Return how many processes train together, 1 without a launcher."""
    return _size


def is_main() -> bool:
    """Return whether this is the process that writes files and reports."""
    return _rank == 0


def mean(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the means over all processes of float32 tensors: a list of the same shapes, bit-equal everywhere."""
    return start_mean(tensors)()


def start_mean(tensors: Sequence[Tensor]) -> Callable[[], list[Tensor]]:
    """Begin ``mean`` and return a function that waits for the result and gives it.

    On Ascend the exchange runs beside computation; elsewhere it is finished before this returns.
    """
    if _size == 1:
        return lambda: list(tensors)
    waits = [_start_sum(ops.cat([tensor.reshape(-1) for tensor in bucket])) for bucket in buckets(tensors)]

    def finish() -> list[Tensor]:
        flat = ops.cat([wait() for wait in waits]) / _size
        parts = ops.split(flat, [tensor.size for tensor in tensors])
        return [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors)]

    return finish


def gathered(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the float64 ``values`` of all processes, bit for bit: (processes, values), each process giving equally many."""
    values = np.ascontiguousarray(values, np.float64)
    rows = np.zeros((_size, values.nbytes), np.float32)
    rows[_rank] = np.frombuffer(values.tobytes(), np.uint8)  # bytes are exact in float32, and so are sums with zeros
    if _size > 1:
        meet()
        rows = ops.AllReduce()(Tensor(rows)).numpy()
    return np.frombuffer(rows.astype(np.uint8).tobytes(), np.float64).reshape(_size, *values.shape)


def meet() -> None:
    """On a CPU, wait until all processes have come here.

    There MindSpore 2.10's AllReduce gives up after 30 s, and another process may compile for longer.
    """
    global _meetings
    if _store is None:
        return
    _meetings += 1
    _store.add("met", 1)
    _wait_for("met", _meetings * _size)


def _wait_for(counter: str, value: int) -> None:
    """Wait until the processes together have counted ``counter`` up to ``value``."""
    end = time.monotonic() + PATIENCE.total_seconds()
    while _store.add(counter, 0) < value:
        if time.monotonic() > end:
            raise UserError(f"rank {_rank}: waited {PATIENCE} for the other processes in vain; read their logs.")
        time.sleep(0.002)


def buckets(tensors: Iterable[Tensor]) -> list[list[Tensor]]:
    """Return ``tensors`` in groups, in order; each is closed once it holds ``BUCKET`` values or more."""
    groups, values = [[]], 0
    for tensor in tensors:
        if values >= BUCKET:
            groups.append([])
            values = 0
        groups[-1].append(tensor)
        values += tensor.size
    return groups


def _start_sum(tensor: Tensor) -> Callable[[], Tensor]:
    if device.name() == "ascend":  # MindSpore 2.10 has an asynchronous AllReduce there only
        from mindspore.ops.communication import all_reduce

        handle = all_reduce(tensor, async_op=True)  # the sum replaces the tensor's values

        def wait() -> Tensor:
            handle.wait()
            return tensor

        return wait
    meet()
    total = ops.AllReduce()(tensor)
    return lambda: total
