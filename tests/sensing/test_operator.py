"""Snapshot imaging and the Bayer filter: properties of the operator."""

import numpy as np
import pytest

from mindrestore.errors import UserError
from mindrestore.sensing import SnapshotImaging, random_mask
from mindrestore.sensing.bayer import demosaic, mosaic, rggb, spread
from mindrestore.sensing.mask_kinds import draw_mask

T, H, W = 5, 12, 14


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=["binary", "calibrated"])
def mask(request, rng):
    return random_mask(T, H, W, rng=rng) if request.param == "binary" else rng.random((T, H, W)).astype(np.float32)


@pytest.fixture(params=[False, True], ids=["grey", "colour"])
def colour(request):
    return request.param


def clip_shape(colour, *batch):
    return batch + ((3, T, H, W) if colour else (T, H, W))


def test_the_adjoint_is_the_transpose(mask, colour, rng):
    camera = SnapshotImaging(mask, colour)
    clip = rng.standard_normal(clip_shape(colour, 2), dtype=np.float32)
    measurement = rng.standard_normal((2, H, W), dtype=np.float32)
    assert np.vdot(camera.A(clip), measurement) == pytest.approx(np.vdot(clip, camera.A_adjoint(measurement)), rel=1e-4)


def test_measuring_is_the_masked_sum(mask, rng):
    clip = rng.random((T, H, W), dtype=np.float32)
    by_definition = sum(mask[t].astype(float) * clip[t] for t in range(T))
    np.testing.assert_allclose(SnapshotImaging(mask).A(clip), by_definition, rtol=1e-6)


def test_measuring_colour_is_the_masked_sum_of_mosaics(mask, rng):
    clip = rng.random((3, T, H, W), dtype=np.float32)
    by_definition = np.zeros((H, W))
    for t in range(T):
        for row in range(H):
            for column in range(W):
                by_definition[row, column] += mask[t, row, column] * clip[row % 2 + column % 2, t, row, column]
    np.testing.assert_allclose(SnapshotImaging(mask, colour=True).A(clip), by_definition, rtol=1e-6)


def test_a_batch_is_measured_clip_by_clip(mask, colour, rng):
    camera = SnapshotImaging(mask, colour)
    clips = rng.random(clip_shape(colour, 3), dtype=np.float32)
    np.testing.assert_allclose(camera.A(clips), np.stack([camera.A(clip) for clip in clips]), rtol=1e-6)
    assert camera.A_adjoint(camera.A(clips)).shape == clips.shape


def test_pixels_that_never_open_have_a_mask_sum_of_one():
    mask = random_mask(T, H, W, rng=1)
    mask[:, 3, 4] = 0
    total = mask.sum(axis=0)
    assert total[3, 4] == 0
    np.testing.assert_array_equal(SnapshotImaging(mask).mask_sum, np.where(total == 0, 1, total))


@pytest.mark.parametrize("kind", ["random", "grey"])
def test_the_back_projected_residual_explains_the_measurement(kind, colour, rng):
    camera = SnapshotImaging(draw_mask(kind, T, H, W, rng=2), colour)
    clip, estimate = rng.random((2,) + clip_shape(colour), dtype=np.float32)
    measurement = camera.A(clip)
    corrected = estimate + camera.back_projected_residual(estimate, measurement)
    np.testing.assert_allclose(camera.A(corrected), measurement, atol=1e-5)


def test_an_exact_measurement_needs_no_generator(mask, colour, rng):
    camera, clip = SnapshotImaging(mask, colour), rng.random(clip_shape(colour), dtype=np.float32)
    np.testing.assert_array_equal(camera.measure(clip), camera.A(clip))


def test_read_noise_has_the_given_deviation_and_is_decided_by_the_seed():
    camera = SnapshotImaging(np.ones((2, 100, 100)))
    clip = np.full((2, 100, 100), 0.5, np.float32)
    noisy = camera.measure(clip, read_noise=0.05, rng=3)
    assert noisy.dtype == np.float32
    assert np.std(noisy - 1) == pytest.approx(0.05, rel=0.05)
    np.testing.assert_array_equal(noisy, camera.measure(clip, read_noise=0.05, rng=3))


def test_quantisation_keeps_within_half_a_step(mask, colour, rng):
    camera, clip = SnapshotImaging(mask, colour), rng.random(clip_shape(colour), dtype=np.float32)
    step = camera.full_scale / 255
    measured = camera.measure(clip, bits=8)
    assert np.abs(measured - camera.A(clip)).max() <= step / 2 * 1.001
    np.testing.assert_allclose(measured / step, np.rint(measured / step), atol=1e-3)


def test_the_filter_is_rggb():
    np.testing.assert_array_equal(rggb(2, 2).argmax(0), [[0, 1], [1, 2]])
    np.testing.assert_array_equal(rggb(5, 7).sum(0), np.ones((5, 7)))


def test_mosaic_and_spread_are_adjoint(rng):
    clip, frames = rng.random((3, 2, 6, 8)), rng.random((2, 6, 8))
    assert np.vdot(mosaic(clip), frames) == pytest.approx(np.vdot(clip, spread(frames)))


@pytest.mark.parametrize("size", [(8, 10), (9, 7)], ids=["even", "odd"])
def test_demosaicing_keeps_what_was_measured(size, rng):
    frames = rng.random((2, 3) + size, dtype=np.float32)
    np.testing.assert_array_equal(mosaic(demosaic(frames)), frames)


def test_demosaicing_is_exact_on_a_smooth_grey_clip():
    rows, columns = np.mgrid[0:20, 0:24] / 24
    frames = np.stack([0.2 + 0.3 * rows + 0.4 * columns]).astype(np.float32)
    inner = demosaic(frames)[..., 2:-2, 2:-2]
    np.testing.assert_allclose(inner, np.broadcast_to(frames[..., 2:-2, 2:-2], inner.shape), atol=1e-6)


def test_demosaicing_keeps_flat_colours():
    colour = np.array([0.9, 0.5, 0.1], np.float32)
    clip = np.broadcast_to(colour[:, None, None, None], (3, 1, 8, 8))
    np.testing.assert_allclose(demosaic(mosaic(clip)), clip, atol=1e-6)


@pytest.mark.parametrize(
    "call, part",
    [
        (lambda: SnapshotImaging(np.ones((4, 4))), r"\(T, H, W\)"),
        (lambda: SnapshotImaging(-np.ones((1, 4, 4))), "0 or more"),
        (lambda: SnapshotImaging(np.ones((2, 4, 4))).A(np.ones((3, 4, 4))), r"\(2, 4, 4\).*got \(3, 4, 4\)"),
        (lambda: SnapshotImaging(np.ones((2, 4, 4)), colour=True).A(np.ones((2, 4, 4))), r"\(\.\.\., 3, T, H, W\)"),
        (lambda: SnapshotImaging(np.ones((2, 4, 4))).A_adjoint(np.ones((5, 4))), r"\(4, 4\).*got \(5, 4\)"),
        (lambda: SnapshotImaging(np.ones((2, 4, 4))).measure(np.ones((2, 4, 4)), read_noise=-1), "read_noise"),
        (lambda: SnapshotImaging(np.ones((2, 4, 4))).measure(np.ones((2, 4, 4)), bits=0), "bits"),
        (lambda: mosaic(np.ones((2, 4, 4, 4))), r"\(\.\.\., 3, T, H, W\)"),
        (lambda: demosaic(np.ones((1, 2, 8))), "4 x 4"),
    ],
)
def test_mistakes_are_named(call, part):
    with pytest.raises(UserError, match=part):
        call()
