"""The published tiled inference of a small VRT: our network through our tiles gives its numbers.

The flows of this network wind up rounding errors: a change of the input by its last bit moves the output by up to 0.035
and on average by 0.001 (measured), so that is how far pixels can agree. A tile in a wrong place is off by 0.4 and more.
"""

import ast
import itertools

import numpy as np
import pytest
from builders import with_golden_weights
from mindspore import Tensor
from places import GOLDEN

from mindrestore.executor import Piecewise
from mindrestore.models.vrt import VRT
from mindrestore.restore import restore_clip, restore_video

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "vrt_tiled.npz")


@pytest.fixture(scope="module")
def network(golden):
    return with_golden_weights(VRT(**ast.literal_eval(str(golden["config"]))))


def assert_agree(made, expected):
    difference = np.abs(made - expected)
    assert difference.mean() < 5e-3 and difference.max() < 0.1, (difference.mean(), difference.max())


class SomeCalls:
    """A network that computes some of its calls, piece by piece, and answers the others with zeros."""

    def __init__(self, network, chosen):
        self.network, self.settings, self.chosen, self.calls = Piecewise(network), network.settings, chosen, itertools.count()

    def __call__(self, x):
        if next(self.calls) in self.chosen:
            return self.network(x)
        return Tensor(np.zeros((*x.shape[:3], 4 * x.shape[3], 4 * x.shape[4]), np.float32))


def tiling(golden):
    return {"tile": golden["tile"].tolist(), "overlap": golden["overlap"].tolist()}


def test_where_four_of_the_tiles_decide(golden, network):
    """Tiles start at frames 0, 2, 3, rows 0, 24 and columns 0, 48, 56 of the input, and are called in this order.

    Computed are the first tile of each time and the second of the first time. In output pixels the second row of tiles
    counts from 24 * 4 + 8 on, the second column from 48 * 4 + 8, the third from 56 * 4 + 8.
    """
    frames = restore_video(SomeCalls(network, {0, 1, 6, 12}), golden["input"][0], **tiling(golden))
    made = np.stack(list(itertools.islice(frames, 4)))[:, :, 1::4, 2::4]
    expected = golden["output_strided"][0]
    rows = slice(0, 104 // 4)
    assert_agree(made[:2, :, rows, : 232 // 4], expected[:2, :, rows, : 232 // 4])
    assert_agree(made[2:, :, rows, : 200 // 4], expected[2:4, :, rows, : 200 // 4])
    wrong = np.abs(made[:2, :, rows, 232 // 4 :] - expected[:2, :, rows, 232 // 4 :])
    assert wrong.max(axis=(0, 1, 2)).min() > 0.2  # where the third column of tiles counts, which was not computed


@pytest.mark.long
def test_the_whole(golden, network):
    made = restore_clip(network, golden["input"][0], **tiling(golden))
    assert made.shape == tuple(golden["output_shape"][1:])
    assert_agree(made[..., 1::4, 2::4], golden["output_strided"][0])
    assert made.mean() == pytest.approx(float(golden["output_mean"]), abs=1e-3)
