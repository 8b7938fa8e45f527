"""Evaluation: scenes to tables, pictures and warnings; captures to videos."""

import csv
import json

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from mindrestore.checkpoints.native import Metadata
from mindrestore.config import make_config
from mindrestore.data.scenes import BENCHMARK
from mindrestore.errors import UserError
from mindrestore.evaluation.results import Row
from mindrestore.evaluation.snapshot_results import SceneResults, SceneScore
from mindrestore.evaluation.snapshot_scenes import evaluation_mask
from mindrestore.evaluation.snapshots import evaluate, mask_warning, reconstruct_captures
from mindrestore.models import create_model
from mindrestore.sensing.masks import fingerprint, random_mask
from mindrestore.sensing.operator import SnapshotImaging

SIDE = 24


def benchmark_results(counts):
    rows = [
        Row(
            name,
            {"network": SceneScore(name, counts[name], 30.0 + place, ssim=0.9, residual=2.0, seconds=0.1)}
            if counts.get(name)
            else {},
        )
        for place, name in enumerate(BENCHMARK)
    ]
    return SceneResults("Six-scene benchmark", {"network": "RevSCI"}, rows, {"mask": "mask.mat"}, benchmark=True)


def published_counts():
    return {name: count for name, (_, count) in BENCHMARK.items()}


def test_only_six_whole_scenes_make_the_six_scene_mean():
    assert benchmark_results(published_counts()).mean_name() == "six-scene mean"
    assert benchmark_results(published_counts()).mean("network").psnr == pytest.approx(32.5)


@pytest.mark.parametrize("missing", ["Kobe", "Vehicle"])
def test_a_mean_over_fewer_scenes_says_so(missing):
    results = benchmark_results({**published_counts(), missing: 0})
    assert results.mean_name() == "mean of 5 of 6 scenes"
    assert "six-scene mean" not in results.table()
    line = next(line for line in results.table().splitlines() if line.startswith(missing))
    assert line.split() == [missing, "absent"]
    assert results.as_json()["scenes"][missing] is None


def test_a_scene_scored_in_part_is_marked():
    results = benchmark_results({**published_counts(), "Kobe": 1})
    assert results.mean_name() == "mean of 6, some in part"
    assert any(line.startswith("Kobe") and "1*" in line for line in results.table().splitlines())


@pytest.fixture
def scenes(tmp_path):
    """Two of the six scenes, small: Kobe of two measurements, Drop of one."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, frames in (("kobe_cacti", 16), ("drop8_cacti", 8)):
        savemat(
            folder / f"{name}.mat",
            {
                "orig": rng.integers(0, 256, (SIDE, SIDE, frames), dtype=np.uint8),
                "mask": rng.integers(0, 2, (SIDE, SIDE, 8), dtype=np.uint8),
            },
        )
    return folder


@pytest.fixture
def network():
    return create_model("revsci", blocks=2, channels=8)


def settings(scenes, *overrides):
    return make_config(
        {"name": "test", "evaluation": {"kind": "scenes", "path": str(scenes), "gap_tv": True, "gap_tv_iterations": 2}},
        overrides,
    )


def test_scenes_become_tables_and_pictures(scenes, network, tmp_path):
    folder = tmp_path / "out"
    results = evaluate(settings(scenes), network, Metadata("revsci", network.settings), folder, "x.ckpt")
    assert results.mean_name() == "mean of 2 of 6 scenes"
    table = (folder / "results.txt").read_text()
    assert "Traffic" in table and "absent" in table and "random, density 0.5, seed 0" in table
    stored = json.loads((folder / "results.json").read_text())
    assert stored["scenes"]["Kobe"]["network"]["measurements"] == 2
    assert stored["mean"]["network"]["psnr"] == pytest.approx(
        np.mean([stored["scenes"][name]["network"]["psnr"] for name in ("Kobe", "Drop")])
    )
    with open(folder / "results.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows if row["scene"] == "Drop"] == ["network", "gap_tv"]
    picture = cv2.imread(str(folder / "kobe.png"))
    assert picture.shape[1] == 4 * SIDE + 3 * 6


def test_the_stored_mask_is_used_where_asked_for(scenes, network, tmp_path):
    results = evaluate(settings(scenes, "mask.path=stored"), network, Metadata("revsci", {}, "random"), tmp_path / "o", "x")
    assert results.circumstances["mask"].count("stored with the scene") == 2
    assert "warning" not in results.circumstances


def test_another_mask_than_trained_with_is_a_warning():
    used = fingerprint(random_mask(8, 4, 4, rng=1))
    assert mask_warning("random", {used: None}) is None
    assert mask_warning(used, {used: None}) is None
    assert "trained with mask abc" in mask_warning("abc", {used: None})
    assert "does not say" in mask_warning(None, {used: None})


def test_masks_are_cut_but_known_by_the_whole(tmp_path):
    mask = random_mask(8, 32, 32, rng=0)
    np.save(tmp_path / "mask.npy", mask)
    config = make_config({"name": "test", "mask": {"path": str(tmp_path / "mask.npy")}})
    chosen = evaluation_mask(config, 16, 24, 8)
    assert np.array_equal(chosen.mask, mask[:, :16, :24])
    assert chosen.fingerprint == fingerprint(mask)


def test_captures_become_pictures_and_videos(network, tmp_path):
    mask = random_mask(10, SIDE, SIDE, rng=0)
    clip = np.random.default_rng(0).random((10, SIDE, SIDE), dtype=np.float32)
    measured = np.clip(SnapshotImaging(mask).A(clip) / 5 * 255, 0, 255).astype(np.uint8)
    savemat(tmp_path / "meas_ball_cr_10.mat", {"meas": np.stack([measured, measured], -1)})
    savemat(tmp_path / "mask.mat", {"mask": mask.transpose(1, 2, 0)})
    config = make_config(
        {
            "name": "test",
            "mask": {"path": str(tmp_path / "mask.mat")},
            "evaluation": {"kind": "captures", "path": str(tmp_path / "meas_ball_cr_10.mat")},
        }
    )
    lines = reconstruct_captures(config, network, Metadata("revsci", {}, "random"), tmp_path / "out")
    assert len(lines) == 2
    assert cv2.imread(str(tmp_path / "out" / "meas_ball_cr_10_2.png")).shape == (2 * SIDE, 5 * SIDE, 3)
    assert int(cv2.VideoCapture(str(tmp_path / "out" / "meas_ball_cr_10_1.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)) == 10


@pytest.mark.parametrize(
    "overrides, named",
    [
        (["evaluation.path=nowhere"], "nowhere"),
        (["mask.path=nowhere.mat"], "nowhere.mat"),
        (["mask.path=stored", "evaluation.frames=4"], "8 planes"),
    ],
)
def test_what_is_missing_is_named(scenes, network, tmp_path, overrides, named):
    with pytest.raises(UserError, match=named):
        evaluate(settings(scenes, *overrides), network, Metadata("revsci", {}), tmp_path / "out", "x")
    assert not (tmp_path / "out").exists()
