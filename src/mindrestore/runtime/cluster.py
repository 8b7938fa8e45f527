"""The processes that train together: how many, which one this is, and sums over all of them.

A launcher (``scripts/run_distribute_train_*.sh``) starts them and says so in their environment; MindSpore's own engine
carries what they exchange: HCCL on Ascend, NCCL on GPUs, MCCL between processes on a CPU. Of collectives only AllReduce
of float32 is used, the one that every device has.
"""
import os
import socket
import sys
import time
from datetime import timedelta

import numpy as np
from mindspore import Tensor, ops
from mindspore.communication import get_group_size, get_rank, init, release

from mindrestore.errors import UserError
from mindrestore.runtime import device

BUCKET = 2 ** 22  # values that travel together: a thousand small tensors one by one would cost a thousand delays

STORE = 1  # added to the scheduler's port: where processes on a CPU tell each other that they have come so far
PATIENCE = timedelta(hours=1)

_rank, _size = 0, 1
_store, _met = None, 0


def launched():
    """Return whether a launcher started this process as one of several."""
    return "MS_ROLE" in os.environ or bool(os.environ.get("RANK_TABLE_FILE")) and int(os.environ.get("RANK_SIZE", 1)) > 1


def device_number():
    """Return the number of the device, among those of its kind, that the launcher gave this process."""
    return int(os.environ.get("DEVICE_ID", 0))


def join():
    """Meet the other processes, if there are any; the device must be selected before."""
    global _rank, _size, _store
    if launched() and _size == 1:
        init()
        _rank, _size = get_rank(), get_group_size()
        if device.name() == "cpu":
            from mindspore.mint.distributed import TCPStore
            port = int(os.environ["MS_SCHED_PORT"]) + STORE
            host = socket.gethostbyname(os.environ["MS_SCHED_HOST"])
            _store = TCPStore(host, port, _size, _rank == 0, PATIENCE, False)


def leave(status=0):
    """End a process that is one of several, once it has nothing to tell the others; does nothing in a process alone.

    What Python and MindSpore do after the last line is left out: there MindSpore 2.10 was seen to crash when another process
    had ended before.
    """
    if _size > 1:
        if _store is not None:
            _store.add("left", 1)
            if _rank == 0:
                _wait_for("left", _size)  # it keeps the store, and another may still be receiving
        release()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def rank():
    """Return the number of this process, from 0."""
    return _rank


def size():
    """Return how many processes train together, 1 without a launcher."""
    return _size


def is_main():
    """Return whether this is the process that writes files and reports."""
    return _rank == 0


def mean(tensors):
    """Return the means over all processes of float32 tensors: a list of the same shapes, bit-equal everywhere."""
    return start_mean(tensors)()


def start_mean(tensors):
    """Begin ``mean`` and return a function that waits for it and gives the result.

    Meanwhile an Ascend goes on computing; elsewhere the sum is made in turn.
    """
    if _size == 1:
        return lambda: list(tensors)
    waits = [_start_sum(ops.cat([tensor.reshape(-1) for tensor in bucket])) for bucket in buckets(tensors)]

    def finish():
        flat = ops.cat([wait() for wait in waits]) / _size
        parts = ops.split(flat, [tensor.size for tensor in tensors])
        return [part.reshape(tensor.shape) for part, tensor in zip(parts, tensors)]
    return finish


def gathered(values):
    """Return the float64 ``values`` of all processes, one row a process and bit-exact; each gives equally many."""
    values = np.ascontiguousarray(values, np.float64)
    rows = np.zeros((_size, values.nbytes), np.float32)
    rows[_rank] = np.frombuffer(values.tobytes(), np.uint8)  # bytes are exact in float32, and so are sums with zeros
    if _size > 1:
        meet()
        rows = ops.AllReduce()(Tensor(rows)).asnumpy()
    return np.frombuffer(rows.astype(np.uint8).tobytes(), np.float64).reshape(_size, *values.shape)


def meet():
    """Wait on a CPU until all processes are here.

    There MindSpore 2.10's AllReduce gives up after 30 s, less than compiling takes.
    """
    global _met
    if _store is None:
        return
    _met += 1
    _store.add("met", 1)
    _wait_for("met", _met * _size)


def _wait_for(counter, value):
    """Wait until the processes together have counted so far."""
    end = time.monotonic() + PATIENCE.total_seconds()
    while _store.add(counter, 0) < value:
        if time.monotonic() > end:
            raise UserError(f"rank {_rank}: waited {PATIENCE} for the other processes in vain; read their logs.")
        time.sleep(0.002)


def buckets(tensors):
    """Return ``tensors`` in groups, in order, of ``BUCKET`` values or a tensor more."""
    groups, held = [[]], 0
    for tensor in tensors:
        if held >= BUCKET:
            groups.append([])
            held = 0
        groups[-1].append(tensor)
        held += tensor.size
    return groups


def _start_sum(tensor):
    if device.name() == "ascend":  # MindSpore 2.10 has an asynchronous AllReduce there only
        from mindspore.ops.communication import all_reduce
        handle = all_reduce(tensor, async_op=True)  # into the tensor itself

        def wait():
            handle.wait()
            return tensor
        return wait
    meet()
    total = ops.AllReduce()(tensor)
    return lambda: total
