"""Samples made in processes of their own, for samples whose making keeps Python's lock: threads would only wait for it."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
from typing import Any

import numpy as np

from mindrestore.errors import UserError

# ``multiprocessing`` would run the user's script again in each process, and leave processes behind where this one is killed:
# these know nothing of the script, and end with their standard input.
_START = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from mindrestore.runtime import sample_processes; sample_processes.serve()"
)
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class SampleProcesses:
    """Samples by number, as ``samples`` has them, made in ``count`` processes; several threads may ask at a time.

    Args:
        samples: see ``mindrestore.runtime.dataset.Samples``; each process gets a copy, by pickle.
        count: processes, which are there until ``close``, or until this process ends in whatever way.
    """

    def __init__(self, samples: Any, count: int) -> None:
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **_ONE_THREAD},
                start_new_session=True,  # Ctrl-C is for this process, which saves first
            )
            for _ in range(count)
        ]
        self._idle: queue.SimpleQueue = queue.SimpleQueue()
        for process in self._processes:
            with contextlib.suppress(BrokenPipeError):  # it has ended: said where a sample is asked of it
                _send(process, sys.path)
                _send(process, samples)
            self._idle.put(process)

    def __getitem__(self, number: int) -> tuple[np.ndarray | None, ...]:
        """Return sample ``number``, or raise what making it raised; ``UserError`` where its process has ended."""
        process = self._idle.get()
        try:
            _send(process, number)
            sample, error = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise UserError(
                f"sample {number}: the process that was to make it ended with status {process.wait()}; where it said nothing, "
                "memory may be short: set training.workers to fewer, of which each takes some 150 MB."
            ) from None
        finally:
            self._idle.put(process)
        if error is not None:
            raise error
        return sample

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def serve() -> None:
    """Be such a process: read ``samples`` and then numbers, and answer each, until standard input ends."""
    import cv2

    cv2.setNumThreads(1)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between
    samples = _received()
    while True:
        try:
            number = _received()
        except EOFError:
            return
        try:
            answer: tuple = (tuple(samples[number]), None)
        except Exception as error:
            answer = (None, error)
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


def _send(process: subprocess.Popen, message: Any) -> None:
    pickle.dump(message, process.stdin, pickle.HIGHEST_PROTOCOL)
    process.stdin.flush()


def _received() -> Any:
    return pickle.load(sys.stdin.buffer)
