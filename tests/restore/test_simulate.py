"""``mindrestore simulate``: measurements that follow from clip and mask, read back by everyone."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from mindrestore.cli import main
from mindrestore.data.frames import read_clip
from mindrestore.data.measurements import load_measurements
from mindrestore.data.scenes import load_scene
from mindrestore.media.clips import open_clip
from mindrestore.media.writing import write_clip
from mindrestore.sensing.bayer import mosaic

HEIGHT, WIDTH = 36, 50


@pytest.fixture
def video(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    images = [
        np.stack([(4 * rows + 2 * columns + shade + 9 * number) % 200 for shade in (0, 20, 55)], -1).astype(np.uint8)
        for number in range(11)
    ]
    write_clip("in.avi", images, 11, 24)
    return Path("in.avi")


def simulated(*options):
    assert main(["simulate", "in.avi", "out.mat", *map(str, options)]) == 0
    return scipy.io.loadmat("out.mat")


def test_measurements_are_the_masked_sums_of_the_originals(video, capsys):
    found = simulated("--ratio", 4)
    assert "2 measurements of 4 frames of 50 x 36; 3 of the video's 11 frames are not measured" in capsys.readouterr().out
    orig, meas, mask = (found[key].astype(np.float64) for key in ("orig", "meas", "mask"))
    assert orig.shape == (HEIGHT, WIDTH, 8) and meas.shape == (HEIGHT, WIDTH, 2) and mask.shape == (HEIGHT, WIDTH, 4)
    assert found["orig"].dtype == found["mask"].dtype == np.uint8 and set(np.unique(mask)) == {0, 1}
    assert 0.45 < mask.mean() < 0.55 and found["frame_rate"].item() == 24
    for number in range(2):
        expected = (mask * orig[..., 4 * number : 4 * number + 4]).sum(-1)
        np.testing.assert_allclose(meas[..., number], expected, atol=1e-2)
    np.testing.assert_allclose(orig.transpose(2, 0, 1), 255 * read_clip("in.avi")[:8], atol=0.5001)


def test_colour_is_measured_behind_a_bayer_filter(video):
    found = simulated("--ratio", 5, "--colour", "--frames", 5)
    orig = np.moveaxis(found["orig"].astype(np.float32), (2, 3), (0, 1))  # (3, T, H, W)
    expected = (np.moveaxis(found["mask"], -1, 0) * mosaic(orig)).sum(0)
    np.testing.assert_allclose(found["meas"][..., 0], expected, atol=1e-2)
    back = load_measurements("out.mat")
    assert back.colour and back.rate == 24 and load_scene("out.mat").clip.shape == (3, 5, HEIGHT, WIDTH)


def test_noise_has_its_level_and_seed_and_bits_their_steps(video):
    clean, one, again, other = (
        simulated(*options)["meas"] for options in ((), ("--noise", 12), ("--noise", 12), ("--noise", 12, "--seed", 1))
    )
    assert np.std(one - clean) == pytest.approx(12, rel=0.05)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1
    assert len(np.unique(simulated("--bits", 4)["meas"])) <= 16


def test_a_mask_of_ones_own_cuts_larger_frames_to_their_middle(video):
    mask = np.random.default_rng(0).random((6, 20, 30)).astype(np.float32)
    np.save("mask.npy", mask)
    found = simulated("--ratio", 5, "--mask", "mask.npy")
    np.testing.assert_array_equal(np.moveaxis(found["mask"], -1, 0), mask[:5])
    middle = 255 * read_clip("in.avi")[:, 8:28, 10:40]
    np.testing.assert_allclose(np.moveaxis(found["orig"], -1, 0), middle[:10], atol=0.5001)


def test_any_reader_and_both_of_ours(video, monkeypatch):
    simulated("--ratio", 4)
    back, scene, stored = load_measurements("out.mat"), load_scene("out.mat"), scipy.io.loadmat("out.mat")
    np.testing.assert_array_equal(back.mask, np.moveaxis(stored["mask"], -1, 0))
    np.testing.assert_array_equal(scene.mask, back.mask)
    np.testing.assert_allclose(back.measurements * 255, np.moveaxis(stored["meas"], -1, 0), rtol=1e-6)
    np.testing.assert_array_equal(scene.clip * 255, np.moveaxis(stored["orig"], -1, 0))


def test_simulate_then_restore_and_evaluate(video, capsys):
    """With the network that ships."""
    simulated("--ratio", 5)
    assert main(["restore", "out.mat", "back.mp4", "--task", "sci", "--compare", "--preview", "--go-on"]) == 0
    clip = open_clip("back.mp4")
    assert (clip.count, clip.height, clip.width, clip.rate) == (10, HEIGHT, WIDTH, 24)
    truth = read_clip("in.avi")[:10]
    assert np.abs(read_clip("back.mp4") - truth).mean() < np.abs(truth.mean(0) - truth).mean()
    assert open_clip("back_compare.mp4").count == 10 and cv2.imread("back_preview.png") is not None
    assert main(["eval", "--scenes", "out.mat", "--mask", "stored", "--output", "scores", "evaluation.frames=5"]) == 0
    scores = json.loads(Path("scores/results.json").read_text())
    assert scores["scenes"]["out"]["network"]["measurements"] == 2 and scores["mean"]["name"] == "mean of 1"


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["in.avi", "out.txt"], "give a name that ends in .mat"),
        (["in.avi", "out.mat", "--ratio", "12"], "has 11 frames, too few for one measurement of 12"),
        (["in.avi", "out.mat", "--ratio", "0"], "--ratio 0: it must be 1 or more"),
        (["in.avi", "out.mat", "--noise", "-1"], "--noise -1"),
        (["in.avi", "out.mat", "--bits", "17"], "bits must be a whole number from 1 to 16"),
        (["in.avi", "out.mat", "--mask", "no.mat"], "no.mat: no such mask file"),
        (["no.avi", "out.mat"], "no.avi: no such video"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, named, video, capsys):
    assert main(["simulate", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mindrestore: error: ") and named in error
    assert [path.name for path in Path().iterdir()] == ["in.avi"]


@pytest.mark.parametrize(
    "arrays, named",
    [
        (dict(orig=np.ones((4, 4, 2))), "holds no mask, so it is a camera's capture"),
        (dict(mask=np.ones((4, 4, 2))), "no measurement in it"),
        (dict(mask=np.ones((4, 4, 2)), meas=np.ones((4, 5))), "4 x 5 do not fit a mask of 4 x 4"),
        (dict(mask=np.ones((4, 4, 2)), meas=np.full((4, 4), np.nan)), "finite"),
    ],
)
def test_files_that_are_no_measurements(arrays, named, tmp_path, capsys):
    scipy.io.savemat(tmp_path / "in.mat", arrays)
    assert main(["restore", str(tmp_path / "in.mat"), str(tmp_path / "out"), "--task", "sci"]) == 2
    assert named in capsys.readouterr().err


def test_colour_measurements_need_a_network_for_colour(video, capsys):
    simulated("--ratio", 4, "--colour")
    assert main(["restore", "out.mat", "back.mp4", "--task", "sci"]) == 2
    assert "was measured in colour" in capsys.readouterr().err
