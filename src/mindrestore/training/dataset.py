"""Samples through MindSpore's dataset engine."""
import contextlib

import mindspore.dataset as ds
import numpy as np

from mindrestore.errors import UserError


@contextlib.contextmanager
def batches(samples, first, count, batch_size, rank=0, ranks=1):
    """Give a MindSpore dataset of ``count`` batches whose first sample is number ``first``, in order.

    Of several processes each takes its share of every batch, consecutive samples in the order of ranks.

    A ``UserError`` of a sample, which the engine turns into an error of its own, leaves the context as it was.

    Args:
        samples: sequence of tuples of arrays, or ``None`` for a part left out; ``samples.columns`` names the others.
        batch_size: of all processes together; their number ``ranks`` divides it.
    """
    ds.config.set_prefetch_size(2)
    share = batch_size // ranks
    numbered = _Numbered(samples, count * share,
                         lambda index: first + index // share * batch_size + rank * share + index % share)
    dataset = ds.GeneratorDataset(numbered, list(samples.columns), shuffle=False, num_parallel_workers=1,
                                  python_multiprocessing=False)
    try:
        yield dataset.batch(share, drop_remainder=True)
    except RuntimeError:
        if numbered.mistake:
            raise numbered.mistake from None
        raise


class _Numbered:
    """``length`` samples, of which ``number_of(index)`` says the numbers, as MindSpore reads a random-access source."""

    def __init__(self, samples, length, number_of):
        self.samples, self.length, self.number_of = samples, length, number_of
        self.mistake = None

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        try:
            sample = self.samples[self.number_of(int(index))]
        except UserError as error:
            self.mistake = error
            raise
        return tuple(np.ascontiguousarray(array) for array in sample if array is not None)
