"""Training in several processes is training in one: real processes, joined by MindSpore's msrun, on this CPU."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import ranks as ranks_program
import scipy.io
from builders import TINY_SR, flow_weights
from mindspore import Tensor

from mindrestore.checkpoints.native import load_arrays, read_metadata
from mindrestore.config import make_config
from mindrestore.errors import UserError
from mindrestore.ops import convolution
from mindrestore.runtime import cluster, execution
from mindrestore.runtime.dataset import batches
from mindrestore.training.losses import LOSSES, SQRT_LOSSES
from mindrestore.training.optimizers import Update
from mindrestore.training.step import TrainOneStep
from mindrestore.training.trainer import train

pytestmark = pytest.mark.usefixtures("prepared")

MSRUN = Path(sys.executable).with_name("msrun")


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A folder with three small scenes: no number of processes divides it."""
    folder = tmp_path_factory.mktemp("scenes")
    for number, name in enumerate(("kobe", "drop", "aerial")):
        clip = np.random.default_rng(number).integers(0, 256, (16, 20, 4), dtype=np.uint8)
        scipy.io.savemat(folder / f"{name}.mat", {"orig": clip})
    return folder


@pytest.fixture
def snapshots(scenes):
    """``snapshots(output, mode=..., ...)`` gives the content of a configuration of RevSCI, a run of seconds."""

    def content(output, runtime="pynative", steps=3, resume=False, **training):
        return {
            "name": "tiny",
            "resume": resume,
            "output": str(output),
            "runtime": {"mode": runtime},
            "model": {"name": "revsci", "blocks": 1, "channels": 8},
            "data": {"frames": 2, "size": 16, "clips": 10},
            "evaluation": {"kind": "scenes", "path": str(scenes), "frames": 2},
            "training": {
                "mode": "plain",
                "steps": steps,
                "batch_size": 4,
                "learning_rate": 2e-3,
                "validate_every": 2,
                "save_every": 2,
                "log_every": 1,
                **training,
            },
        }

    return content


def videos(output, batch, runtime="pynative", **training):
    """The content of a configuration of VRT: a step with the part that is frozen at first, and one without."""
    return {
        "name": "tiny",
        "output": str(output),
        "runtime": {"mode": runtime},
        "model": TINY_SR,
        "data": {"kind": "rendered", "frames": 2, "patch": 64, "clips": 6},
        "training": {
            "steps": 2,
            "batch_size": batch,
            "flow_frozen_steps": 1,
            "log_every": 1,
            "save_every": 2,
            "initial_flow": flow_weights(Path(output).parent),
            **training,
        },
    }


@pytest.fixture
def ranks(tmp_path, fresh_environment):
    """``ranks(count, port, name=content, ...)`` trains in ``count`` processes; gives what each rank saw, by name."""
    if not MSRUN.exists():
        pytest.skip(f"{MSRUN.name} is not beside this Python: MindSpore's launcher is needed")

    def run(count, port, **contents):
        paths = [tmp_path / f"{name}.json" for name in contents]
        for path, content in zip(paths, contents.values()):
            path.write_text(json.dumps(content))
        command = [
            MSRUN,
            f"--worker_num={count}",
            f"--local_worker_num={count}",
            f"--master_port={port}",
            "--join=True",
            f"--log_dir={tmp_path / 'logs'}",
            Path(__file__).with_name("ranks.py"),
            tmp_path,
            *paths,
        ]
        environment = {**fresh_environment, "OMP_NUM_THREADS": "1"}
        subprocess.run(list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, timeout=900)
        logs = "".join(path.read_text()[-2000:] for path in (tmp_path / "logs").glob("worker_*.log"))
        found = {name: [tmp_path / f"{name}.rank_{rank}.json" for rank in range(count)] for name in ("collectives", *contents)}
        # not msrun's status: MindSpore 2.10 now and then crashes after a program's last line (train.py ends by cluster.leave)
        assert all(path.exists() for paths in found.values() for path in paths), logs
        return {name: [json.loads(path.read_text()) for path in paths] for name, paths in found.items()}

    return run


@pytest.fixture
def alone(monkeypatch):
    """``alone(content)`` trains in this process, as a single one."""
    monkeypatch.setattr(convolution, "implementation", convolution.implementation)  # put back at the end

    def run(content):
        content = dict(content)
        resume = content.pop("resume", False)
        config = make_config(content)
        ranks_program.use(config.runtime.mode)
        return train(config, resume)

    yield run
    execution.use("graph")


def weights_of(folder):
    arrays = load_arrays(Path(folder) / "last_state.ckpt")[0]
    return {name: array for name, array in arrays.items() if name.startswith("network/")}


def assert_same_weights(folder, expected):
    found, wanted = weights_of(folder), weights_of(expected)
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        np.testing.assert_allclose(array, wanted[name], atol=1e-5, rtol=0, err_msg=name)


def logged(folder, key):
    lines = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    return [line[key] for line in lines if key in line]


def assert_alike(seen, steps, batch):
    """All ranks hold the same bits, and their shares of the samples make up every batch once."""
    assert len({rank["weights"] for rank in seen}) == len({rank["moments"] for rank in seen}) == 1
    share = batch // len(seen)
    for rank, one in enumerate(seen):
        wanted = [step * batch + rank * share + place for step in range(steps) for place in range(share)]
        assert sorted(one["numbers"])[: len(wanted)] == wanted
    numbers = [number for one in seen for number in one["numbers"]]
    assert len(set(numbers)) == len(numbers)


def assert_collectives(seen):
    own = [[np.array(array, np.float32) for array in rank["own"]] for rank in seen]
    for index in range(len(own[0])):
        expected = np.mean([arrays[index].astype(np.float64) for arrays in own], 0)
        for rank in seen:
            np.testing.assert_allclose(np.array(rank["means"][index]), expected, atol=1e-6)
    assert all(rank["means"] == seen[0]["means"] for rank in seen)
    rows = np.array([[np.pi * 10.0**rank, np.nan, -0.0] for rank in range(len(seen))])
    assert {rank["gathered"] for rank in seen} == {rows.tobytes().hex()}
    assert [rank["scored"] for rank in seen] == [list(range(7))[rank :: len(seen)] for rank in range(len(seen))]
    assert {rank["shared_mean"] for rank in seen} == {sum(1 / (1 + item) for item in range(7)) / 7}


def test_two_processes_train_as_one(ranks, alone, snapshots, tmp_path):
    common = dict(loss="sqrt_mse", clip_norm=0.1)
    alone(snapshots(tmp_path / "one", steps=4, **common))
    alone(snapshots(tmp_path / "resumed", steps=2, **common))
    seen = ranks(
        2,
        8219,
        plain=snapshots(tmp_path / "plain_RANK", steps=2, **common),
        reversible=snapshots(tmp_path / "reversible_RANK", steps=4, mode="reversible", **common),
        resumed=snapshots(tmp_path / "resumed", steps=4, resume=True, **common),
    )
    assert_collectives(seen["collectives"])
    for name, steps in (("plain", 2), ("reversible", 4)):
        assert not (tmp_path / f"{name}_1").exists()  # only the main process writes
        assert_alike(seen[name], steps, batch=4)
    alone(snapshots(tmp_path / "plain_0", steps=4, resume=True, **common))  # begun by two, ended by one
    for name in ("plain_0", "reversible_0", "resumed"):
        assert_same_weights(tmp_path / name, tmp_path / "one")
        for key, tolerance in (("loss", 1e-5), ("validation_psnr", 1e-3)):
            np.testing.assert_allclose(logged(tmp_path / name, key), logged(tmp_path / "one", key), atol=tolerance)
    assert read_metadata(tmp_path / "plain_0" / "last.ckpt").training["step"] == 4


@pytest.mark.long
@pytest.mark.parametrize("count", [2, 4])
def test_compiled_training_too(ranks, alone, snapshots, tmp_path, count):
    alone(snapshots(tmp_path / "one", "graph"))
    cases = {"plain": dict(), "reversible": dict(mode="reversible"), "parts": dict(accumulation=4 // count)}
    seen = ranks(
        count,
        8220 + count,
        **{name: snapshots(tmp_path / f"{name}_RANK", "graph", **training) for name, training in cases.items()},
    )
    assert_collectives(seen["collectives"])
    for name in cases:
        assert_same_weights(tmp_path / f"{name}_0", tmp_path / "one")
        assert_alike(seen[name], steps=3, batch=4)
        assert [path.name for path in tmp_path.glob(f"{name}_*")] == [f"{name}_0"]
        scores = [logged(tmp_path / folder, "validation_psnr") for folder in (f"{name}_0", "one")]
        np.testing.assert_allclose(*scores, atol=1e-3)


@pytest.mark.long
def test_a_process_that_comes_much_later_is_waited_for(ranks, snapshots, tmp_path):
    """MindSpore's AllReduce between CPU processes gives up after 30 s: less than one may compile longer than another."""
    seen = ranks(2, 8229, late={**snapshots(tmp_path / "late_RANK", steps=1), "late": 40})
    assert_alike(seen["late"], steps=1, batch=4)


@pytest.mark.long
@pytest.mark.parametrize("count, runtime", [(2, "pynative"), (4, "pynative"), (2, "graph")])
def test_vrt_too(ranks, alone, tmp_path, count, runtime):
    """Stochastic depth, the part frozen at first, and the running average included."""
    training = dict(average=0.9, clip_norm=1.0)
    alone(videos(tmp_path / "one", count, runtime, **training))
    seen = ranks(count, 8230 + count, vrt=videos(tmp_path / "vrt_RANK", count, runtime, **training))
    assert_same_weights(tmp_path / "vrt_0", tmp_path / "one")
    assert_alike(seen["vrt"], steps=2, batch=count)
    np.testing.assert_allclose(logged(tmp_path / "vrt_0", "loss"), logged(tmp_path / "one", "loss"), atol=1e-5)


def test_shares_make_up_the_batches():
    class Numbers:
        columns = ("number",)
        holds_lock = False

        def __getitem__(self, number):
            return (np.array([number]),)

    for count in (1, 2, 3, 6):
        shares = []
        for rank in range(count):
            with batches(Numbers(), 12, 4, 6, rank, count) as dataset:
                shares.append([row[0].ravel() for row in dataset.create_tuple_iterator(output_numpy=True)])
        for step in range(4):
            together = np.concatenate([share[step] for share in shares])
            assert together.tolist() == list(range(12 + 6 * step, 18 + 6 * step))


def test_a_batch_that_the_devices_do_not_divide_is_refused(monkeypatch, alone, snapshots, tmp_path):
    monkeypatch.setattr(cluster, "_size", 3)
    with pytest.raises(UserError, match="training.batch_size is 4, the total over all devices: 3 devices times 1 parts"):
        alone(snapshots(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_ranks_that_begin_differently_are_refused(monkeypatch, alone, snapshots, tmp_path):
    monkeypatch.setattr(cluster, "_size", 2)
    monkeypatch.setattr(cluster, "gathered", lambda values: np.stack([values, np.asarray(values) * 0]))
    with pytest.raises(UserError, match="rank 1 begins from another state than rank 0"):
        alone(snapshots(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_tensors_travel_in_buckets_in_order():
    tensors = [Tensor(np.zeros(size, np.float32)) for size in (3, cluster.BUCKET, 1, cluster.BUCKET - 2, 5, 6)]
    groups = cluster.buckets(tensors)
    assert [tensor for group in groups for tensor in group] == tensors
    assert [[tensor.size for tensor in group] for group in groups] == [[3, cluster.BUCKET], [1, cluster.BUCKET - 2, 5], [6]]


def test_a_root_is_taken_of_the_whole_batch():
    """The square root of a mean is not the mean of roots: parts, and shares of several devices, must not change it."""

    class Recorder:
        def __call__(self, gradients):
            self.given = [gradient.asnumpy() for gradient in gradients]

    assert SQRT_LOSSES <= LOSSES.keys()
    clip = np.array([[3.0], [1.0]], np.float32)
    for accumulation in (1, 2):
        recorder = Recorder()
        # mean of x², of gradient 2 x for a shift of all x
        step = TrainOneStep(
            lambda parameters: lambda x: ((x**2).mean(), ((2 * x).mean().reshape(1),)),
            [Update(recorder, [None], 0)],
            accumulation=accumulation,
            sqrt_loss=True,
        )
        assert float(step(Tensor(clip)).asnumpy()) == pytest.approx(5**0.5)
        assert recorder.given[0] == pytest.approx([2 / 5**0.5])  # d sqrt((x+s)²) / ds at s = 0


def test_waiting_for_the_others_ends(monkeypatch):
    class Store:
        def add(self, counter, count):
            return 1

    monkeypatch.setattr(cluster, "_store", Store())
    monkeypatch.setattr(cluster, "_size", 2)
    monkeypatch.setattr(cluster, "PATIENCE", timedelta(seconds=0.01))
    with pytest.raises(UserError, match="rank 0: waited 0:00:00.010000 for the other processes in vain; read their logs"):
        cluster.meet()


def test_a_process_alone_needs_no_launcher():
    assert cluster.size() == 1 and cluster.is_main()
    np.testing.assert_array_equal(cluster.gathered([1.5, -2.0]), [[1.5, -2.0]])
