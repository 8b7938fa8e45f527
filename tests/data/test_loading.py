"""Loading of training data: the same samples with any number of workers, and those of PyTorch's DataLoader beside which
the benchmark measures it.
"""

import importlib.util
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from places import ROOT

from mindrestore.data.flow_samples import FlowSamples
from mindrestore.data.frame_stores import open_store
from mindrestore.data.providers import DavisClips
from mindrestore.data.rendered import RenderedClips
from mindrestore.data.snapshots import RandomMasks, SnapshotSamples
from mindrestore.data.subclips import RenderedSubclips, StoredSubclips
from mindrestore.data.video_samples import VideoSamples
from mindrestore.errors import UserError
from mindrestore.runtime.dataset import batches
from mindrestore.runtime.sample_processes import SampleProcesses

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


RENDERED = {
    "snapshots": lambda: SnapshotSamples(RenderedClips(4, 24, 32), RandomMasks(), with_estimate=True, seed=3),
    "videos": lambda: VideoSamples(RenderedSubclips(3, 32), "denoise", sigma=(5, 50), seed=3),
    "flow": lambda: FlowSamples(32, sigma=20, seed=3),
}


@pytest.mark.parametrize("kind", RENDERED)
def test_processes_render_what_this_one_does(kind):
    """Samples that keep Python's lock are made in processes; they are those of one worker, also where ranks share them."""
    expected = loaded(RENDERED[kind](), workers=1)
    assert RENDERED[kind]().holds_lock
    for column, other in zip(loaded(RENDERED[kind](), workers=2), expected, strict=True):
        np.testing.assert_array_equal(column, other, strict=True)
    for column, other in zip(loaded(RENDERED[kind](), 1, 2, workers=2), expected, strict=True):
        np.testing.assert_array_equal(column, other[1::2], strict=True)


def test_the_processes_end_with_the_batches():
    with batches(RENDERED["flow"](), 0, 100, 1, workers=2) as dataset:
        next(dataset.create_tuple_iterator(num_epochs=1, output_numpy=True))
        assert len(children()) == 2
    assert not children()


def test_the_processes_end_where_theirs_is_killed(fresh_environment):
    """As by SIGKILL, after which nothing can be tidied."""
    script = (
        "from mindrestore.data.flow_samples import FlowSamples\n"
        "from mindrestore.runtime.sample_processes import SampleProcesses\n"
        "processes = SampleProcesses(FlowSamples(32), 2)\n"
        "print(*(processes[number] and processes._processes[number].pid for number in (0, 1)), flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=fresh_environment, text=True) as process:
        made = [int(number) for number in process.stdout.readline().split()]
        assert len(made) == 2 and all(map(makes_samples, made))
        process.kill()
    end = time.monotonic() + 10
    while any(map(makes_samples, made)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(makes_samples, made))


class Troublesome:
    """Samples of which some make trouble."""

    columns, holds_lock = ("number",), True

    def __getitem__(self, number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 2:
            raise KeyError("no such thing")
        if number == 3:
            raise TwoArguments("one", "two")
        os.write(1, b"what a library prints")
        return (np.array([number]),)


class TwoArguments(Exception):
    """One that pickle writes and does not read."""

    def __init__(self, one, two):
        super().__init__(one)


@pytest.fixture
def troublesome(monkeypatch):
    """Their processes find this module; ``troublesome(count)`` starts so many."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(Troublesome, "__module__", Path(__file__).stem)
    monkeypatch.setattr(TwoArguments, "__module__", Path(__file__).stem)
    monkeypatch.setitem(sys.modules, Path(__file__).stem, sys.modules[__name__])
    made = []

    def start(count):
        made.append(SampleProcesses(Troublesome(), count))
        return made[-1]

    yield start
    for each in made:
        each.close()


def test_a_process_that_ends_is_named(troublesome):
    ended = "sample 1: the process that was to make it ended with status -9; .* fewer"
    with pytest.raises(UserError, match=ended):
        troublesome(1)[1]
    with pytest.raises(UserError, match=ended):  # also where the engine asks, and what is left is ended
        loaded(Troublesome(), workers=2)
    assert not children()


def test_a_process_that_does_not_start_is_named(monkeypatch):
    monkeypatch.setattr(Troublesome, "__module__", "no_such_module")
    monkeypatch.setitem(sys.modules, "no_such_module", sys.modules[__name__])
    samples = SampleProcesses(Troublesome(), 1)
    with pytest.raises(UserError, match="ended with status 1"):
        samples[0]
    samples.close()


def test_any_error_is_raised_with_its_traceback(troublesome):
    samples = troublesome(1)
    with pytest.raises(KeyError, match="no such thing") as raised:
        samples[2]
    assert "in __getitem__" in str(raised.value.__cause__)
    with pytest.raises(RuntimeError, match="TwoArguments"):
        samples[3]
    assert samples[4] == (np.array([4]),)


def test_what_cannot_be_copied_starts_no_process():
    samples = RENDERED["flow"]()
    samples.function = lambda: 0
    with pytest.raises((AttributeError, pickle.PicklingError)):
        SampleProcesses(samples, 2)
    assert not children()


def test_a_mistake_in_a_process_is_told_as_anywhere(tmp_path):
    """A clip that is no longer there when its sample is made."""
    folder = tmp_path / "JPEGImages" / "480p" / "clip"
    folder.mkdir(parents=True)
    for number in range(8):
        cv2.imwrite(str(folder / f"{number:05}.png"), np.full((40, 40), number, np.uint8))
    samples = SnapshotSamples(DavisClips(tmp_path, 8, 32, 32), RandomMasks())
    (folder / "00003.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"00003\.png"):
        loaded(samples, workers=2)


def children():
    """Numbers of this process's processes that make samples."""
    statuses = ((path.parent.name, status_of(path)) for path in Path("/proc").glob("[0-9]*/status"))
    return [int(name) for name, status in statuses if f"\nPPid:\t{os.getpid()}\n" in status and makes_samples(name)]


def makes_samples(number):
    """Whether a process is there, and not only its remains."""
    return "sample_processes" in status_of(Path(f"/proc/{number}/cmdline"))


def status_of(path):
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return ""
