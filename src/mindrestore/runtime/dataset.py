"""Samples through MindSpore's dataset engine."""
import contextlib
from concurrent.futures import ThreadPoolExecutor

import mindspore.dataset as ds
import numpy as np

from mindrestore.errors import UserError


@contextlib.contextmanager
def batches(samples, first, count, batch_size, rank=0, ranks=1, workers=1):
    """Give a MindSpore dataset of ``count`` batches whose first sample is number ``first``, in order.

    Of several processes each takes its share of every batch, consecutive samples in the order of ranks.

    A ``UserError`` of a sample, which the engine turns into an error of its own, leaves the context as it was.

    Args:
        samples: sequence of tuples of arrays, or ``None`` for a part left out; ``samples.columns`` names the others.
        batch_size: of all processes together; their number ``ranks`` divides it.
        workers: threads in which this process makes its samples; they change no sample. Decoding and NumPy's loops let
            others run meanwhile, and threads, unlike processes, hand over arrays without copying them.
    """
    ds.config.set_prefetch_size(2)
    share = batch_size // ranks
    numbered = _Numbered(samples, count * share,
                         lambda index: first + index // share * batch_size + rank * share + index % share, workers)
    dataset = ds.GeneratorDataset(numbered, list(samples.columns), shuffle=False, num_parallel_workers=1,
                                  python_multiprocessing=False)
    try:
        yield dataset.batch(share, drop_remainder=True)
    except RuntimeError:
        if numbered.mistake:
            raise numbered.mistake from None
        raise


class _Numbered:
    """``length`` samples, of which ``number_of(index)`` says the numbers, as MindSpore reads a random-access source.

    They are made ahead in threads of our own: the engine's look for the next sample ten times a second only, keep dozens of
    samples, and must not be more than there are cores. The threads end with this object.
    """

    def __init__(self, samples, length, number_of, workers):
        self.samples, self.length, self.number_of = samples, length, number_of
        self.threads, self.ahead, self.coming = ThreadPoolExecutor(workers), 2 * workers, {}
        self.mistake = None

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        index = int(index)
        for later in range(index, min(index + self.ahead, self.length)):
            if later not in self.coming:
                self.coming[later] = self.threads.submit(self._sample, later)
        try:
            return self.coming.pop(index).result()
        except UserError as error:
            self.mistake = error
            raise

    def _sample(self, index):
        return tuple(np.ascontiguousarray(array) for array in self.samples[self.number_of(index)] if array is not None)
