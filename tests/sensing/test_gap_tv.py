"""GAP-TV: it reconstructs, and as well as is claimed."""

import numpy as np
import pytest
from places import REAL_DATA

from mindrestore.data.rendered import render_clip
from mindrestore.data.scenes import load_scene
from mindrestore.errors import UserError
from mindrestore.metrics import psnr
from mindrestore.sensing import SnapshotImaging, gap_tv, load_mask, random_mask
from mindrestore.sensing.bayer import demosaic


def test_grey_beats_the_normalised_adjoint_by_far():
    clip = render_clip(0, 8, 64, 64, photographs=("chelsea",), speed=2.0)
    camera = SnapshotImaging(random_mask(8, 64, 64, rng=0))
    measurement = camera.A(clip)
    estimate = gap_tv(measurement, camera.mask, iterations=25)
    assert estimate.shape == clip.shape and estimate.dtype == np.float32
    assert estimate.min() >= 0 and estimate.max() <= 1
    assert psnr(estimate, clip) > psnr(camera.A_adjoint(measurement) / camera.mask_sum, clip) + 10
    assert psnr(estimate, clip) > psnr(np.broadcast_to(measurement / camera.mask_sum, clip.shape), clip) + 3


def test_colour_beats_a_plain_demosaic():
    clip = render_clip(0, 8, 64, 64, photographs=("chelsea",), speed=2.0, colour=True)
    camera = SnapshotImaging(random_mask(8, 64, 64, rng=0), colour=True)
    measurement = camera.A(clip)
    plain = demosaic(np.repeat(camera.normalised(measurement)[None], 8, axis=0))
    estimate = gap_tv(measurement, camera.mask, iterations=25, colour=True)
    assert estimate.shape == clip.shape and estimate.dtype == np.float32
    assert psnr(estimate, clip, channel_axis=0) > psnr(plain, clip, channel_axis=0) + 2


def test_more_iterations_explain_more():
    clip = render_clip(5, 4, 48, 48, photographs=("camera",), speed=2.0)
    camera = SnapshotImaging(random_mask(4, 48, 48, rng=1))
    errors = [np.abs(camera.A(gap_tv(camera.A(clip), camera.mask, n)) - camera.A(clip)).mean() for n in (1, 5, 25)]
    assert errors[0] > errors[1] > errors[2]


def test_a_single_open_frame_comes_back_almost_whole():
    clip = render_clip(5, 1, 48, 48, photographs=("camera",), speed=0.0)
    assert psnr(gap_tv(clip[0], np.ones((1, 48, 48)), 50), clip) > 35


@pytest.mark.parametrize(
    "settings, part",
    [
        (dict(iterations=0), "iterations"),
        (dict(inner_iterations=0), "inner_iterations"),
        (dict(weight=0), "weight"),
        (dict(weight=float("nan")), "weight"),
    ],
)
def test_impossible_settings_are_named(settings, part):
    with pytest.raises(UserError, match=part):
        gap_tv(np.ones((8, 8)), np.ones((2, 8, 8)), **settings)


@pytest.mark.parametrize("shape", [(2, 8, 8), (8, 9)])
def test_a_measurement_of_the_wrong_shape_is_named(shape):
    with pytest.raises(UserError, match=r"\(.*H, W\)"):
        gap_tv(np.ones(shape), np.ones((2, 8, 8)))


def test_benchmark_scene_reaches_the_published_quality():
    folder = REAL_DATA / "sci"
    if not (folder / "drop8_cacti.mat").exists():
        pytest.skip(f"benchmark scenes are not in {folder}; set MINDRESTORE_DATA to the folder that has sci/")
    scene, mask = load_scene(folder / "drop8_cacti.mat"), load_mask(folder / "mask.mat")
    estimate = gap_tv(SnapshotImaging(mask).A(scene.clip), mask, iterations=25)
    assert psnr(estimate, scene.clip) > 34  # published, one run of GAP-TV with the stored mask: 34.63
