"""Samples through MindSpore's dataset engine."""
import mindspore.dataset as ds
import numpy as np

COLUMNS = ("clip", "measurement", "mask", "estimate")


def batches(samples, first, count, batch_size):
    """Return a MindSpore dataset of ``count`` batches whose first sample is number ``first``, in order.

    Args:
        samples: sequence of ``mindrestore.data.snapshots.Sample``.
    """
    columns = list(COLUMNS[:3] if samples.with_estimate is False else COLUMNS)
    ds.config.set_prefetch_size(2)
    numbered = _Numbered(samples, first, count * batch_size)
    dataset = ds.GeneratorDataset(numbered, columns, shuffle=False, num_parallel_workers=1, python_multiprocessing=False)
    return dataset.batch(batch_size, drop_remainder=True)


class _Numbered:
    """Samples ``first`` … ``first + length`` as MindSpore reads a random-access source."""

    def __init__(self, samples, first, length):
        self.samples, self.first, self.length = samples, first, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        sample = self.samples[self.first + int(index)]
        return tuple(np.ascontiguousarray(array) for array in sample if array is not None)
