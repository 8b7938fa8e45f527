"""Metrics against published values and against their definitions."""

import numpy as np
import pytest
from places import GOLDEN

from mindrestore.errors import UserError
from mindrestore.metrics import psnr, ssim, to_uint8, to_y


@pytest.fixture(scope="module")
def golden():
    return dict(np.load(GOLDEN / "metrics.npz"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_published_values_in_rgb(golden):
    image, reference = golden["image_rgb"], golden["reference_rgb"]
    assert psnr(image, reference, channel_axis=-1) == pytest.approx(float(golden["psnr"]), abs=1e-6)
    assert ssim(image, reference, channel_axis=-1) == pytest.approx(float(golden["ssim"]), abs=1e-8)
    assert psnr(image, reference, border=4, channel_axis=-1) == pytest.approx(float(golden["psnr_border4"]), abs=1e-6)


def test_published_values_on_luma(golden):
    image, reference = to_y(golden["image_rgb"]), to_y(golden["reference_rgb"])
    assert psnr(image, reference, peak=255) == pytest.approx(float(golden["psnr_y"]), abs=1e-6)
    assert ssim(image, reference, peak=255) == pytest.approx(float(golden["ssim_y"]), abs=1e-8)


def test_the_channel_axis_may_stand_anywhere(golden):
    image, reference = golden["image_rgb"], golden["reference_rgb"]
    first = image.transpose(2, 0, 1), reference.transpose(2, 0, 1)
    assert psnr(*first, channel_axis=0) == pytest.approx(float(golden["psnr"]), abs=1e-6)
    assert ssim(*first, channel_axis=-3) == pytest.approx(float(golden["ssim"]), abs=1e-8)
    np.testing.assert_array_equal(to_y(first[0], 0), to_y(image))


def test_a_clip_scores_the_mean_of_its_frames(rng):
    clip, noise = rng.random((3, 4, 20, 24)), rng.normal(0, 0.1, (3, 4, 20, 24))
    for metric in (psnr, ssim):
        by_frame = [metric(clip[:, t] + noise[:, t], clip[:, t], channel_axis=0) for t in range(4)]
        assert metric(clip + noise, clip, channel_axis=0) == pytest.approx(np.mean(by_frame))
        grey = [metric(clip[0, t] + noise[0, t], clip[0, t]) for t in range(4)]
        assert metric(clip[0] + noise[0], clip[0]) == pytest.approx(np.mean(grey))


def test_the_estimate_is_clamped_and_not_rounded():
    reference = np.ones((12, 12))
    assert psnr(np.full((12, 12), 1.7), reference) == float("inf")
    assert psnr(np.full((12, 12), 1 - 1e-3), reference) == pytest.approx(60)


def test_scale_does_not_matter(rng):
    one, other = rng.random((16, 16)), rng.random((16, 16))
    assert psnr(one * 255, other * 255, peak=255) == pytest.approx(psnr(one, other))
    assert ssim(one * 255, other * 255, peak=255) == pytest.approx(ssim(one, other))


def test_equal_images_have_similarity_one(rng):
    image = rng.random((2, 15, 17))
    assert ssim(image, image) == pytest.approx(1)


def test_rounding_to_eight_bits():
    np.testing.assert_array_equal(to_uint8([-0.2, 0.5 / 255 + 1e-6, 1.2]), np.array([0, 1, 255], np.uint8))
    kept = np.array([3], np.uint8)
    assert to_uint8(kept) is kept


@pytest.mark.parametrize(
    "call, part",
    [
        (lambda: psnr(np.zeros((4, 4)), np.zeros((4, 5))), "one shape"),
        (lambda: psnr(np.zeros(4), np.zeros(4)), r"\(\.\.\., H, W\)"),
        (lambda: psnr(np.zeros((8, 8)), np.zeros((8, 8)), border=4), "border"),
        (lambda: psnr(np.zeros((8, 8)), np.zeros((8, 8)), border=-1), "border"),
        (lambda: ssim(np.zeros((10, 30)), np.zeros((10, 30))), "11 x 11"),
        (lambda: to_y(np.zeros((8, 8))), "three channels"),
    ],
)
def test_mistakes_are_named(call, part):
    with pytest.raises(UserError, match=part):
        call()
