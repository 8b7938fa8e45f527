"""Numbers that cannot be are named where they enter, with file, frame and place; units are stored, or said."""

import itertools
import json

import numpy as np
import pytest
import scipy.io
from builders import StandIn

from mindrestore import errors
from mindrestore.checkpoints import load_published_weights
from mindrestore.cli import main
from mindrestore.data.captures import load_capture
from mindrestore.data.measurements import load_measurements, save_measurements
from mindrestore.data.scenes import load_scene
from mindrestore.errors import UserError
from mindrestore.evaluation.results import Row
from mindrestore.evaluation.video_results import ClipResults, ClipScorer
from mindrestore.media.writing import write_clip
from mindrestore.metrics import psnr
from mindrestore.models import create_model
from mindrestore.restore import Reconstructor, restore_video
from mindrestore.sensing import SnapshotImaging, load_mask, random_mask

BINARY = random_mask(4, 6, 8, rng=0)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(errors, "_said", set())


def saved(path, **arrays):
    """Write arrays, time last, as a MATLAB file; (F, H, W) becomes H x W x F."""
    scipy.io.savemat(
        path, {name: np.moveaxis(array, 0, -1) if np.ndim(array) == 3 else array for name, array in arrays.items()}
    )
    return path


def refusal(read, *arguments):
    with pytest.raises(UserError) as caught:
        read(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_value(array, value, place=(2, 3, 4)):
    changed = array.astype(np.float64)
    changed[place] = value
    return changed


# Masks


@pytest.mark.parametrize(
    "kind, largest",
    [(np.uint8, 255), (np.uint8, 2), *itertools.product([np.uint16, np.int32, np.float32, np.float64], [255, 2, 65535])],
)
def test_whole_numbers_mean_the_same_in_every_type_and_are_said(kind, largest, tmp_path, capsys):
    path = saved(tmp_path / "m.mat", mask=(BINARY * largest).astype(kind))
    np.testing.assert_array_equal(load_mask(path), BINARY)
    assert f"m.mat: the mask holds whole numbers from 0 to {largest}; they are divided by {largest}" in capsys.readouterr().err


def test_fractions_keep_their_values_and_nothing_is_said(tmp_path, capsys):
    calibrated = np.random.default_rng(0).random((4, 6, 8)).astype(np.float32) * 1.1
    np.testing.assert_array_equal(load_mask(saved(tmp_path / "c.mat", mask=calibrated)), calibrated)
    np.testing.assert_array_equal(load_mask(saved(tmp_path / "b.mat", mask=BINARY.astype(np.float64))), BINARY)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "mask, words",
    [
        (with_value(BINARY, np.nan), "the mask is nan at plane 2, row 3, column 4 (counted from 0); expected finite numbers"),
        (with_value(BINARY, np.inf), "the mask is inf at plane 2, row 3, column 4"),
        (
            with_value(BINARY, -0.5),
            "the mask is -0.5 at plane 2, row 3, column 4 (counted from 0); expected numbers of 0 or more",
        ),
        (with_value(BINARY, 1e30), "the mask is 1e+30 at plane 2, row 3, column 4"),
        (
            with_value(BINARY, 3.5),
            "the mask is 3.5 at plane 2, row 3, column 4 (counted from 0); expected the part of the light",
        ),
        (np.zeros((4, 6, 8)), "the mask is 0 everywhere"),
        (np.zeros((4, 6, 8), np.uint8), "the mask is 0 everywhere"),
    ],
)
@pytest.mark.parametrize("suffix", [".mat", ".npz", ".npy"])
def test_masks_that_cannot_be_are_named_by_plane_and_place(mask, words, suffix, tmp_path):
    path = tmp_path / f"m{suffix}"
    if suffix == ".mat":
        saved(path, mask=mask)
    else:
        np.save(path, mask) if suffix == ".npy" else np.savez(path, mask=mask)
    assert f"{path}: {words}" in refusal(load_mask, path)


def test_a_mask_of_another_size_is_named(tmp_path):
    path = saved(tmp_path / "x.mat", meas=np.ones((2, 6, 8)), mask=random_mask(4, 6, 7, rng=0))
    assert "measurements of 6 x 8 do not fit a mask of 6 x 7" in refusal(load_measurements, path)


# Measurements

CLIP = np.random.default_rng(1).integers(0, 256, (8, 6, 8)).astype(np.uint8)


def measured(clip):
    camera = SnapshotImaging(BINARY)
    return np.stack([camera.A(clip[at : at + 4]) for at in (0, 4)])  # in the clip's own unit


@pytest.mark.parametrize(
    "value, words",
    [
        (np.nan, "meas is nan at measurement 1, row 3, column 4 (counted from 0); expected finite numbers"),
        (-np.inf, "meas is -inf at measurement 1, row 3, column 4"),
        (-1e6, "where white 255, as its white says, allows 0 to"),
        (1e9, "where white 255, as its white says, allows 0 to"),
    ],
)
def test_measurements_that_cannot_be_are_named(value, words, tmp_path):
    path = saved(tmp_path / "x.mat", meas=with_value(measured(CLIP), value, (1, 3, 4)), mask=BINARY, white=255.0)
    assert f"{path}: " in refusal(load_measurements, path) and words in refusal(load_measurements, path)


@pytest.mark.parametrize("shade", [1, 3, 40, 255])
def test_simulated_measurements_keep_their_unit_however_dark(shade, tmp_path, capsys):
    clip = (CLIP > 128).astype(np.uint8) * np.uint8(shade)
    save_measurements(tmp_path / "x.mat", clip, measured(clip) / 255, BINARY, rate=25.0)
    found = load_measurements(tmp_path / "x.mat")
    np.testing.assert_allclose(found.measurements, measured(clip) / 255, rtol=1e-5)
    assert found.rate == 25 and not found.colour and capsys.readouterr().err == ""


@pytest.mark.parametrize("shade", [1, 255])
@pytest.mark.parametrize("white", [255, 1])
def test_without_a_stored_white_the_clip_tells_it(shade, white, tmp_path, capsys):
    clip = (CLIP > 128).astype(np.uint8) * np.uint8(shade)
    path = saved(tmp_path / "x.mat", orig=clip, meas=measured(clip) / 255 * white, mask=BINARY)
    np.testing.assert_allclose(load_measurements(path).measurements, measured(clip) / 255, rtol=1e-5)
    assert capsys.readouterr().err == ""


def test_a_guess_is_said_and_a_stored_white_believed(tmp_path, capsys):
    path = saved(tmp_path / "x.mat", meas=measured(CLIP), mask=BINARY)
    np.testing.assert_allclose(load_measurements(path).measurements, measured(CLIP) / 255, rtol=1e-5)
    assert "x.mat: does not say the white of its measurements; it is taken to be 255" in capsys.readouterr().err
    path = saved(tmp_path / "y.mat", meas=measured(CLIP) / 255 * 1000, mask=BINARY, white=1000.0)
    np.testing.assert_allclose(load_measurements(path).measurements, measured(CLIP) / 255, rtol=1e-5)
    assert capsys.readouterr().err == ""


def test_measurements_of_8_bits_are_a_cameras_with_a_mask_beside_them_and_without(tmp_path, capsys):
    stored = np.rint(measured(CLIP) / measured(CLIP).max() * 255).astype(np.uint8)
    with_mask = load_measurements(saved(tmp_path / "a_cr_4.mat", meas=stored, mask=BINARY))
    assert "meas has 8 bits and the file does not say its white" in capsys.readouterr().err
    mask = saved(tmp_path / "mask.mat", mask=BINARY)
    without = load_measurements(saved(tmp_path / "b_cr_4.mat", meas=stored), mask)
    np.testing.assert_array_equal(with_mask.measurements, without.measurements)


@pytest.mark.parametrize(
    "more, words",
    [
        (dict(white=1.0), "where white 1, as its white says, allows 0 to"),
        (dict(white=0.0), "white is 0; expected"),
        (dict(white=-1.0), "white is -1; expected"),
        (dict(white=np.nan), "white is 1 x 1 of nan; expected one finite number"),
        (dict(white=np.ones((2, 2))), "white is 2 x 2 of 1; expected one finite number"),
        (dict(frame_rate=-3.0), "frame_rate is -3; expected"),
        (dict(frame_rate=np.inf), "frame_rate is 1 x 1 of inf"),
        (dict(frame_rate=1e6), "frame_rate is 1e+06; expected"),
    ],
)
def test_what_a_file_says_of_itself_is_checked(more, words, tmp_path):
    path = saved(tmp_path / "x.mat", meas=measured(CLIP), mask=BINARY, **more)
    assert words in refusal(load_measurements, path)


def test_an_empty_rate_is_as_if_it_were_not_there(tmp_path, capsys):
    path = saved(tmp_path / "x.mat", meas=measured(CLIP), mask=BINARY, frame_rate=np.zeros((0, 0)), white=255.0)
    assert load_measurements(path).rate is None
    assert "frame_rate is empty, as if it were not there" in capsys.readouterr().err


def test_noise_may_be_negative_and_is_said(tmp_path, capsys):
    noisy = measured(CLIP) - 60.0
    found = load_measurements(saved(tmp_path / "x.mat", meas=noisy, mask=BINARY, white=255.0))
    np.testing.assert_allclose(found.measurements, noisy / 255, rtol=1e-5)
    assert "meas holds numbers down to" in capsys.readouterr().err


@pytest.mark.parametrize(
    "mask, words",
    [
        (scipy.sparse.eye(6, 8), "mask is a sparse array"),
        (BINARY * 1j, "mask is an array of complex numbers"),
        ({"planes": BINARY}, "mask is a struct"),
        (np.array([BINARY, 1], object), "mask is a cell array"),
        ("open", "mask is text"),
    ],
)
def test_a_mask_of_another_kind_is_said_to_be_one(mask, words, tmp_path):
    scipy.io.savemat(tmp_path / "x.mat", {"meas": np.moveaxis(measured(CLIP), 0, -1), "mask": mask})
    for read in (load_measurements, load_mask):
        assert f"{words}; expected a full array of real numbers" in refusal(read, tmp_path / "x.mat")


def test_clips_and_captures_are_named_by_frame(tmp_path):
    meas = with_value(measured(CLIP) / 9, 256, (1, 0, 2))
    path = saved(tmp_path / "scene_cr_4.mat", orig=with_value(CLIP, np.nan), meas=meas)
    assert "the clip is nan at frame 2, row 3, column 4 (counted from 0)" in refusal(load_scene, path)
    assert "meas is 256 at measurement 1, row 0, column 2 (counted from 0); expected 0..255" in refusal(load_capture, path)
    colour = np.repeat(with_value(CLIP, -1)[:, None], 3, 1)  # (F, 3, H, W)
    scipy.io.savemat(tmp_path / "c.mat", {"orig": colour.transpose(2, 3, 1, 0)})
    assert "the clip is -1 at frame 2, colour 0, row 3, column 4" in refusal(load_scene, tmp_path / "c.mat")


# Weights and results


def test_weights_that_are_not_finite_are_refused_and_named():
    network = create_model("revsci", blocks=1, channels=8)
    arrays = {parameter.name: parameter.numpy().copy() for parameter in network.get_parameters()}
    before = {name: array.copy() for name, array in arrays.items()}
    arrays["layers.0.f1.0.weight"][0, 0, 0, 0, 0] = np.nan
    assert "1 of" in refusal(load_published_weights, network, arrays)
    assert "weights hold NaN or infinity (layers.0.f1.0.weight)" in refusal(load_published_weights, network, arrays)
    for parameter in network.get_parameters():
        np.testing.assert_array_equal(parameter.numpy(), before[parameter.name])


class Diverged(StandIn):
    """Gives NaN where the input is white."""

    def compute(self, x):
        return np.where(x == 1, np.float32(np.nan), x)


def test_a_result_that_is_not_finite_stops_with_its_frame():
    clip = np.zeros((7, 3, 16, 16), np.float32)
    clip[5, 1, 2, 3] = 1
    frames = restore_video(Diverged(), clip, tile=(2, 16, 16), overlap=(0, 8, 8))
    for _ in range(5):
        next(frames)
    assert "restored frame 5 is nan at colour 1, row 2, column 3" in refusal(next, frames)


def test_a_frame_that_is_not_finite_is_named():
    clip = np.zeros((7, 3, 16, 16), np.float32)
    clip[4, 2, 1, 0] = np.inf
    frames = restore_video(StandIn(), clip, tile=(2, 16, 16), overlap=(0, 8, 8))
    assert "frame 4 of the clip is inf at colour 2, row 1, column 0" in refusal(list, frames)


def test_a_reconstruction_that_is_not_finite_stops_with_its_frame(prepared):
    network = create_model("revsci", blocks=1, channels=8)
    parameter = next(iter(network.get_parameters()))
    array = parameter.numpy().copy()
    array[...] = np.nan
    parameter.set_data(type(parameter)(array))
    assert "restored frame 0 is nan at" in refusal(Reconstructor(network), np.ones((8, 8), np.float32), random_mask(4, 8, 8))


# Scores


def test_a_frame_that_equals_its_truth_spoils_no_mean():
    rng = np.random.default_rng(0)
    truth = rng.random((3, 3, 16, 16)).astype(np.float32)
    frames = truth + np.float32(0.1) * rng.standard_normal(truth.shape).astype(np.float32)
    frames[1] = truth[1]
    scorer, others = ClipScorer(), ClipScorer()
    for number in range(3):
        scorer.add(frames[number], truth[number])
        if number != 1:
            others.add(frames[number], truth[number])
    found, expected = scorer.result("clip", 3, 1.0), others.result("clip", 2, 1.0)
    assert np.isfinite(found.psnr) and found.psnr == pytest.approx(expected.psnr) and found.equal == 1 and not expected.equal
    assert found.ssim > expected.ssim  # of which every frame counts
    assert psnr(frames[:, 0], truth[:, 0]) == pytest.approx(psnr(frames[::2, 0], truth[::2, 0]))
    assert psnr(truth[:, 0], truth[:, 0]) == np.inf


def test_a_black_clip_is_said_and_the_mean_is_that_of_the_others():
    black = np.zeros((3, 16, 16), np.float32)
    scores = {}
    for name, frame in (("black", black), ("grey", black + 0.5)):
        scorer = ClipScorer()
        scorer.add(frame, black)
        scores[name] = scorer.result(name, 1, 0.0)
    results = ClipResults("test", {"network": "VRT"}, [Row(name, {"network": score}) for name, score in scores.items()], {})
    assert results.mean("network").psnr == scores["grey"].psnr and scores["black"].psnr == np.inf
    note = "frames that equal ground truth, whose PSNR is infinite and left out of means: black, VRT: 1"
    assert note in results.table()
    saved_as = json.loads(json.dumps(results.as_json(), allow_nan=False))
    assert saved_as["clips"]["black"]["network"]["psnr"] is None and saved_as["clips"]["black"]["network"]["equal"] == 1
    assert saved_as["mean"]["network"]["psnr"] == scores["grey"].psnr and saved_as["mean"]["network"]["equal"] == 1


@pytest.mark.parametrize(
    "options, words",
    [
        (["--seed", "-1"], "--seed -1: it must be 0 or more."),
        (["--noise", "nan"], "--noise nan: it must be a number"),
        (["--noise", "inf"], "--noise inf: it must be a number"),
        (["--noise", "-1"], "--noise -1.0: it must be a number"),
    ],
)
def test_options_of_simulate_that_cannot_be(options, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_clip("in.avi", [np.zeros((16, 16, 3), np.uint8)] * 8, 8, 25)
    assert main(["simulate", "in.avi", "out.mat", *options]) == 2
    assert words in capsys.readouterr().err
