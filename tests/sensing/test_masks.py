"""Masks: drawing, cutting, recognising. Reading them is tested with the other files."""

import numpy as np
import pytest

from mindrestore.errors import UserError
from mindrestore.sensing import fingerprint, random_mask
from mindrestore.sensing.masks import crop_mask


def test_random_masks_are_binary_of_the_density_asked_for_and_decided_by_the_seed():
    mask = random_mask(4, 64, 80, density=0.3, rng=7)
    assert mask.shape == (4, 64, 80) and mask.dtype == np.float32
    assert set(np.unique(mask)) == {0, 1}
    assert mask.mean() == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(mask, random_mask(4, 64, 80, density=0.3, rng=np.random.default_rng(7)))
    assert (mask != random_mask(4, 64, 80, density=0.3, rng=8)).any()


def test_a_fingerprint_tells_shape_and_values_and_nothing_else():
    mask = random_mask(2, 6, 8, rng=0)
    same = fingerprint(mask)
    assert len(same) == 16 and int(same, 16) >= 0
    assert fingerprint(mask.astype(np.uint8)) == same
    assert fingerprint(np.asfortranarray(mask)) == same
    assert fingerprint(np.where(mask == 0, np.float32(-0.0), mask)) == same
    flipped = mask.copy()
    flipped[1, 2, 3] = 1 - flipped[1, 2, 3]
    assert len({same, fingerprint(flipped), fingerprint(mask.reshape(2, 8, 6)), fingerprint(mask[:1])}) == 4


def test_a_fingerprint_never_changes():
    assert fingerprint(np.arange(24).reshape(2, 3, 4) % 2) == "5b0215261f264ac2"


def test_cropping():
    mask = random_mask(2, 6, 8, rng=0)
    np.testing.assert_array_equal(crop_mask(mask, 3, 4, top=1, left=2), mask[:, 1:4, 2:6])
    with pytest.raises(UserError, match="6 x 8 pixels.*7 x 8"):
        crop_mask(mask, 7, 8)


@pytest.mark.parametrize("arguments", [(0, 4, 4), (1, 4, 0)])
def test_a_mask_of_nothing_is_refused(arguments):
    with pytest.raises(UserError, match="at least one plane"):
        random_mask(*arguments)


@pytest.mark.parametrize("density", [0, 1.5, -1])
def test_an_impossible_density_is_refused(density):
    with pytest.raises(UserError, match="density"):
        random_mask(1, 4, 4, density)
