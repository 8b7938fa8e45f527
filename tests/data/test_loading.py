"""Loading of training data: the same samples with any number of workers, and those of PyTorch's DataLoader beside which
the benchmark measures it.
"""

import importlib.util
import shutil
import sys

import numpy as np
import pytest
from places import ROOT

from mindrestore.data.frame_stores import open_store
from mindrestore.data.subclips import StoredSubclips
from mindrestore.data.video_samples import VideoSamples
from mindrestore.errors import UserError
from mindrestore.runtime.dataset import batches

BENCHMARKS = ROOT / "benchmarks"
CLIPS, FRAMES, PATCH = 2, 8, 32
BATCH, COUNT = 2, 9  # 18 samples: three passes over the six subclips of six frames


@pytest.fixture(scope="module")
def loading():
    """The benchmark, whose modules import each other by name."""
    sys.path.insert(0, str(BENCHMARKS))
    import loading

    yield loading
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def paths(loading, tmp_path_factory):
    return loading.make_clips(tmp_path_factory.mktemp("clips"), CLIPS, FRAMES, height=48, width=64)


def samples_of(gt, lq):
    subclips = StoredSubclips(open_store(gt), open_store(lq), 6, PATCH, 4)
    assert len(subclips) == CLIPS * (FRAMES - 6 + 1)
    return VideoSamples(subclips, "sr", scale=4)


def loaded(samples, *share, **settings):
    with batches(samples, 0, COUNT, BATCH, *share, **settings) as dataset:
        return [np.concatenate(column) for column in zip(*dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))]


@pytest.mark.parametrize("store", ["folders", "lmdb"])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_workers_changes_no_sample(paths, store, workers):
    samples = samples_of(*paths[store])
    expected = [np.stack(column) for column in zip(*(samples[number] for number in range(BATCH * COUNT)))]
    del samples  # and the LMDBs it opened
    for column, other in zip(loaded(samples_of(*paths[store]), workers=workers), expected):
        np.testing.assert_array_equal(column, other, strict=True)
    for rank in range(2):
        for column, other in zip(loaded(samples_of(*paths[store]), rank, 2, workers=workers), expected):
            np.testing.assert_array_equal(column, other[rank::2], strict=True)


def test_a_mistake_in_a_worker_is_named(paths, tmp_path):
    gt = tmp_path / "gt"
    shutil.copytree(paths["folders"][0], gt)
    (gt / "001" / "00000004.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="001/00000004.png: this frame does not decode"):
        loaded(samples_of(gt, paths["folders"][1]), workers=3)


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch, used by the benchmarks only, is not installed")
@pytest.mark.parametrize("store", ["folders", "lmdb"])
def test_the_benchmarks_loaders_give_equal_samples(loading, paths, store, tmp_path):
    from loading_steps import our_batches, their_batches

    for part, path in zip(("gt", "lq"), paths[store]):
        shutil.copytree(path, tmp_path / part)  # an LMDB is opened once in a process
    both = [
        list(loader(loading.case_of(where, patch=PATCH, batch=BATCH, workers=0))(first=4, count=COUNT))
        for loader, where in ((our_batches, paths[store]), (their_batches, [str(tmp_path / "gt"), str(tmp_path / "lq")]))
    ]
    assert [len(rows) for rows in both] == [COUNT, COUNT]
    for ours, theirs in zip(*both):
        for one, other in zip(ours, theirs):
            np.testing.assert_array_equal(one.asnumpy(), other.numpy(), strict=True)
