"""Loading batches of training samples with either library, for ``worker.py``.

A step loads ``batches`` batches, the next ones in order of the samples' numbers, begins with nothing loaded ahead and ends
with the last batch; its values are checksums of that batch. A case has ``paths`` of ground truth and low quality, ``frames``,
``patch``, ``scale``, ``batch`` and ``workers``.
"""

import itertools
import zlib

import numpy as np


def ours(case):
    import mindspore

    from mindrestore.runtime import session

    session.start("cpu")
    return dict(version=f"mindspore {mindspore.__version__}"), _steps(case, our_batches(case))


def theirs(case):
    import torch

    return dict(version=f"torch {torch.__version__}"), _steps(case, their_batches(case))


def our_batches(case):
    """Return ``(first, count) -> batches`` of tensors, as training reads them."""
    from mindrestore.data.frame_stores import open_store
    from mindrestore.data.subclips import StoredSubclips
    from mindrestore.data.video_samples import VideoSamples
    from mindrestore.runtime.dataset import batches

    subclips = StoredSubclips(*map(open_store, case["paths"]), case["frames"], case["patch"], case["scale"])
    samples = VideoSamples(subclips, "sr", scale=case["scale"])

    def batches_from(first, count):
        with batches(samples, first, count, case["batch"], workers=max(1, case["workers"])) as dataset:
            yield from dataset.create_tuple_iterator(num_epochs=1)

    return batches_from


def their_batches(case):
    """The same through PyTorch's DataLoader; its processes are started once and go on from step to step."""
    from torch.utils.data import DataLoader
    from torch_loading import Numbers, Samples

    numbers = Numbers()
    loader = DataLoader(
        Samples(*case["paths"], case["frames"], case["patch"], case["scale"]),
        case["batch"],
        sampler=numbers,
        num_workers=case["workers"],
        persistent_workers=case["workers"] > 0,
    )

    def batches_from(first, count):
        numbers.range = range(first, first + count * case["batch"])
        return loader

    return batches_from


def _steps(case, batches_from):
    numbers = itertools.count(step=case["batches"] * case["batch"])

    def step():
        for batch in batches_from(next(numbers), case["batches"]):
            last = batch
        return lambda: {part: zlib.crc32(np.asarray(tensor)) for part, tensor in zip(("gt", "lq"), last)}

    return step


BUILDERS = {"mindrestore": ours, "torch": theirs}
