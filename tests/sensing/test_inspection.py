"""What is said of a mask: density, sums, planes that repeat, a mask that moves."""

import numpy as np
import pytest

from mindrestore.errors import UserError
from mindrestore.sensing import random_mask
from mindrestore.sensing.inspection import inspect_mask
from mindrestore.sensing.mask_kinds import KINDS, draw_mask


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("density", [0.3, 0.5])
def test_masks_are_of_the_kind_size_and_density_asked_for(kind, density):
    mask = draw_mask(kind, 6, 60, 80, density, rng=3)
    traits = inspect_mask(mask)
    assert mask.shape == (6, 60, 80) and mask.dtype == np.float32 and 0 <= mask.min() and mask.max() <= 1
    assert traits.density == pytest.approx(density, abs=0.02) and traits.mean == pytest.approx(6 * density, abs=0.1)
    assert traits.binary == (kind != "grey") and traits.step == ((0, -1) if kind == "shifted" else None)
    assert not traits.repeats
    np.testing.assert_array_equal(mask, draw_mask(kind, 6, 60, 80, density, rng=3))
    assert (mask != draw_mask(kind, 6, 60, 80, density, rng=4)).any()


@pytest.mark.parametrize("step", [(0, 1), (-1, 0), (2, -3)], ids=str)
def test_a_mask_that_moves_is_recognised_though_it_is_noisy(step):
    whole = random_mask(1, 80, 80, rng=0)[0]
    planes = [np.roll(whole, (step[0] * frame, step[1] * frame), (0, 1))[20:60, 20:60] for frame in range(5)]
    mask = np.float32(planes) + np.random.default_rng(0).normal(0, 0.1, (5, 40, 40)).clip(0).astype(np.float32)
    traits = inspect_mask(mask)
    assert traits.step == step and traits.steps == (step,) * 4
    assert "It is one mask moved " in traits.lines()[-1]


def test_what_moves_with_the_mask_is_half_unseen():
    """What the sentence says, measured: whatever lies behind closed elements leaves no trace."""
    mask = draw_mask("shifted", 4, 16, 20, rng=0)
    strip = np.concatenate([mask[0], mask[1:, :, -1].T], 1)  # the mask whole, as it moves left
    content = np.random.default_rng(0).random(strip.shape)
    hidden = content + (strip == 0)  # another scene wherever the mask is closed
    clips = [np.stack([scene[:, frame : frame + 20] for frame in range(4)]) for scene in (content, hidden)]
    one, other = ((mask * clip).sum(0) for clip in clips)
    np.testing.assert_array_equal(one, other)


def test_planes_that_repeat_are_named():
    mask = random_mask(4, 24, 24, rng=0)
    mask[3] = mask[1]
    traits = inspect_mask(mask)
    assert traits.repeats == ((1, 3),) and "repeat: 2 and 4." in " ".join(traits.lines())
    assert len(inspect_mask(np.ones((5, 8, 8), np.float32)).repeats) == 10


def test_planes_some_of_which_are_moved():
    first, third = random_mask(2, 24, 30, rng=0)
    mask = np.stack([first[:, :24], first[:, 1:25], third[:, :24]])
    traits = inspect_mask(mask)
    assert traits.steps == ((0, -1), None) and traits.step is None
    assert "moved: 2 (left by 1 pixel)" in traits.lines()[-1]


def test_sums_and_pixels_without_use():
    mask = np.float32([[[0, 1, 1], [1, 0, 0]], [[0, 1, 0], [0, 1, 0.5]]])
    traits = inspect_mask(mask)
    assert (traits.least, traits.most, traits.blind, traits.uncoded, traits.binary) == (0, 2, 1, 1, False)
    assert "1 pixels (16.67%) are open in no plane" in " ".join(traits.lines())


@pytest.mark.parametrize(
    "arguments, named",
    [
        (("round", 2, 4, 4), "'round': no such kind of mask; masks that are drawn are random, shifted or grey"),
        (("shifted", 0, 4, 4), "at least one plane"),
        (("grey", 2, 4, 4, 0), "density"),
        (("shifted", 2, 4, 4, 1.5), "density"),
    ],
)
def test_masks_that_cannot_be(arguments, named):
    with pytest.raises(UserError, match=named):
        draw_mask(*arguments)
