"""Calibration: the mask that a camera really has, from what it measured."""

import numpy as np
import pytest

from mindrestore.data.rendered import render_clip
from mindrestore.errors import UserError
from mindrestore.metrics import psnr
from mindrestore.sensing import SnapshotImaging, gap_tv, random_mask
from mindrestore.sensing.calibration import EVEN, Calibration, calibrate_on_scene, calibrate_on_white, moved
from mindrestore.sensing.mask_kinds import draw_mask

SIDE, AROUND = 48, 4  # pixels; what lies around the part of the mask that is known comes in where it is moved
SHIFT, LIGHT = (0.3, -0.6), (0.9, 0.05, -0.04, -0.3)


def camera_of(kind, light=EVEN, side=SIDE):
    """Return (the mask as it is thought to be, the real one)."""
    whole = draw_mask(kind, 8, side + 2 * AROUND, side + 2 * AROUND, rng=1)
    given, real = (mask[:, AROUND:-AROUND, AROUND:-AROUND] for mask in (whole, moved(whole, SHIFT)))
    return given, real * Calibration(SHIFT, light, 0, 0).light_on(side, side)


def snapshot(mask, clip, colour=False):
    return SnapshotImaging(mask, colour).measure(clip, read_noise=1 / 255, rng=0)


def quality(seen, mask, clip, colour=False):
    return psnr(gap_tv(seen, mask, 25, colour=colour), clip, channel_axis=0 if colour else None)


def test_a_mask_moved_by_half_a_pixel_sees_both_neighbours_in_proportion():
    mask = random_mask(2, 6, 8, rng=0)
    np.testing.assert_array_equal(moved(mask, (1, -2))[:, 1:, :-2], mask[:, :-1, 2:])
    np.testing.assert_allclose(moved(mask, (0, 0.25))[:, :, 1:], 0.75 * mask[:, :, 1:] + 0.25 * mask[:, :, :-1], atol=1e-6)


def test_what_the_shift_does_not_resolve_stays_closed():
    """A pixel that no plane opens would otherwise be divided by a hundredth."""
    mask = random_mask(2, 24, 24, rng=0)
    found = Calibration((0.01, 0.3), EVEN, 0, 0).correct(mask)
    np.testing.assert_array_equal(found > 0, moved(mask, (0, 0.3)) > 0)


@pytest.mark.parametrize("kind", ["random", "shifted", "grey"])
def test_a_white_surface_tells_shift_and_light(kind):
    given, real = camera_of(kind, LIGHT)
    found = calibrate_on_white(given, 0.8 * snapshot(real, np.ones_like(given)), level=0.8)
    assert found.shift == pytest.approx(SHIFT, abs=0.02)
    assert found.light == pytest.approx(LIGHT, abs=0.02)
    assert found.after < 0.1 * found.before
    inside = np.s_[:, 2:-2, 2:-2]
    np.testing.assert_allclose(found.correct(given)[inside], real[inside], atol=0.03)


def regained(kind, colour=False, side=SIDE):
    """Calibrate on a scene; return dB through the given mask, the calibrated, the real one."""
    given, real = camera_of(kind, side=side)
    clip = render_clip(3, 8, side, side, speed=1.5, colour=colour)
    seen = snapshot(real, clip, colour)
    found = calibrate_on_scene(given, seen, colour)
    assert found.shift == pytest.approx(SHIFT, abs=0.05) and found.light == EVEN and found.after < 0.5 * found.before
    return [quality(seen, mask, clip, colour) for mask in (given, found.correct(given), real)]


def test_a_scene_of_ones_own_tells_the_shift():
    wrong, right, best = regained("random")
    assert right > wrong + 6 and right > best - 3  # the rest is the border, behind which the mask is not known


@pytest.mark.long
def test_a_scene_tells_a_tenth_of_a_pixel():
    """Though a mask of 0 and 1 explains a snapshot more easily than one of fractions, unless projections are whole."""
    whole = draw_mask("shifted", 8, SIDE + 8, SIDE + 8, rng=1)
    given, real = (mask[:, 4:-4, 4:-4] for mask in (whole, moved(whole, (0, 0.1))))
    seen = snapshot(real, render_clip(3, 8, SIDE, SIDE, speed=2))
    assert calibrate_on_scene(given, seen).shift == pytest.approx((0, 0.1), abs=0.015)


@pytest.mark.long
@pytest.mark.parametrize("kind, colour", [("shifted", False), ("grey", False), ("random", True)])
def test_so_it_does_of_other_masks_and_in_colour(kind, colour):
    wrong, right, best = regained(kind, colour, side=64)
    assert right > wrong + 6 and right > best - 2


def test_a_mask_that_is_right_stays():
    mask = random_mask(8, SIDE, SIDE, rng=1)
    found = calibrate_on_white(mask, snapshot(mask, np.ones_like(mask)))
    assert found.shift == pytest.approx((0, 0), abs=0.01) and found.light == pytest.approx(EVEN, abs=0.01)
    np.testing.assert_allclose(found.correct(mask), mask, atol=0.03)


def test_a_scene_does_not_tell_light():
    """A darker clip explains what a darker mask measured: this is why it is not asked of scenes."""
    mask = random_mask(8, SIDE, SIDE, rng=1)
    clip = render_clip(3, 8, SIDE, SIDE, speed=1.5)
    seen = snapshot(0.8 * mask, clip)
    right, dark = (SnapshotImaging(each).residual(gap_tv(seen, each, 25), seen).mean() for each in (0.8 * mask, mask))
    assert dark == pytest.approx(right, rel=0.5)
    assert quality(seen, 0.8 * mask, clip) > quality(seen, mask, clip) + 3


@pytest.mark.parametrize("given", [random_mask(8, 20, 20, rng=1), random_mask(8, 20, 20, rng=2)], ids=["dark", "another"])
def test_a_snapshot_that_does_not_tell_is_refused(given):
    mask = random_mask(8, 20, 20, rng=1)
    clip = np.zeros_like(mask) if np.array_equal(given, mask) else render_clip(3, 8, 20, 20, speed=0.5)
    with pytest.raises(UserError, match="wherever the mask lies"):
        calibrate_on_scene(given, snapshot(mask, clip))


def test_a_scene_is_not_taken_for_a_white_surface():
    mask = random_mask(8, SIDE, SIDE, rng=1)
    with pytest.raises(UserError, match="is not what an even surface shows"):
        calibrate_on_white(mask, snapshot(mask, render_clip(3, 8, SIDE, SIDE, speed=1.5)))
    with pytest.raises(UserError, match="is not what an even surface shows"):
        calibrate_on_white(random_mask(8, SIDE, SIDE, rng=2), snapshot(mask, np.ones_like(mask)))


def test_what_was_found_is_said():
    text = " ".join(Calibration((0.25, -0.5), (0.9, 0, 0, -0.2), before=0.1, after=0.01).lines(33, 33))
    assert "0.25 pixels below and 0.50 to the left" in text and "0.900 of what was thought in the middle" in text
    assert "0.712 to 0.712 in the corners" in text
    assert "25.50 through the given mask, 2.55 through the corrected one" in text
    assert "Light" not in " ".join(Calibration((0, 0), EVEN, 0, 0).lines(33, 33))


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda mask: calibrate_on_scene(mask, np.ones((20, 24))), "got \\(2, 24, 24\\) and \\(20, 24\\)"),
        (lambda mask: calibrate_on_white(mask[:, :8, :8], np.ones((8, 8))), "at least 16 x 16"),
        (lambda mask: calibrate_on_white(mask, np.ones((24, 24)), level=0), "level"),
        (lambda mask: calibrate_on_white(mask, np.zeros((24, 24))), "is dark"),
        (lambda mask: calibrate_on_white(np.stack([mask[0], 1 - mask[0]]), np.ones((24, 24))), "add up to the same"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(call, named):
    with pytest.raises(UserError, match=named):
        call(random_mask(2, 24, 24, rng=0))
