"""``mindrestore plot``: pictures of runs finished, running, and without PSNR; what cannot be drawn is said."""

import json
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from places import ROOT

from mindrestore.cli import main
from mindrestore.errors import UserError
from mindrestore.training.curves import Run, draw, read_runs

LOGS = sorted((ROOT / "docs/training").glob("*.jsonl"))
AXES = ("loss", "learning rate", "validation PSNR, dB")


def write_run(folder, lines, rest=""):
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + rest)
    return folder


def losses(steps):
    return [{"step": step, "loss": 1 / step, "learning_rate": 1e-4, "seconds": 0.1 * step} for step in range(1, steps + 1)]


def words(picture):
    """Every text in an SVG picture."""
    return {"".join(element.itertext()) for element in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")}


def test_a_real_run_is_drawn_and_summed_up(tmp_path, capsys):
    log = next(log for log in LOGS if log.stem == "revsci_small")
    assert main(["plot", str(log), "--output", str(tmp_path / "curves.svg")]) == 0
    assert words(tmp_path / "curves.svg") >= {*AXES, "step", "revsci_small"}
    scores = [
        (line["validation_psnr"], line["step"])
        for line in map(json.loads, log.read_text().splitlines())
        if "validation_psnr" in line
    ]
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("revsci_small: step 1600, loss 0.049")
    assert said[0].endswith("best validation PSNR {:.3f} dB after step {}".format(*max(scores)))
    assert said[1] == f"Wrote {tmp_path / 'curves.svg'}."


def test_a_run_keeps_its_picture_and_equal_runs_give_equal_ones(tmp_path, capsys):
    folder = write_run(tmp_path / "runs/mine", losses(50) + [{"step": 50, "validation_psnr": 30.0}])
    pictures = []
    for _ in range(2):
        assert main(["plot", str(folder)]) == 0
        pictures.append((folder / "curves.svg").read_bytes())
    assert pictures[0] == pictures[1] and "mine" in words(folder / "curves.svg")
    assert sorted(path.name for path in folder.iterdir()) == ["curves.svg", "log.jsonl"]
    capsys.readouterr()


def test_several_runs_share_a_picture(tmp_path):
    runs = read_runs(LOGS)
    assert [run.name for run in runs] == [log.stem for log in LOGS]
    draw(runs, tmp_path / "all.svg")
    assert words(tmp_path / "all.svg") >= {*AXES, *(log.stem for log in LOGS)}
    draw(runs, tmp_path / "all.png")
    image = cv2.imread(str(tmp_path / "all.png"))
    colours = set(map(tuple, image.reshape(-1, 3).tolist()))
    for red, green, blue in ((31, 119, 180), (255, 127, 14), (44, 160, 44)):  # matplotlib's first three
        assert (blue, green, red) in colours
    same = [write_run(tmp_path / part / "run", losses(2)) for part in "ab"]
    assert [run.name for run in read_runs(same)] == list(map(str, same))  # told apart


def test_a_run_that_is_still_writing(tmp_path):
    half = write_run(tmp_path / "half", losses(3), '{"step": 4, "lo')
    assert read_runs([half])[0].curves["loss"] == ([1, 2, 3], [1, 1 / 2, 1 / 3])
    empty = write_run(tmp_path / "empty", [])
    with pytest.raises(UserError, match="empty/log.jsonl: nothing is logged in it yet"):
        read_runs([empty])


def test_a_run_without_psnr_has_two_panels(tmp_path):
    run = read_runs([write_run(tmp_path / "run", losses(3))])[0]
    assert run.summary() == "run: step 3, loss 0.33333"
    draw([run], tmp_path / "run.svg")
    assert set(AXES) - words(tmp_path / "run.svg") == {"validation PSNR, dB"}
    scored = Run("scored", {"validation_psnr": ([1, 2], [20.0, 21.0])})
    draw([run, scored], tmp_path / "both.svg")
    assert words(tmp_path / "both.svg") >= {*AXES, "run", "scored"}


def test_losses_that_are_no_numbers_leave_a_gap(tmp_path):
    lines = losses(200)
    for at, value in ((60, float("nan")), (90, float("inf"))):
        lines[at]["loss"] = value
    lines.append({"step": 200, "validation_psnr": float("nan")})
    run = read_runs([write_run(tmp_path / "run", lines)])[0]
    draw([run], tmp_path / "run.png")
    assert "PSNR" not in run.summary()
    assert np.ptp(cv2.imread(str(tmp_path / "run.png"))) > 0


@pytest.mark.parametrize(
    "make, named",
    [
        (lambda folder: [folder / "nowhere"], "nowhere: no such training run"),
        (lambda folder: [folder], "log.jsonl: no such log of a training run"),
        (lambda folder: [write_run(folder / "run", losses(2), "no line\n")], 'log.jsonl, line 3: "no line" is no line of'),
        (lambda folder: [write_run(folder / "run", losses(2)), "--output", folder / "picture.jpg"], "ends in .svg or .png"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_sentence(tmp_path, capsys, make, named):
    assert main(["plot", *map(str, make(tmp_path))]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith("mindrestore: error: ") and named in error[0]
    assert not list(tmp_path.rglob("*.jpg")) and not list(tmp_path.rglob("*.svg"))
