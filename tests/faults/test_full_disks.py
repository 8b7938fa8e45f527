"""Writers on a disk that is full: one sentence that says so, what was there stays, and what is finished is gone on with.

A limit on the size of files (``EFBIG``) stands for a full disk wherever a test runs; where file systems may be mounted, small
ones are filled for real (``ENOSPC``).
"""

import os
import shutil
import subprocess
import sys
import tempfile

import cv2
import numpy as np
import pytest
from builders import StandIn, tiny_run, write_frames
from disks import files_limited_to, grown, mounted
from places import GOLDEN, ROOT

from mindrestore.checkpoints.convert import convert
from mindrestore.checkpoints.native import load_arrays, save_arrays
from mindrestore.cli import main
from mindrestore.data.clip_lists import ListedClip, write_list
from mindrestore.data.lmdb_writer import create_lmdb, verify
from mindrestore.data.measurements import save_measurements
from mindrestore.data.regroup import regroup
from mindrestore.errors import UserError
from mindrestore.files import write_bytes, write_text
from mindrestore.media.writing import write_clip, write_picture
from mindrestore.restore import run
from mindrestore.restore.networks import TaskNetwork
from mindrestore.restore.run import Request, restore
from mindrestore.training.curves import Run, draw
from mindrestore.training.log import TrainingLog
from mindrestore.training.trainer import train

NOISE = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)  # 48 kB that no format makes small
CLIP = np.broadcast_to(NOISE[..., 0], (4, 128, 128))
FULL = "cannot be written, (its disk is full|it became larger than files may be); free some space"


def log_steps(path):
    log = TrainingLog(path, 10)
    try:
        for step in range(1000):
            log.metrics(step, loss=0.5)
    finally:
        log.close()


WRITERS = {
    "text.json": lambda path: write_text(path, "x" * 50_000),
    "raw.bin": lambda path: write_bytes(path, bytes(50_000)),
    "state.ckpt": lambda path: save_arrays(path, {"w": NOISE}, {"step": 1}),
    "coded.mat": lambda path: save_measurements(path, CLIP, CLIP[:1], CLIP[:2] % 2),
    "list.txt": lambda path: write_list(path, [ListedClip(f"{number:05d}", 7, (3, 3, 3), 0) for number in range(4000)]),
    "curves.png": lambda path: draw([Run("a", {"loss": ([1, 2], [1.0, 2.0])})], path),
    "curves.svg": lambda path: draw([Run("a", {"loss": (list(range(9999)), list(range(9999)))})], path),
    **{f"picture{suffix}": lambda path: write_picture(path, NOISE) for suffix in (".png", ".bmp", ".jpg", ".webp", ".ppm")},
    "pages.tif": lambda path: write_clip(path, iter([NOISE] * 3), 3),
}


SLOW = ("curves.png", "curves.svg")  # tried once each


def leftovers(folder):
    return [path.name for path in folder.rglob("*") if path.name.startswith(".")]


@pytest.mark.parametrize(
    "limit, name", [(limit, name) for limit in (0, 4096, 8000) for name in WRITERS if limit == 4096 or name not in SLOW]
)
def test_a_file_that_may_not_grow_leaves_what_was_there(limit, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"former")
    with files_limited_to(limit), pytest.raises(UserError, match=FULL) as caught:
        WRITERS[name](path)
    assert str(caught.value).startswith(f"{path}: ")
    assert path.read_bytes() == b"former" and not leftovers(tmp_path)
    WRITERS[name](path)
    assert path.stat().st_size > 8000


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    with mounted(tmp_path_factory.mktemp("disks") / "small", "size=64k") as folder:
        yield folder


@pytest.fixture
def nearly_full(small_disk):
    """A disk of 64 kB."""
    yield small_disk
    for path in small_disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


SMALL = ("curves.png", "curves.svg", "picture.jpg", "picture.webp", "list.txt")


@pytest.mark.parametrize(
    "free, name",
    [
        (free, name)
        for free in (0, 4096, 20480)
        for name in WRITERS
        if (free < 20480 or name not in SMALL) and (free == 4096 or name not in SLOW)
    ],
)
def test_a_full_disk_leaves_what_was_there(free, name, nearly_full):
    path = nearly_full / name
    path.write_bytes(b"former")
    (nearly_full / "filler").write_bytes(bytes(65536 - 4096 - free))
    with pytest.raises(UserError, match=FULL):
        WRITERS[name](path)
    assert path.read_bytes() == b"former" and not leftovers(nearly_full)


@pytest.mark.parametrize("limit", [0, 2000])
@pytest.mark.usefixtures("capsys")  # which keeps the progress bar in memory
def test_a_log_that_cannot_grow_is_one_sentence(tmp_path, limit):
    with files_limited_to(limit), pytest.raises(UserError, match=rf"log.jsonl: {FULL}"):
        log_steps(tmp_path)


def test_a_copy_of_a_clip_that_does_not_fit_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr("mindrestore.data.regroup.TRAINING_CLIPS", 1)
    for part, clip in (("train", "000"), ("val", "000")):
        write_frames(tmp_path / part / f"{part}_sharp" / clip, ["00000000.png"], (4, 4))
    frame = tmp_path / "val/val_sharp/000/00000000.png"
    cv2.imwrite(str(frame), NOISE)
    with files_limited_to(8000), pytest.raises(UserError, match="001: cannot be copied from .*; free some space"):
        regroup(tmp_path, frames=1)
    assert sorted(path.name for path in (tmp_path / "train/train_sharp").iterdir()) == ["000"]
    regroup(tmp_path, frames=1)
    assert (tmp_path / "train/train_sharp/001/00000000.png").read_bytes() == frame.read_bytes()


def test_a_rank_table_that_cannot_grow_leaves_the_former_one(tmp_path):
    (tmp_path / "hccn.conf").write_text("address_0=192.168.0.1\n")
    (tmp_path / "table.json").write_text("former")
    with files_limited_to(100):
        made = subprocess.run(
            [
                sys.executable,
                str(ROOT / "scripts/generate_rank_table.py"),
                "--conf",
                "hccn.conf",
                "--server",
                "10.0.0.1",
                "--output",
                "table.json",
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    assert made.returncode == 2 and "table.json: cannot be written (File too large)" in made.stderr
    assert sorted(os.listdir(tmp_path)) == ["hccn.conf", "table.json"] and (tmp_path / "table.json").read_text() == "former"


def test_output_that_cannot_grow_is_no_traceback(tmp_path, fresh_environment):
    """What a command says goes to a file on a full disk."""
    lines, said = tmp_path / "out", tmp_path / "err"
    program = (
        "import resource, sys; from mindrestore.exit_status import status_of; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200)); sys.stdout.reconfigure(line_buffering=True); "
        "sys.exit(status_of(lambda: [print('x' * 50) for _ in range(9)]))"
    )
    with open(lines, "w") as out, open(said, "w") as err:
        status = subprocess.run([sys.executable, "-c", program], stdout=out, stderr=err, env=fresh_environment).returncode
    assert status == 2 and lines.stat().st_size == 200
    assert said.read_text() == (
        "mindrestore: error: what this command prints: cannot be written, it became larger than files "
        "may be; free some space, or name a place on another disk.\n"
    )


# Commands, gone on with when there is room


@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "disk", "size=256k") as folder:
        yield folder


def test_a_database_goes_on_when_there_is_room(disk, tmp_path):
    (tmp_path / "clips/000").mkdir(parents=True)
    for number in range(12):
        cv2.imwrite(str(tmp_path / f"clips/000/{number:08d}.png"), NOISE)
    with pytest.raises(UserError, match="free some space and run this again, it goes on from here"):
        create_lmdb(tmp_path / "clips", disk / "a.lmdb", workers=1)
    assert [path.name for path in disk.iterdir()] == ["a.lmdb.partial"]
    (disk / "filler").write_bytes(bytes(max(0, shutil.disk_usage(disk).free)))
    with pytest.raises(UserError, match="free some space"):
        create_lmdb(tmp_path / "clips", disk / "a.lmdb", workers=1)
    (disk / "filler").unlink()
    grown(disk, "4m")
    create_lmdb(tmp_path / "clips", disk / "a.lmdb", workers=1)
    verify(disk / "a.lmdb")


def test_a_restoration_goes_on_when_there_is_room(disk, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for number in range(8):
        cv2.imwrite(str(tmp_path / f"in/{number}.png"), NOISE)
    weights = write_frames(tmp_path / "weights")
    monkeypatch.setattr(run, "choose", lambda task, *_, **__: [TaskNetwork(task, StandIn(), weights, (2, 128, 128), (0, 4, 4))])
    with pytest.raises(UserError, match=FULL):
        restore(Request(tmp_path / "in", disk / "out", "deblur"))
    finished = len(list((disk / "out.part").glob("*.png")))
    assert finished == 4 and sorted(path.name for path in disk.iterdir()) == ["out.part"]
    grown(disk, "4m")
    said = []
    restore(Request(tmp_path / "in", disk / "out", "deblur", resume=True), said.append)
    assert said[0] == "Going on after 4 of 8 frames."
    for number in range(8):
        np.testing.assert_array_equal(cv2.imread(str(disk / f"out/{number}.png")), NOISE)


@pytest.mark.usefixtures("prepared", "mode", "layout")
@pytest.mark.parametrize("mode, layout", [("pynative", "native")], indirect=True, ids=[""])
def test_a_training_goes_on_when_there_is_room(disk, monkeypatch):
    filler = disk / "filler"

    class Filling(TrainingLog):
        def advance(self, loss):
            super().advance(loss)
            filler.write_bytes(bytes(shutil.disk_usage(disk).free - 8192))

    grown(disk, "1m")
    train(tiny_run(disk / "whole", "training.steps=1"))
    monkeypatch.setattr("mindrestore.training.trainer.TrainingLog", Filling)
    with pytest.raises(UserError, match=FULL):
        train(tiny_run(disk / "whole", "training.steps=3"), resume=True)
    assert load_arrays(disk / "whole/last_state.ckpt")[1]["step"] == 1 and not leftovers(disk)
    filler.unlink()
    monkeypatch.setattr("mindrestore.training.trainer.TrainingLog", TrainingLog)
    train(tiny_run(disk / "whole", "training.steps=3"), resume=True)
    assert load_arrays(disk / "whole/last_state.ckpt")[1]["step"] == 3


@pytest.mark.usefixtures("prepared")
def test_an_export_names_the_disk_that_is_full(disk, tmp_path, monkeypatch, capsys):
    """It is made in the folder of temporary files, which may be another disk."""
    (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 8192))
    arguments = ["export", "--height", "16", "--width", "16", "--output"]
    assert main([*arguments, str(disk / "net.mindir")]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"error: {disk / 'net.mindir'}: takes about " in said and [path.name for path in disk.iterdir()] == ["filler"]
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    assert main([*arguments, str(tmp_path / "net.mindir")]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"error: {disk}" in said and " free on its disk" in said and not (tmp_path / "net.mindir").exists()


def test_a_converted_checkpoint_that_does_not_fit_is_not_there(tmp_path):
    with files_limited_to(8000), pytest.raises(UserError, match=FULL):
        convert(GOLDEN / "revsci_two_way.pth", tmp_path / "ours.ckpt")
    assert not os.listdir(tmp_path)


def test_a_database_that_is_damaged_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr("mindrestore.data.lmdb_writer._begin", lambda partial, record: None)  # it is of these very frames
    write_frames(tmp_path / "clips" / "000")
    (tmp_path / "a.lmdb.partial").mkdir()
    (tmp_path / "a.lmdb.partial" / "data.mdb").write_bytes(bytes(range(256)) * 64)
    with pytest.raises(UserError, match="a.lmdb.partial: is damaged .*; remove it and run this again"):
        create_lmdb(tmp_path / "clips", tmp_path / "a.lmdb", workers=1)
