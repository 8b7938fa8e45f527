"""From REDS as it is unpacked to a trained VRT, killed at random moments and resumed: the weights are those of an unbroken run.

Every process compiles its training step anew, so that this takes long: 8 to 10 minutes of processor time in either mode, 15 to
30 by the clock on two cores busy with other work.
"""

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import TINY_SR, assert_same_state, flow_weights, lines_of
from places import ROOT

from mindrestore.data.degradation import degraded
from mindrestore.data.rendered import render_clip
from mindrestore.training.log import FILE, read_log

FRAMES, SIDE, SCALE = 4, 64, 4
STEPS, FROZEN = 8, 3
KILLS = 2
PATIENCE = 7200  # seconds that a process may take on a busy machine


@pytest.fixture(scope="module")
def lmdbs(tmp_path_factory):
    """Ground truth and low quality of three training clips and two validation clips, prepared by the scripts."""
    root = tmp_path_factory.mktemp("reds")
    for part, clips in (("train", 3), ("val", 2)):
        for clip in range(clips):
            gt = render_clip(10 * clips + clip, FRAMES, SIDE, SIDE, colour=True).swapaxes(0, 1)
            for variant, frames in (("sharp", gt), ("sharp_bicubic/X4", list(degraded(gt, "bicubic", SCALE)))):
                folder = root / "REDS" / part / f"{part}_{variant}" / f"{clip:03d}"
                folder.mkdir(parents=True)
                for number, frame in enumerate(frames):
                    image = np.rint(255 * np.clip(frame, 0, 1)).astype(np.uint8).transpose(1, 2, 0)[..., ::-1]
                    cv2.imwrite(str(folder / f"{number:08d}.png"), image)
    script(root, "regroup_reds_dataset.py", "REDS", "--frames", FRAMES)
    train = root / "REDS/train"
    assert sorted(path.name for path in (train / "train_sharp").iterdir()) == ["000", "001", "002", "240", "241"]
    script(root, "create_lmdb.py", train / "train_sharp", "gt.lmdb")
    script(root, "create_lmdb.py", train / "train_sharp_bicubic/X4", "lq.lmdb")
    return root / "gt.lmdb", root / "lq.lmdb"


def script(folder, name, *arguments):
    run = subprocess.run(
        [sys.executable, str(ROOT / "src/scripts" / name), *map(str, arguments)], cwd=folder, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


@pytest.fixture
def started(tmp_path, lmdbs, fresh_environment):
    """``started(output, mode, *arguments)`` starts a training process of the tiny network."""
    processes = []

    def start(output, mode, *arguments):
        gt, lq = map(str, lmdbs)
        config = tmp_path / f"{mode}.yaml"
        config.write_text(
            json.dumps(
                {
                    "name": "tiny",
                    "model": {**TINY_SR, "num_feat": 8},
                    "runtime": {"mode": mode},
                    "data": {"gt": gt, "lq": lq, "held_out": "official", "frames": 2, "patch": SIDE, "time_reversal": True},
                    "training": {
                        "steps": STEPS,
                        "batch_size": 2,
                        "flow_frozen_steps": FROZEN,
                        "average": 0.9,
                        "clip_norm": 1.0,
                        "log_every": 1,
                        "save_every": 1,
                        "initial_flow": flow_weights(tmp_path),
                    },
                }
            )
        )
        command = [sys.executable, str(ROOT / "train.py"), "--config", str(config), "--output", str(output), *arguments]
        with open(f"{output}.err", "a") as messages:
            processes.append(subprocess.Popen(command, cwd=tmp_path, stdout=messages, stderr=messages, env=fresh_environment))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def killed_after(process, output, step, rng):
    """Kill a training process at a random moment after ``step``, mostly within the step that follows."""
    lines, log, deadline = [], output / FILE, time.monotonic() + PATIENCE
    while not lines or lines[-1]["step"] < step:
        assert process.poll() is None and time.monotonic() < deadline, Path(f"{output}.err").read_text()[-2000:]
        time.sleep(0.01)
        lines = read_log(log) if log.exists() else []
    a_step = abs(lines[-1]["seconds"] - lines[-2]["seconds"])  # unless the run has just been resumed
    time.sleep(rng.random() * min(1.0, a_step))
    process.kill()
    process.wait()


@pytest.mark.long
@pytest.mark.parametrize("mode", ["pynative", "graph"])
def test_a_killed_run_goes_on_to_bit_equal_weights(started, tmp_path, mode):
    seed = random.randrange(10**6)
    print(f"moments drawn with seed {seed}")
    rng = random.Random(seed)
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    reference = started(unbroken, mode)
    for number, step in enumerate(sorted(rng.sample(range(2, STEPS - 3), KILLS))):
        killed_after(started(broken, mode, *["--resume"][:number]), broken, step, rng)
    assert started(broken, mode, "--resume").wait(PATIENCE) == 0, Path(f"{broken}.err").read_text()[-2000:]
    assert reference.wait(PATIENCE) == 0, Path(f"{unbroken}.err").read_text()[-2000:]
    losses = [[(line["step"], line["loss"]) for line in lines_of(run) if "loss" in line] for run in (unbroken, broken)]
    assert losses[0] == losses[1] and [step for step, _ in losses[0]] == list(range(1, STEPS + 1))
    assert_same_state(unbroken, broken)
    assert not [path.name for path in broken.iterdir() if path.name.startswith(".")], "left by a killed process"
