"""Samples through MindSpore's dataset engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import mindspore.dataset as ds
import numpy as np

from mindrestore.errors import UserError
from mindrestore.runtime.sample_processes import SampleProcesses


class Samples(Protocol):
    """Samples by number.

    Attributes:
        columns: names of the arrays of a sample that are not None.
        holds_lock: whether making a sample keeps Python's lock much of the time, so that threads do not make more of them.
    """

    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def holds_lock(self) -> bool: ...

    def __getitem__(self, number: int) -> tuple[np.ndarray | None, ...]:
        """Return sample ``number``, 0 or more: a tuple of arrays, None for one that such samples lack."""


@contextlib.contextmanager
def batches(
    samples: Samples, first: int, count: int, batch_size: int, rank: int = 0, ranks: int = 1, workers: int = 1
) -> Iterator[ds.BatchDataset]:
    """Give a MindSpore dataset of ``count`` batches, of samples ``first``, ``first`` + 1, ... in order.

    Of several processes each takes its share of every batch, consecutive samples in the order of ranks.

    MindSpore's engine turns an error in a sample into a ``RuntimeError``; a ``UserError`` leaves the context as it is.

    Args:
        samples: see ``Samples``.
        batch_size: of all processes together; their number ``ranks`` divides it.
        workers: how many samples are made at a time; their number changes no sample. Several are made in threads, which hand
            over arrays without copying them, or in as many processes where samples hold Python's lock.
    """
    ds.config.set_prefetch_size(2)
    share = batch_size // ranks
    numbered = _Numbered(
        samples, count * share, lambda index: first + index // share * batch_size + rank * share + index % share, workers
    )
    dataset = ds.GeneratorDataset(
        numbered, list(samples.columns), shuffle=False, num_parallel_workers=1, python_multiprocessing=False
    )
    try:
        yield dataset.batch(share, drop_remainder=True)
    except RuntimeError:
        if numbered.mistake:
            raise numbered.mistake from None
        raise
    finally:
        numbered.close()


class _Numbered:
    """What MindSpore's ``GeneratorDataset`` reads: ``length`` samples, the one at ``index`` being number ``number_of(index)``.

    They are made ahead in threads of our own, or by threads of ours in processes. The engine's own threads look for the next
    sample ten times a second only, keep dozens of samples, and must not be more than there are cores.
    """

    def __init__(self, samples: Samples, length: int, number_of: Callable[[int], int], workers: int) -> None:
        self.processes = SampleProcesses(samples, workers) if samples.holds_lock and workers > 1 else None
        self.samples, self.length, self.number_of = self.processes or samples, length, number_of
        self.threads, self.ahead, self.futures = ThreadPoolExecutor(workers), 2 * workers, {}  # futures by index
        self.mistake = None

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        index = int(index)
        for later in range(index, min(index + self.ahead, self.length)):
            if later not in self.futures:
                self.futures[later] = self.threads.submit(self._sample, later)
        try:
            return self.futures.pop(index).result()
        except UserError as error:
            self.mistake = error
            raise

    def _sample(self, index: int) -> tuple[np.ndarray, ...]:
        return tuple(np.ascontiguousarray(array) for array in self.samples[self.number_of(index)] if array is not None)

    def close(self) -> None:
        """End threads and processes; samples that are not yet made are not waited for."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self.processes:
            self.processes.close()
