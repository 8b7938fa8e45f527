"""Tiles of an axis: they cover everything, weigh 1 in sum, and lie where the published rule puts them."""

import itertools

import numpy as np
import pytest

from mindrestore.errors import UserError
from mindrestore.tiling import (
    BLENDS,
    axis_tiles,
    checked_tiling,
    dropped_border,
    faded_border,
    fitted_tile,
    sequences,
    tile_starts,
)

AXES = list(itertools.product((1, 7, 16, 17, 23, 40), (0, 8, 16), (0, 1, 2, 5, 7), (1, 4)))


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("extent, tile, overlap, scale", AXES)
def test_tiles_share_a_size_and_weigh_one_in_sum(extent, tile, overlap, scale, blend):
    axis = axis_tiles(extent, tile, overlap, 8, scale, blend)
    total = np.zeros(extent * scale)
    for part in axis.tiles:
        assert 0 <= part.start < part.stop <= extent + axis.padding
        assert part.weights.dtype == np.float32 and part.weights.min() >= 0
        total[part.outputs] += part.weights
    np.testing.assert_allclose(total, 1, atol=1e-6)
    assert len({part.stop - part.start for part in axis.tiles}) == 1
    whole = not 0 < tile < extent
    assert (len(axis.tiles) == 1) == whole and axis.padding == (-extent % 8 if whole else 0)


def test_published_starts():
    assert tile_starts(100, 40, 2) == [0, 38, 60]
    assert tile_starts(320, 128, 20) == [0, 108, 192]
    assert tile_starts(180, 128, 20) == [0, 52]
    assert tile_starts(128, 128, 20) == tile_starts(21, 40, 2) == tile_starts(5, 0, 2) == [0]
    assert tile_starts(7, 4, 2) == [0, 2, 3]


def test_published_borders_drop_half_the_overlap_in_output_pixels():
    """Numbers worked out by hand: 16 inputs in tiles of 8, 4 shared, 2 outputs an input: starts 0, 4, 8."""
    tiles = axis_tiles(16, 8, 4, 8, 2).tiles
    assert [tile.first for tile in tiles] == [0, 8, 16]
    np.testing.assert_array_equal(tiles[0].weights, [1] * 10 + [0.5] * 4 + [0] * 2)  # 10..13 shared with the second
    np.testing.assert_array_equal(tiles[1].weights, [0] * 2 + [0.5] * 4 + [1] * 4 + [0.5] * 4 + [0] * 2)
    np.testing.assert_array_equal(dropped_border(6, True, True, 3), [0, 1, 1, 1, 0, 0])  # odd: more at the end
    np.testing.assert_array_equal(dropped_border(4, True, True, 0), 1)


def test_feathers_fade_and_add_up():
    rising, falling = faded_border(12, True, False, 6)[:6], faded_border(12, False, True, 6)[6:]
    assert np.all(np.diff(rising) > 0)
    np.testing.assert_allclose(rising + falling, 1)
    np.testing.assert_array_equal(faded_border(5, False, False, 3), 1)
    np.testing.assert_array_equal(faded_border(5, True, True, 0), 1)


@pytest.mark.parametrize("tile, overlap", [(0, 2), (1, 0), (4, 2), (5, 0), (6, 5), (40, 2)])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 7, 12, 23])
def test_streamed_sequences_are_the_tiles_of_the_whole(count, tile, overlap):
    made = list(sequences(iter(range(count)), tile, overlap))
    expected = [list(range(start, min(count, start + (tile or count)))) for start in tile_starts(count, tile, overlap)]
    assert [held for _, held, _ in made] == (expected if count else [])
    assert all(held[0] == first for first, held, _ in made)
    assert [last for *_, last in made] == [False] * (len(made) - 1) + [True] * bool(made)


def test_a_sequence_reads_one_frame_ahead_and_no_more():
    read = []
    stream = sequences((read.append(n) or n for n in range(100)), 4, 2)
    assert next(stream)[1] == [0, 1, 2, 3] and len(read) == 5
    assert next(stream)[1] == [2, 3, 4, 5] and len(read) == 7


@pytest.mark.parametrize(
    "tile, overlap, blend, words",
    [
        ((4, 60, 64), (2, 20, 20), "published", "its height 60 must be a multiple of the network's window, 8, such as 64"),
        ((4, 64, 4), (2, 20, 2), "published", "its width 4 must be a multiple of the network's window, 8, such as 8"),
        ((4, 64, 64), (4, 20, 20), "published", "4 in frames must be less than the tile's 4"),
        ((4, 64, 64), (2, 64, 20), "published", "64 in height must be less than the tile's 64"),
        ((4, 64), (2, 20, 20), "published", "tile (4, 64): expected three whole numbers"),
        ((4, 64, 64), (2, -1, 20), "published", "overlap (2, -1, 20): expected three whole numbers"),
        ((4, 64.0, 64), (2, 20, 20), "published", "expected three whole numbers"),
        ((4, 64, 64), (2, 20, 20), "smooth", "choose one of published, feathered"),
    ],
)
def test_an_impossible_tiling_is_named(tile, overlap, blend, words):
    with pytest.raises(UserError) as caught:
        checked_tiling(tile, overlap, (4, 8, 8), blend)
    assert words in str(caught.value)


def test_a_tiling_of_the_whole():
    assert checked_tiling([0, 0, 0], [2, 20, 20], (4, 8, 8), "feathered") == ((0, 0, 0), (2, 20, 20))


# A tile that fits the frame


def covered(size, tile, overlap):
    """How many pixels are computed to cover a frame."""
    pixels = 1
    for extent, side, shared in zip(size, tile[1:], overlap[1:]):
        pixels *= side * len(tile_starts(extent, side, shared))
    return pixels


@pytest.mark.parametrize("most", [(8, 256, 320), (6, 128, 128), (0, 192, 320)])
@pytest.mark.parametrize("size", [(272, 640), (256, 256), (180, 320), (720, 1280), (1080, 1920), (40, 50), (333, 77), (1, 1)])
def test_a_fitted_tile_is_no_larger_and_does_less_twice(most, size):
    overlap = (2, 16, 16)
    tile = fitted_tile(most, size, overlap)
    assert tile[0] == most[0] and tile[1] * tile[2] <= most[1] * most[2]
    assert all(side % 8 == 0 and (side >= 64 or side >= extent) for side, extent in zip(tile[1:], size))
    least = (size[0] + 7) // 8 * 8 * ((size[1] + 7) // 8 * 8)
    assert covered(size, tile, overlap) <= min(1.45 * least, covered(size, most, overlap))


def test_a_wide_frame_is_not_cut_where_one_tile_is_high_enough():
    assert fitted_tile((8, 256, 320), (272, 640), (2, 16, 16)) == (8, 272, 224)
    assert covered((272, 640), (8, 272, 224), (2, 16, 16)) * 2.6 < covered((272, 640), (8, 256, 320), (2, 16, 16))
