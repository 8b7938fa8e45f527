"""``mindrestore mask``: made, looked at, calibrated; files that everything else reads."""

import cv2
import numpy as np
import pytest
import scipy.io

from mindrestore.cli import main
from mindrestore.data.measurements import save_measurements
from mindrestore.sensing import SnapshotImaging, load_mask
from mindrestore.sensing.calibration import moved
from mindrestore.sensing.mask_kinds import draw_mask

SIZE = ("--size", "24", "40")


@pytest.fixture(autouse=True)
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["mask.mat", "mask.npz", "mask.npy"])
@pytest.mark.parametrize("kind", ["shifted", "grey"])
def test_what_is_made_is_what_is_read(name, kind, capsys):
    assert main(["mask", "make", name, "--kind", kind, *SIZE, "--ratio", "5", "--seed", "2"]) == 0
    np.testing.assert_array_equal(load_mask(name), draw_mask(kind, 5, 24, 40, rng=2))
    made = capsys.readouterr().out
    assert "5 planes of 40 x 24" in made and ("one mask moved left by 1 pixel a frame" in made) == (kind == "shifted")
    assert main(["mask", "look", name]) == 0
    assert capsys.readouterr().out == made


def test_other_programs_read_it_too():
    assert main(["mask", "make", "mask.mat", *SIZE]) == 0
    stored = scipy.io.loadmat("mask.mat")["mask"]
    assert stored.shape == (24, 40, 8) and stored.dtype == np.uint8 and set(np.unique(stored)) == {0, 1}


def test_the_sheet_shows_every_plane_and_their_sum():
    assert main(["mask", "make", "mask.npy", "--ratio", "3", "--size", "260", "300", "--sheet", "sheet.png"]) == 0
    sheet, mask = cv2.imread("sheet.png", cv2.IMREAD_GRAYSCALE), load_mask("mask.npy")
    assert sheet.shape == (2 * (260 + 22) + 6, 4 * 300 + 3 * 6)
    for place in range(3):
        np.testing.assert_array_equal(sheet[22:282, 306 * place : 306 * place + 300], 255 * mask[place])
    np.testing.assert_allclose(sheet[22:282, 918:], 255 * mask.mean(0), atol=0.51)
    corner = sheet[-260:, :300]
    np.testing.assert_array_equal(corner[4::8, 4::8], 255 * mask[0, :32, :37])


def test_measurements_hold_a_mask_to_look_at(capsys):
    mask = draw_mask("shifted", 4, 24, 40, rng=0)
    clip = np.zeros((4, 24, 40), np.uint8)
    save_measurements("coded.mat", clip, np.zeros((1, 24, 40)), mask)
    assert main(["mask", "look", "coded.mat", "--ratio", "3"]) == 0
    assert "3 planes of 40 x 24" in capsys.readouterr().out


def test_a_white_surface_sets_a_mask_right(capsys):
    given = draw_mask("random", 8, 40, 48, rng=0)
    white = np.ones_like(given)
    seen = SnapshotImaging(0.9 * moved(given, (0.4, -0.2))).measure(np.stack([white, white]), read_noise=2 / 255, rng=0)
    save_measurements("white.mat", np.uint8(255 * np.concatenate([white, white])), seen, given)
    np.save("given.npy", given)
    assert main(["mask", "calibrate", "given.npy", "white.mat", "real.npz", "--white"]) == 0
    said = capsys.readouterr().out
    assert "lies 0.40 pixels below and 0.20 to the left" in said and "Light: 0.9" in said and "Wrote real.npz." in said
    np.testing.assert_allclose(load_mask("real.npz")[:, 2:-2, 2:-2], 0.9 * moved(given, (0.4, -0.2))[:, 2:-2, 2:-2], atol=0.03)


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["make", "mask.txt", *SIZE], "mask.txt: a mask file ends in .mat, .npz or .npy, got '.txt'"),
        (["make", "mask.npy", "--sheet", "sheet", *SIZE], "--sheet sheet: a picture is written"),
        (["look", "none.mat", "--sheet", "sheet.mp4"], "--sheet sheet.mp4: a picture is written"),
        (["make", "mask.npy", "--kind", "round", *SIZE], "'round': no such kind of mask"),
        (["make", "mask.npy", "--size", "0", "4"], "at least one plane of one pixel"),
        (["make", "mask.npy", "--density", "1.5", *SIZE], "density must lie above 0"),
        (["look", "none.mat"], "none.mat: no such mask file"),
        (["calibrate", "none.npy", "none.mat", "out.txt"], "out.txt: a mask file ends in"),
        (["calibrate", "none.npy", "none.mat", "out.npy"], "none.mat: no such .mat file"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, named, tmp_path, capsys):
    assert main(["mask", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith("mindrestore: error: ") and named in error[0]
    assert not list(tmp_path.iterdir())


def test_a_snapshot_that_is_not_there(capsys):
    mask = draw_mask("random", 2, 24, 40, rng=0)
    save_measurements("coded.mat", np.zeros((2, 24, 40), np.uint8), np.zeros((1, 24, 40)), mask)
    np.save("mask.npy", mask)
    assert main(["mask", "calibrate", "mask.npy", "coded.mat", "out.npy", "--number", "2"]) == 2
    assert "--number 2: coded.mat holds 1 snapshots" in capsys.readouterr().err
