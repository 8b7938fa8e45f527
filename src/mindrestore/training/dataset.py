"""Samples through MindSpore's dataset engine."""
import contextlib

import mindspore.dataset as ds
import numpy as np

from mindrestore.errors import UserError


@contextlib.contextmanager
def batches(samples, first, count, batch_size):
    """Give a MindSpore dataset of ``count`` batches whose first sample is number ``first``, in order.

    A ``UserError`` of a sample, which the engine turns into an error of its own, leaves the context as it was.

    Args:
        samples: sequence of tuples of arrays, or ``None`` for a part left out; ``samples.columns`` names the others.
    """
    ds.config.set_prefetch_size(2)
    numbered = _Numbered(samples, first, count * batch_size)
    dataset = ds.GeneratorDataset(numbered, list(samples.columns), shuffle=False, num_parallel_workers=1,
                                  python_multiprocessing=False)
    try:
        yield dataset.batch(batch_size, drop_remainder=True)
    except RuntimeError:
        if numbered.mistake:
            raise numbered.mistake from None
        raise


class _Numbered:
    """Samples ``first`` … ``first + length`` as MindSpore reads a random-access source."""

    def __init__(self, samples, first, length):
        self.samples, self.first, self.length = samples, first, length
        self.mistake = None

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        try:
            sample = self.samples[self.first + int(index)]
        except UserError as error:
            self.mistake = error
            raise
        return tuple(np.ascontiguousarray(array) for array in sample if array is not None)
