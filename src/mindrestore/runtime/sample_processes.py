"""Samples made in processes of their own, for samples whose making keeps Python's lock: threads would only wait for it."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import traceback
from typing import Any

import cv2
import numpy as np

from mindrestore.errors import UserError

# ``multiprocessing`` would run the user's script again in each process, and leave processes behind where this one is killed:
# these know nothing of the script, and end with their standard input. What is printed there must not come between answers.
_START = (
    "import os, sys; answers = os.fdopen(os.dup(1), 'wb'); os.dup2(2, 1); sys.path.pop(0); import pickle; "
    "sys.path[:] = pickle.load(sys.stdin.buffer); from mindrestore.runtime import sample_processes; "
    "sample_processes.serve(answers)"
)
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class SampleProcesses:
    """Samples by number, as ``samples`` has them, made in ``count`` processes; several threads may ask at a time.

    Args:
        samples: see ``mindrestore.runtime.dataset.Samples``; each process gets a copy, by pickle.
        count: processes, which are there until ``close``, or until this process ends in whatever way.
    """

    def __init__(self, samples: Any, count: int) -> None:
        beginning = pickle.dumps(sys.path) + pickle.dumps(samples, pickle.HIGHEST_PROTOCOL)
        self._processes: list[subprocess.Popen] = []
        self._idle: queue.SimpleQueue = queue.SimpleQueue()
        for _ in range(count):
            process = subprocess.Popen(
                [sys.executable, "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **_ONE_THREAD},
                start_new_session=True,  # Ctrl-C is for this process, which saves first
            )
            self._processes.append(process)
            with contextlib.suppress(OSError):  # it has ended: said where a sample is asked of it
                _send(process, beginning)
            self._idle.put(process)

    def __getitem__(self, number: int) -> tuple[np.ndarray | None, ...]:
        """Return sample ``number``, or raise what making it raised; ``UserError`` where its process has ended."""
        process = self._idle.get()
        try:
            _send(process, pickle.dumps(number))
            sample, error, told = pickle.load(process.stdout)
        except Exception:
            raise UserError(
                f"sample {number}: the process that was to make it ended with status {_ended(process)}; where it said nothing, "
                "memory may be short: set training.workers to fewer, of which each takes some 150 MB."
            ) from None
        finally:
            self._idle.put(process)
        if error is not None:
            raise error from (None if isinstance(error, UserError) else RuntimeError(told))
        return sample

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()


def serve(answers: Any) -> None:
    """Be such a process: read ``samples`` and then numbers, and answer each, until standard input ends."""
    cv2.setNumThreads(1)
    with contextlib.suppress(EOFError, BrokenPipeError):  # the other process has ended
        samples = _received()
        while True:
            answers.write(_answer(samples, _received()))
            answers.flush()


def _answer(samples: Any, number: int) -> bytes:
    """Return (sample, None, None), or (None, what making it raised, its traceback), as bytes."""
    try:
        return pickle.dumps((tuple(samples[number]), None, None), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        told = traceback.format_exc()
        with contextlib.suppress(Exception):
            answer = pickle.dumps((None, error, told))
            pickle.loads(answer)  # some exceptions can be written, and not read
            return answer
        return pickle.dumps((None, RuntimeError(told), told))


def _ended(process: subprocess.Popen) -> int:
    """Return the status of a process that has gone, or end it: what it still answers would be taken for another sample."""
    try:
        return process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _send(process: subprocess.Popen, message: bytes) -> None:
    left = memoryview(message)
    while left:  # past the pipe's buffer, which would keep what an ended process did not take, and write it when closed
        left = left[os.write(process.stdin.fileno(), left) :]


def _received() -> Any:
    return pickle.load(sys.stdin.buffer)
