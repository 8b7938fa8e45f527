"""What cannot be written is refused before anything is computed: one sentence, and nothing is left behind."""

import os
import shutil
from types import SimpleNamespace

import cv2
import pytest
from builders import StandIn, tiny_run, video_config, write_frames
from disks import mounted, read_only
from places import GOLDEN, ROOT, module_at

from mindrestore import files
from mindrestore.checkpoints.loading import Loaded
from mindrestore.cli import main
from mindrestore.errors import UserError
from mindrestore.evaluation.video import evaluate_videos
from mindrestore.files import check_writable, replacing, replacing_folder, write_text
from mindrestore.media.room import room_for
from mindrestore.restore import run, simulation
from mindrestore.restore.networks import TaskNetwork
from mindrestore.restore.run import Request, restore

SCRIPTS = ROOT / "src" / "scripts"


def fails(*_, **__):
    raise AssertionError("the work began")


@pytest.fixture
def without_work(monkeypatch):
    """Networks that are neither made nor trained nor restore anything."""
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, StandIn(), ROOT / "README.md", (2, 8, 8), (0, 4, 4))]
    )
    monkeypatch.setattr(StandIn, "compute", fails)
    monkeypatch.setattr("mindrestore.training.trainer.JOBS", {"snapshot": fails})
    monkeypatch.setattr("mindrestore.evaluation.snapshots.Reconstructor", fails)
    monkeypatch.setattr("mindrestore.deploy.export._exported", fails)
    monkeypatch.setattr("mindrestore.checkpoints.convert.recognised", fails)
    monkeypatch.setattr(simulation, "draw_mask", fails)
    monkeypatch.setattr("mindrestore.restore.masks.draw_mask", fails)
    monkeypatch.setattr("mindrestore.data.lmdb_writer._create", fails)


def commands(tmp_path):
    """By name of the command: (program, arguments before the output)."""
    frames, config = write_frames(tmp_path / "in" / "000"), tmp_path / "in" / "tiny.yaml"
    config.write_text(tiny_run("nowhere").model_dump_json())
    (tmp_path / "in" / "log.jsonl").write_text('{"step": 1, "loss": 0.5}\n')
    lmdb = module_at(SCRIPTS / "create_lmdb.py").main
    return {
        "train": (main, ["train", "--config", config, "--output"]),
        "eval": (main, ["eval", "--output"]),
        "captures": (main, ["eval", "--captures", config, "--mask", config, "--output"]),
        "restore": (main, ["restore", "--task", "deblur", frames]),
        "simulate": (main, ["simulate", frames, "--ratio", "2"]),
        "export": (main, ["export", "--height", "16", "--width", "16", "--output"]),
        "convert": (main, ["convert", GOLDEN / "revsci_two_way.pth"]),
        "plot": (main, ["plot", tmp_path / "in" / "log.jsonl", "--output"]),
        "create_lmdb": (lmdb, [frames.parent]),
        "list": (lmdb, [frames.parent, tmp_path / "set.lmdb", "--write-list"]),
        "mask": (main, ["mask", "make", "--size", "8", "8"]),
        "sheet": (main, ["mask", "make", tmp_path / "mask.npz", "--size", "8", "8", "--sheet"]),
        "calibrate": (main, ["mask", "calibrate", frames, frames]),
    }


OUTPUTS = {
    "simulate": "out.mat",
    "export": "out.mindir",
    "convert": "out.ckpt",
    "plot": "out.svg",
    "create_lmdb": "out.lmdb",
    "list": "out.txt",
    "mask": "out.npz",
    "sheet": "out.png",
    "calibrate": "out.mat",
}
NAMES = ["train", "eval", "captures", "restore", *OUTPUTS]


def refused(run_command, arguments, capsys):
    """Return the only sentence that a command says."""
    capsys.readouterr()
    assert run_command(list(map(str, arguments))) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].startswith("mindrestore: error: "), said
    return said[0]


@pytest.mark.usefixtures("prepared", "without_work")
@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_cannot_be_written(name, tmp_path, capsys):
    program, arguments = commands(tmp_path)[name]
    with read_only(tmp_path / "locked") as folder:
        for deeper in ("", "new/"):
            output = folder / f"{deeper}{OUTPUTS.get(name, 'out')}"
            said = refused(program, [*arguments, output], capsys)
            assert f"{folder}" in said and "cannot be written" in said and "choose a folder you may write to" in said
        assert not list(folder.iterdir())


@pytest.mark.usefixtures("prepared", "without_work")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("letter", ["a", "\u5f71"], ids=["ascii", "three bytes a letter"])
def test_a_name_that_is_too_long(name, letter, tmp_path, capsys):
    program, arguments = commands(tmp_path)[name]
    suffix = OUTPUTS.get(name, "out").removeprefix("out")
    long = letter * (300 // len(letter.encode())) + suffix
    (tmp_path / "results").mkdir()
    said = refused(program, [*arguments, tmp_path / "results" / long], capsys)
    assert "name is too long; choose a shorter one" in said
    said = refused(program, [*arguments, tmp_path / "results" / long.removesuffix(suffix) / f"out{suffix}"], capsys)
    assert "name is too long; choose a shorter one" in said
    assert not list((tmp_path / "results").iterdir())


@pytest.mark.usefixtures("prepared", "without_work")
@pytest.mark.parametrize("name", NAMES)
def test_a_file_where_a_folder_should_be(name, tmp_path, capsys):
    program, arguments = commands(tmp_path)[name]
    (tmp_path / "file").write_text("content")
    said = refused(program, [*arguments, tmp_path / "file" / OUTPUTS.get(name, "out")], capsys)
    assert "cannot be written (" in said and "choose a folder" in said and (tmp_path / "file").read_text() == "content"


def test_names_as_long_as_they_may_be_are_written(tmp_path):
    """What is written beside a name is called by less of it."""
    for letter in ("a", "\u5f71"):
        name = letter * (251 // len(letter.encode()))
        write_text(tmp_path / f"{name}.csv", "x")
        with replacing_folder(tmp_path / name) as folder:
            (folder / "a").touch()
        check_writable(tmp_path / "new" / name, 1)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(UserError, match="a.csv: is a folder; give the name of a file"), replacing(tmp_path / "a.csv"):
        fails()
    assert [path.name for path in tmp_path.rglob("*")] == ["a.csv"]


@pytest.mark.parametrize("length, fine", [(244, True), (249, True), (250, False)])
def test_a_restoration_has_room_for_the_names_beside_its_own(length, fine, tmp_path, monkeypatch):
    """Finished frames lie in a folder called as the result and ``.part``."""
    write_frames(tmp_path / "in")
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, StandIn(), ROOT / "README.md", (2, 8, 8), (0, 4, 4))]
    )
    output = tmp_path / ("a" * length)
    if fine:
        restore(Request(tmp_path / "in", output, "deblur"), lambda line: None)
        assert len(list(output.iterdir())) == 2
    else:
        with pytest.raises(UserError, match="name is too long"):
            restore(Request(tmp_path / "in", output, "deblur"), fails)
    assert len(list(tmp_path.iterdir())) == 1 + fine


def test_a_name_beside_the_result_that_is_too_long(tmp_path, monkeypatch):
    write_frames(tmp_path / "in")
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, StandIn(), ROOT / "README.md", (2, 8, 8), (0, 4, 4))]
    )
    for option in ("preview", "compare"):
        with pytest.raises(UserError, match=f"_{option}.*name is too long"):
            restore(Request(tmp_path / "in", tmp_path / ("a" * 249), "deblur", **{option: True}), fails)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("suffix", [".jp2", ".webp", ".ppm"])
def test_a_suffix_that_no_encoder_serves(suffix, tmp_path, monkeypatch):
    write_frames(tmp_path / "in", ["0.png"])
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, StandIn(), ROOT / "README.md", (1, 8, 8), (0, 4, 4))]
    )
    monkeypatch.setattr(cv2, "haveImageWriter", lambda path: False)
    with pytest.raises(UserError, match=f"(writes no {suffix} pictures|no clip that is written ends in {suffix})"):
        restore(Request(tmp_path / "in", tmp_path / f"out{suffix}", "deblur"), fails)
    assert len(list(tmp_path.iterdir())) == 1


# Too little disk


@pytest.fixture
def free(monkeypatch):
    """``free(count)``: so many bytes are free on every disk."""

    def use(count):
        monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=count))

    return use


def test_too_little_disk_for_a_restoration(tmp_path, monkeypatch, free):
    """Frames of noise on a disk for half of them; pictures become those of a folder, those of a .tif lie there twice."""
    write_frames(tmp_path / "in", [f"{number}.png" for number in range(10)], (100, 100))
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, StandIn(), ROOT / "README.md", (2, 96, 96), (0, 4, 4))]
    )
    monkeypatch.setattr(StandIn, "compute", fails)
    size = room_for(10, 100, 100)
    for name, copies in (("out", 1), ("out.tif", 2), ("out.mp4", 1)):
        free(copies * size - 1)
        with pytest.raises(UserError, match=f"{name}: takes about 0.[12] MB, and 0.[01] MB are free on its disk"):
            restore(Request(tmp_path / "in", tmp_path / name, "deblur"), fails)
        free(copies * size)
        with pytest.raises(AssertionError, match="the work began"):
            restore(Request(tmp_path / "in", tmp_path / name, "deblur"), fails)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_too_little_disk_for_measurements(tmp_path, free, monkeypatch):
    write_frames(tmp_path / "in", size=(100, 100))
    free(1000)
    monkeypatch.setattr(simulation, "draw_mask", fails)
    with pytest.raises(UserError, match="out.mat: takes about 0.0 MB"):
        simulation.simulate(tmp_path / "in", tmp_path / "out.mat", ratio=2)


def test_too_little_disk_for_frames_of_an_evaluation(tmp_path, free, monkeypatch):
    write_frames(tmp_path / "clips" / "000", [f"{number}.png" for number in range(4)], (64, 64))
    config = video_config("sr", gt=str(tmp_path / "clips"), save_frames=True)
    free(room_for(4, 64, 64) - 1)
    monkeypatch.setattr(StandIn, "compute", fails)
    with pytest.raises(UserError, match="frames: takes about 0.0 MB"):
        evaluate_videos(config, [Loaded(StandIn(4), True, "x.ckpt")], tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("prepared")
def test_too_little_disk_for_a_training(tmp_path, capsys, free, monkeypatch):
    config = tmp_path / "tiny.yaml"
    config.write_text(tiny_run(tmp_path / "run").model_dump_json())
    monkeypatch.setattr("mindrestore.training.trainer._Run", fails)
    free(10_000)
    said = refused(main, ["train", "--config", config], capsys)
    assert f"{tmp_path / 'run' / 'last_state.ckpt'}: takes about " in said and not (tmp_path / "run").exists()


def test_a_disk_that_is_small_for_real(tmp_path):
    with mounted(tmp_path / "disk", "size=1m") as disk:
        check_writable(disk / "a", 900_000)
        with pytest.raises(UserError, match="a: takes about 2.0 MB, and 1.0 MB are free on its disk; free some space"):
            check_writable(disk / "new" / "a", 2_000_000)
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))
        check_writable(disk / "a")
        assert os.listdir(disk) == ["filler"]
