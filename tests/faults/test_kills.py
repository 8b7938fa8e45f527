"""Processes killed at random moments, mostly while they write: what was saved is whole, and gone on with to the same result.

Writers are slowed on purpose, so that a kill falls into the middle of one. A seed is printed, with what was tried.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from builders import assert_same_state, lines_of, tiny_run
from places import ROOT, TESTS

from mindrestore.checkpoints.native import load_arrays
from mindrestore.config import make_config
from mindrestore.data.frames import stored_frames
from mindrestore.data.lmdb_writer import create_lmdb
from mindrestore.errors import UserError
from mindrestore.locks import held
from mindrestore.training.state import read_state

PATIENCE = 120  # seconds for what takes a few on an idle machine

WRITING = """
import os, sys, time
from mindrestore.files import replacing
path, former, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
while True:
    number += 1
    with replacing(path, former) as scratch, open(scratch, "wb", buffering=0) as file:
        for _ in range(20):
            file.write(b"%08d" % number)
            time.sleep(0.001)
    os.write(1, b".")
"""
COMMAND = "import sys; from mindrestore.cli import main; sys.exit(main(sys.argv[1:]))"
TRAINING = """
import sys, time
from mindrestore.checkpoints import mindspore_file
message = mindspore_file._message

def slowly(*contents):
    for piece in message(*contents):
        time.sleep(0.002)
        yield piece
mindspore_file._message = slowly
from mindrestore.cli import main
sys.exit(main(sys.argv[1:]))
"""
RESTORING = """
import sys, time
from pathlib import Path
from builders import PlaceDependent
from mindrestore import files
from mindrestore.cli import main
from mindrestore.restore import run
from mindrestore.restore.networks import TaskNetwork
synced = files.synced

def slowly(path):
    time.sleep(0.02)
    synced(path)
files.synced = slowly
run.choose = lambda task, *_, **__: [TaskNetwork(task, PlaceDependent(), Path(run.__file__), (4, 16, 16), (2, 4, 4))]
sys.exit(main(sys.argv[1:]))
"""


def flow_run(output, *overrides):
    """As ``tiny_run``, of the network that estimates flow."""
    training = {"batch_size": 2, "save_every": 1, "log_every": 1, "validate_every": 1000}
    content = {"name": "flow", "model": {"name": "spynet"}, "data": {"patch": 32, "clips": 6}, "training": training}
    return make_config({**content, "output": str(output), "runtime": {"mode": "pynative"}}, overrides)


RUNS = {  # of trainings; VRT's are killed in tests/training/test_video_resume.py
    "plain": tiny_run,
    "reversible": lambda *settings: tiny_run(*settings, "training.mode=reversible"),
    "groups": lambda *settings: tiny_run(*settings, "model.coupling=multi_group", "model.groups=2"),
    "colour": lambda *settings: tiny_run(*settings, "model.colour=true"),
    "flow": flow_run,
}


@pytest.fixture
def rng():
    seed = random.randrange(10**6)
    print(f"moments drawn with seed {seed}")
    return random.Random(seed)


@pytest.fixture
def started(tmp_path, fresh_environment):
    """``started(program, ...)`` starts a Python program; what it says goes to ``said.txt``."""
    processes = []
    environment = {**fresh_environment, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(TESTS)])}

    def start(program, *arguments):
        with open(tmp_path / "said.txt", "a") as said:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", program, *map(str, arguments)],
                    cwd=tmp_path,
                    stdout=said,
                    stderr=said,
                    env=environment,
                )
            )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def said(folder):
    return (folder / "said.txt").read_text()[-2000:]


def wait_for(process, happened, tmp_path):
    """Wait until something happened; whether the process had not ended by itself before."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if process.poll() is not None:
            assert process.returncode == 0, said(tmp_path)
            return False
        assert time.monotonic() < deadline, said(tmp_path)
        time.sleep(0.005)
    return True


def killed(process, number=signal.SIGKILL):
    process.send_signal(number)
    return process.wait(PATIENCE)


def scratch_files(folder):
    return [path.name for path in folder.rglob(".*-*") if path.suffix != ".lock"]


@pytest.mark.parametrize("count", [12, pytest.param(200, marks=pytest.mark.long)])
def test_a_killed_writer_leaves_the_last_file_or_the_one_before(started, tmp_path, rng, count):
    path, former = tmp_path / "run" / "state.ckpt", tmp_path / "run" / "former.ckpt"
    number = during = 0
    for _ in range(count):
        process, before = started(WRITING, path, former, number), path.stat().st_ino if path.exists() else None
        assert wait_for(process, lambda before=before: path.exists() and path.stat().st_ino != before, tmp_path)
        time.sleep(0.06 * rng.random())
        killed(process)
        during += bool(scratch_files(tmp_path))
        contents = {each: each.read_bytes() for each in (path, former) if each.exists()}
        assert contents
        assert all(content == 20 * content[:8] for content in contents.values()), "not whole"
        number = max(int(content[:8]) for content in contents.values())
        if path in contents and former in contents:
            assert int(contents[path][:8]) - int(contents[former][:8]) in (0, 1)  # 0 between the two moves
    print(f"writers killed: {count}, {during} of them while they wrote")
    assert during > count // 4


# Real trainings, restorations and launchers


@pytest.mark.long
@pytest.mark.parametrize("kind", RUNS)
def test_a_training_killed_ten_times_goes_on_to_bit_equal_weights(started, tmp_path, rng, kind):
    """By SIGKILL, SIGTERM and SIGINT, between steps and while a checkpoint is written."""
    kills, steps = 10, 90
    for name in ("whole", "run"):
        content = RUNS[kind](tmp_path / name, f"training.steps={steps}")
        (tmp_path / f"{name}.yaml").write_text(content.model_dump_json())
    whole = started(COMMAND, "train", "--config", "whole.yaml")
    state, during, ended = tmp_path / "run" / "last_state.ckpt", 0, []
    for _ in range(kills):
        before = state.stat().st_mtime_ns if state.exists() else None
        process = started(TRAINING, "train", "--config", "run.yaml", *["--resume"][: state.exists()])
        assert wait_for(process, lambda before=before: state.exists() and state.stat().st_mtime_ns != before, tmp_path)
        time.sleep(0.8 * rng.random())
        number = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        ended.append(killed(process, number))
        assert ended[-1] in (-signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT), said(tmp_path)
        during += bool(scratch_files(tmp_path / "run"))
        assert read_state(state).progress["step"] < steps, "too few steps for so many kills"
        for path in (tmp_path / "run").glob("[!.]*.ckpt"):
            load_arrays(path)
    assert started(COMMAND, "train", "--config", "run.yaml", "--resume").wait(PATIENCE) == 0
    assert whole.wait(PATIENCE) == 0
    print(f"trainings stopped, {kind}: {kills} (statuses {sorted(ended)}), {during} of them while they wrote")
    assert_same_state(tmp_path / "whole", tmp_path / "run")
    losses = [
        [(line["step"], line["loss"]) for line in lines_of(tmp_path / name) if "loss" in line] for name in ("whole", "run")
    ]
    assert losses[0] == losses[1] and [step for step, _ in losses[0]] == list(range(1, steps + 1))
    assert not [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")]


@pytest.mark.long
@pytest.mark.parametrize("output", ["out.tif", "out"])
def test_a_restoration_killed_ten_times_goes_on_to_the_same_frames(started, tmp_path, rng, output):
    kills, frames = 10, 60
    (tmp_path / "in").mkdir()
    for number in range(frames):
        noise = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"in/{number:03d}.png"), noise)
    arguments = ["restore", "--task", "deblur", "in"]
    whole = started(RESTORING, *arguments, f"whole{Path(output).suffix}")
    target, part, done = tmp_path / output, tmp_path / f"{output}.part", 0
    for _ in range(kills):
        process = started(RESTORING, *arguments, output, *["--resume"][: part.exists()])
        assert wait_for(process, lambda before=done: len(list(part.glob("*.png"))) > before, tmp_path), "too few frames"
        time.sleep(0.15 * rng.random())
        killed(process, rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
        assert not target.exists()
        done = len(list(part.glob("*.png")))
    print(f"restorations stopped: {kills}, after {done} of {frames} frames in the end")
    assert started(RESTORING, *arguments, output, "--resume").wait(PATIENCE) == 0, said(tmp_path)
    assert whole.wait(PATIENCE) == 0
    for one, other in zip(*(stored_frames(tmp_path / name) for name in (f"whole{Path(output).suffix}", output))):
        np.testing.assert_array_equal(one[1], other[1])
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".") or path.suffix == ".part"]


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_launcher_that_is_stopped_leaves_a_run_to_go_on_with(tmp_path, fresh_environment, number):
    """Killed, it leaves ranks that may still write: until they end the next run is refused and says who is there."""
    environment = {**fresh_environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    content = json.loads(tiny_run(tmp_path / "run", "training.steps=1000000").model_dump_json())
    (tmp_path / "tiny.yaml").write_text(json.dumps(content))
    command = ["bash", ROOT / "scripts" / "run_distribute_train_cpu.sh", tmp_path / "tiny.yaml", "--devices", "2"]
    log = tmp_path / "run" / "log.jsonl"

    def start(*more):
        with open(tmp_path / "said.txt", "a") as printed:
            return subprocess.Popen(
                [*command, *more], cwd=tmp_path, env=environment, start_new_session=True, stdout=printed, stderr=printed
            )

    launcher = start()
    assert wait_for(launcher, lambda: log.exists() and log.read_text().count("\n") > 3, tmp_path)
    pids = [int((tmp_path / "logs" / "tiny" / f"rank_{rank}.pid").read_text()) for rank in range(2)]
    launcher.send_signal(number)
    if number == signal.SIGKILL:
        with pytest.raises(UserError, match=f"process {pids[0]} on "), held(tmp_path / "run", tmp_path / "run" / ".lock"):
            pass
    assert launcher.wait(PATIENCE) == (143 if number == signal.SIGTERM else -number)
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    step = read_state(tmp_path / "run" / "last_state.ckpt").progress["step"]
    assert start("--resume", f"training.steps={step + 2}").wait(PATIENCE) == 0, said(tmp_path)
    assert [line["step"] for line in lines_of(tmp_path / "run")] == list(range(1, step + 3))


def test_a_killed_maker_of_a_database_leaves_no_process(tmp_path, started):
    """It used to be made by several, which a killed one left behind, or waited for in vain."""
    rng = np.random.default_rng(0)
    (tmp_path / "clips/000").mkdir(parents=True)
    for number in range(40):
        cv2.imwrite(str(tmp_path / f"clips/000/{number:08d}.png"), rng.integers(0, 256, (256, 256, 3), np.uint8))
    data = tmp_path / "a.lmdb.partial" / "data.mdb"
    process = started(
        "import runpy, sys; sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')",
        ROOT / "src/scripts/create_lmdb.py",
        "clips",
        "a.lmdb",
        "--workers",
        "2",
    )
    assert wait_for(process, data.exists, tmp_path)
    assert not psutil.Process(process.pid).children(recursive=True)
    killed(process)
    create_lmdb(tmp_path / "clips", tmp_path / "a.lmdb", workers=2)
    assert not list(tmp_path.glob(".*"))
