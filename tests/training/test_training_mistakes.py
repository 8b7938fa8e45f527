"""What is wrong with data or first weights, ``train.py`` says in one sentence that names clip, key or file."""

import json
import os
import re
import subprocess
import sys

import cv2
import lmdb
import numpy as np
import pytest
from builders import TINY_SR
from places import GOLDEN, ROOT

from mindrestore.cli import main
from mindrestore.data.lmdb_writer import create_lmdb

REVSCI_WEIGHTS = GOLDEN / "revsci_two_way.pth"


@pytest.fixture
def run(tmp_path):
    """A run of VRT on one clip of three frames, as folders and as LMDBs: ``run(part, *overrides)`` gives arguments."""
    rng = np.random.default_rng(0)
    for part, side in (("gt", 64), ("lq", 16)):
        (tmp_path / part / "001").mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(tmp_path / part / f"001/{number:08d}.png"), rng.integers(0, 256, (side, side, 3), np.uint8))
        create_lmdb(tmp_path / part, tmp_path / f"{part}.lmdb", workers=1)
    config = {
        "name": "tiny",
        "model": {**TINY_SR, "num_feat": 8},
        "data": {"gt": "", "lq": "", "frames": 2, "patch": 64},
        "training": {"steps": 1, "batch_size": 1, "flow_frozen_steps": 0},
        "runtime": {"mode": "pynative"},
    }
    (tmp_path / "tiny.yaml").write_text(json.dumps(config))

    def arguments(suffix, *overrides):
        return [
            "train",
            "--config",
            str(tmp_path / "tiny.yaml"),
            "--output",
            str(tmp_path / "run"),
            f"data.gt={tmp_path / 'gt'}{suffix}",
            f"data.lq={tmp_path / 'lq'}{suffix}",
            *overrides,
        ]

    return arguments


def cut(path):
    os.truncate(path / "data.mdb", 5000)


def stored(path, value):
    """Put ``value`` in the place of the clip's middle frame, ``None`` to take it away."""
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"001/00000001", value) if value else transaction.delete(b"001/00000001")


def resized(folder, width, height):
    for path in (folder / "001").iterdir():
        cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def listed(path):
    path.write_text("001\n777\n")


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize(
    "suffix, harm, overrides, named",
    [
        (".lmdb", lambda path: cut(path / "gt.lmdb"), [], ["gt.lmdb: ", "LMDB|cut short"]),
        (".lmdb", lambda path: stored(path / "lq.lmdb", None), [], ["lq.lmdb, key 001/00000001: listed .* but not stored"]),
        (".lmdb", lambda path: stored(path / "gt.lmdb", b"no picture"), [], ["gt.lmdb, key 001/00000001: .* does not decode"]),
        ("", lambda path: (path / "gt/001/00000001.png").write_bytes(b"no picture"), [], ["00000001.png: .* does not decode"]),
        (
            "",
            lambda path: (path / "lq/001/00000002.png").unlink(),
            [],
            ["clip 001: frame 00000002 of .*gt has no counterpart in"],
        ),
        ("", lambda path: (path / "lq/001").rename(path / "lq/002"), [], ["lq: clip 001 of .* is missing in it"]),
        ("", lambda path: resized(path / "lq", 12, 9), [], ["lq, clip 001: frames of 12 x 9 pixels, expected .* 64 x 64"]),
        (
            "",
            lambda path: None,
            ["data.patch=128"],
            ["gt, clip 001: frames of 64 x 64 pixels are smaller than the patch of 128"],
        ),
        ("", lambda path: None, ["data.frames=4"], ["gt: no clip of 4 frames"]),
        ("", lambda path: listed(path / "list.txt"), ["data.list={}/list.txt"], ["gt: 1 listed clips .* the first is 777"]),
        ("", lambda path: None, [f"training.initial={REVSCI_WEIGHTS}"], ["revsci_two_way.pth: none of its weights fits"]),
    ],
    ids=[
        "lmdb cut short",
        "key missing",
        "key does not decode",
        "file does not decode",
        "frame missing",
        "clip missing",
        "sizes unmatched",
        "patch too large",
        "too few frames",
        "list",
        "weights of another network",
    ],
)
def test_a_mistake_in_data_or_weights_is_one_sentence(run, tmp_path, capsys, suffix, harm, overrides, named):
    harm(tmp_path)
    assert main(run(suffix, *(text.format(tmp_path) for text in overrides))) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    said = [line for line in error.splitlines() if "mindrestore: error: " in line]
    assert len(said) == 1 and said[0] == error.splitlines()[-1]
    for words in named:
        assert any(re.search(words, line) for line in said), said
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.usefixtures("prepared")
def test_weights_of_another_revsci_are_refused(tmp_path, capsys):
    config = str(ROOT / "configs/revsci/small_cpu.yaml")
    assert main(["train", "--config", config, "--output", str(tmp_path / "run"), f"training.initial={REVSCI_WEIGHTS}"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and "revsci_two_way.pth" in error[0]
    assert not list(tmp_path.iterdir())


def test_a_real_process_says_it_without_a_traceback(run, tmp_path):
    (tmp_path / "gt/001/00000001.png").write_bytes(b"no picture")
    process = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *run("")[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 2
    assert "Traceback" not in process.stderr and "[ERROR]" not in process.stderr
    assert process.stderr.splitlines()[-1].startswith("mindrestore: error: ") and "00000001.png" in process.stderr
