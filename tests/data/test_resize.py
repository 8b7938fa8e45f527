"""Bicubic resizing as MATLAB does it, and low quality made from ground truth."""

import numpy as np
import pytest

from mindrestore.data.degradation import blur_downsampled, blurred, degraded, noisy
from mindrestore.data.resize import contributions, cubic, imresize
from mindrestore.errors import UserError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_kernel_interpolates():
    np.testing.assert_allclose(cubic(np.array([0, 1, 2, 2.5, 0.5, 1.5])), [1, 0, 0, 0, 9 / 16, -1 / 16])


def test_weights_of_a_reduction_by_4():
    """By hand: output 3 of 32 / 4 lies at input 13.5, inputs at distances 1/8, 3/8, ... of 4 pixels on either side."""
    weights, places = contributions(32, 1 / 4)
    right = np.array([987, 745, 399, 93, -49, -75, -45, -7]) / 4096
    np.testing.assert_allclose(weights[3], [*right[::-1], *right], atol=1e-12)
    np.testing.assert_array_equal(places[3], np.arange(6, 22))
    np.testing.assert_array_equal(places[0], [5, 4, 3, 2, 1, 0, *range(10)])  # mirrored, the edge repeated


def test_weights_of_an_enlargement_by_4():
    """By hand: output 4 of an enlargement lies at input 0.625; the cubic at 1.625, 0.625, 0.375, 1.375."""
    weights, places = contributions(8, 4)
    row = dict(zip(places[4 + 4], weights[4 + 4]))  # one input further on, off the border
    assert sum(row.values()) == pytest.approx(1)
    expected = [-0.0439453125, 0.3896484375, 0.7275390625, -0.0732421875]
    np.testing.assert_allclose([row[place] for place in (0, 1, 2, 3)], expected)


@pytest.mark.parametrize("scale", [4, 2, 1.5, 0.5, 0.25, 1 / 3])
def test_constants_and_ramps_stay(scale):
    np.testing.assert_allclose(imresize(np.full((2, 24, 36), 0.7), scale), 0.7, atol=1e-12)
    ramp = np.arange(48.0)[:, None] + 10 * np.arange(60.0)
    resized = imresize(ramp, scale)
    rows, columns = ((np.arange(length) + 0.5) / scale - 0.5 for length in resized.shape)
    inside = slice(round(3 * max(1, scale)), -round(3 * max(1, scale)))
    np.testing.assert_allclose(resized[inside, inside], (rows[:, None] + 10 * columns)[inside, inside], atol=1e-9)


@pytest.mark.parametrize(
    "height, scale, expected", [(180, 0.25, 45), (181, 0.25, 46), (10, 1 / 3, 4), (9, 1 / 3, 3), (5, 4, 20)]
)
def test_sizes_round_up(height, scale, expected):
    assert imresize(np.zeros((3, height, 12)), scale).shape[1] == expected


def test_the_scale_of_one_changes_nothing(rng):
    image = rng.random((3, 7, 9), dtype=np.float32)
    resized = imresize(image, 1)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, image, atol=1e-7)


def test_axes_are_treated_alike(rng):
    image = rng.random((20, 28))
    np.testing.assert_allclose(imresize(image.T, 0.25), imresize(image, 0.25).T, atol=1e-12)
    np.testing.assert_allclose(imresize(image[::-1, ::-1], 0.25), imresize(image, 0.25)[::-1, ::-1], atol=1e-12)


def test_a_scale_of_nothing_is_refused():
    with pytest.raises(UserError, match="above 0"):
        imresize(np.zeros((4, 4)), 0)


def test_blur_downsampling_stays_in_place(rng):
    """Outputs lie where bicubic's do, in the middle of their blocks, and what is far away does not matter."""
    ramp = np.broadcast_to(np.arange(48.0), (48, 48))
    np.testing.assert_allclose(blur_downsampled(ramp)[:, 2:-2], np.tile(np.arange(12) * 4 + 1.5, (12, 1))[:, 2:-2])
    impulse = np.zeros((48, 48))
    impulse[21, 26] = 1
    made = blur_downsampled(impulse)
    distances = np.exp(-0.5 * (np.arange(-5.5, 6) / 1.6) ** 2)
    assert made[5, 6] == pytest.approx(np.exp(-0.5 * ((0.5**2 + 0.5**2) / 1.6**2)) / distances.sum() ** 2)
    image = rng.random((3, 24, 32))
    np.testing.assert_allclose(blur_downsampled(image[:, ::-1]), blur_downsampled(image)[:, ::-1], atol=1e-12)


def test_noise_is_decided_by_seed_and_number(rng):
    frame = np.full((3, 200, 200), 0.5, np.float32)
    made = noisy(frame, 25.5, 3, 7)
    np.testing.assert_array_equal(made, noisy(frame, 25.5, 3, 7))
    assert made.dtype == np.float32
    assert made.std() == pytest.approx(0.1, rel=0.02) and made.mean() == pytest.approx(0.5, abs=2e-3)
    for other in (noisy(frame, 25.5, 4, 7), noisy(frame, 25.5, 3, 8)):
        assert abs(np.corrcoef(made.ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("count, expected", [(0, []), (1, [0]), (2, [0.4, 0.6]), (7, [0.6, 1.2, 2, 3, 4, 4.8, 5.4])])
def test_blur_is_the_mean_of_five(count, expected):
    frames = (np.full((3, 2, 2), number, np.float32) for number in range(count))
    np.testing.assert_allclose([frame[0, 0, 0] for frame in blurred(frames)], expected, atol=1e-6)


@pytest.mark.parametrize("kind, size", [("bicubic", (6, 8)), ("gaussian", (6, 8)), ("noise", (24, 32)), ("blur", (24, 32))])
def test_a_stream_of_low_quality(kind, size, rng):
    frames = rng.random((4, 3, 24, 32), dtype=np.float32)
    read = []
    made = degraded((read.append(frame) or frame for frame in frames), kind, 4, 20)
    first = next(made)
    assert first.dtype == np.float32 and first.shape == (3, *size) and len(read) < 4
    assert len(list(made)) == 3
    if kind != "noise":
        np.testing.assert_allclose(first * 255, np.rint(first * 255), atol=1e-4)


def test_an_unknown_degradation_is_named():
    with pytest.raises(UserError, match="choose one of bicubic, gaussian"):
        degraded([], "jpeg")
