"""restore_video: every size, tile and blend; one shape a run; frames out once they are complete; bounded memory."""

import json

import numpy as np
import pytest
from builders import PlaceDependent, StandIn
from places import TESTS

from mindrestore.errors import UserError
from mindrestore.restore import restore_clip, restore_space_time, restore_video
from mindrestore.tiling import tile_starts


def clip_of(frames, height, width, seed=0):
    return np.random.default_rng(seed).random((frames, 3, height, width), dtype=np.float32)


@pytest.mark.parametrize("blend", ["published", "feathered"])
@pytest.mark.parametrize(
    "tile, overlap",
    [
        ((0, 0, 0), (2, 20, 20)),
        ((4, 16, 16), (2, 4, 4)),
        ((3, 8, 24), (1, 7, 3)),
        ((6, 16, 0), (5, 0, 0)),
        ((40, 128, 128), (2, 20, 20)),
    ],
)
@pytest.mark.parametrize("size", [(1, 5, 9), (7, 33, 18), (10, 40, 24)])
@pytest.mark.parametrize("scale", [1, 4])
def test_the_identity_gives_the_clip_back(size, scale, tile, overlap, blend):
    clip, network = clip_of(*size), StandIn(scale)
    restored = restore_clip(network, clip, tile=tile, overlap=overlap, blend=blend)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, clip.repeat(scale, -1).repeat(scale, -2), atol=1e-6)
    assert len(set(network.shapes)) == 1


def test_a_tile_of_zero_is_the_whole_flip_padded_to_the_window():
    clip, network = clip_of(5, 13, 9), StandIn(window_size=(4, 8, 8))
    restore_clip(network, clip, tile=(0, 0, 0))
    padded = np.concatenate((clip, clip[:1:-1]))
    padded = np.concatenate((padded, padded[:, :, :-4:-1]), 2)
    padded = np.concatenate((padded, padded[..., :-8:-1]), 3)
    np.testing.assert_array_equal(network.last[0], padded)


def published(network, clip, tile, overlap, scale):
    """The published tiling in its plainest words: sum what every tile says of every place it keeps, and divide."""
    depth, height, width = clip.shape[0], *clip.shape[2:]
    total = np.zeros((depth, 3, height * scale, width * scale))
    count = np.zeros((depth, 1, 1, 1))
    for t in tile_starts(depth, tile[0], overlap[0]):
        part, kept = np.zeros((tile[0], *total.shape[1:])), np.zeros(total.shape[2:])
        for y in tile_starts(height, tile[1], overlap[1]):
            for x in tile_starts(width, tile[2], overlap[2]):
                given = clip[None, t : t + tile[0], :, y : y + tile[1], x : x + tile[2]]
                made = network.compute(given).repeat(scale, -1).repeat(scale, -2)[0]
                top, left = (overlap[1] // 2 if y else 0), (overlap[2] // 2 if x else 0)
                bottom = tile[1] * scale - (overlap[1] // 2 if y + tile[1] < height else 0)
                right = tile[2] * scale - (overlap[2] // 2 if x + tile[2] < width else 0)
                rows, columns = slice(y * scale + top, y * scale + bottom), slice(x * scale + left, x * scale + right)
                part[..., rows, columns] += made[..., top:bottom, left:right]
                kept[rows, columns] += 1
        total[t : t + tile[0]] += part / kept
        count[t : t + tile[0]] += 1
    return total / count


@pytest.mark.parametrize("scale", [1, 2])
def test_the_published_blend(scale):
    clip, network = clip_of(7, 30, 44), PlaceDependent(scale)
    tile, overlap = (4, 16, 24), (2, 6, 4)
    restored = restore_clip(network, clip, tile=tile, overlap=overlap)
    np.testing.assert_allclose(restored, published(network, clip, tile, overlap, scale), atol=1e-5)


def test_feathering_has_no_seam():
    """Between tiles that say different things the published blend jumps, the feathered one glides."""

    class Contrary(StandIn):
        def compute(self, x):
            return np.full_like(x, len(self.shapes) % 2)

    clip = np.zeros((1, 3, 16, 56), np.float32)
    tiling = dict(tile=(1, 16, 32), overlap=(0, 0, 8))
    jump = {
        blend: np.abs(np.diff(restore_clip(Contrary(), clip, blend=blend, **tiling)[0, 0, 0]))
        for blend in ("published", "feathered")
    }
    assert jump["published"].max() == 1 and jump["feathered"].max() < 0.25


def test_time_is_feathered_too():
    class Numbered(StandIn):
        def compute(self, x):
            return np.full_like(x, len(self.shapes) - 1)

    clip = np.zeros((12, 3, 8, 8), np.float32)
    made = restore_clip(Numbered(), clip, tile=(8, 0, 0), overlap=(4, 0, 0), blend="feathered")
    values = made[:, 0, 0, 0]
    assert list(values[:4]) == [0] * 4 and list(values[8:]) == [1] * 4
    assert np.all(np.diff(values[3:9]) > 0)


def test_frames_leave_as_soon_as_they_are_complete():
    read = []
    frames = (read.append(n) or frame for n, frame in enumerate(clip_of(20, 8, 8)))
    stream = restore_video(StandIn(), frames, tile=(4, 0, 0))
    next(stream), next(stream)
    assert len(read) == 7  # the second tile begins at frame 2; one frame ahead tells that it is not the last
    assert len(list(stream)) == 18


def test_the_noise_level_is_a_fourth_channel():
    clip, network = clip_of(3, 12, 12), StandIn(nonblind_denoising=True)
    made = restore_clip(network, clip, tile=(2, 8, 8), overlap=(1, 2, 2), sigma=25.5)
    np.testing.assert_allclose(made, clip, atol=1e-6)
    assert network.shapes[0] == (1, 2, 4, 8, 8)
    np.testing.assert_array_equal(network.last[:, :, 3], np.float32(0.1))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_interpolation_doubles_the_frame_rate(count):
    clip, network = clip_of(count, 10, 12), StandIn(window_size=(4, 8, 8), pa_frames=0)
    made = restore_clip(network, clip, tile=(0, 8, 8), overlap=(2, 2, 2))
    assert len(made) == 2 * count - 1
    np.testing.assert_array_equal(made[::2], clip)
    np.testing.assert_allclose(made[1::2], (clip[1:] + clip[:-1]) / 2, atol=1e-6)
    assert len(set(network.shapes)) <= 1


def test_interpolation_sees_two_frames_on_either_side():
    given = []

    class Recording(StandIn):
        def __call__(self, x):
            given.append(tuple(int(value) for value in x.asnumpy()[0, :, 0, 0, 0]))
            return super().__call__(x)

    clip = np.arange(4, dtype=np.float32)[:, None, None, None] * np.ones((1, 3, 8, 8), np.float32)
    restore_clip(Recording(pa_frames=0), clip)
    assert given == [(0, 0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 3)]


@pytest.mark.parametrize("count", [3, 4, 9])
def test_scored_frames_between_have_two_on_either_side(count):
    clip, network = clip_of(count, 10, 12), StandIn(pa_frames=0)
    made = list(restore_video(network, clip, tile=(0, 0, 0), between_only=True))
    assert len(made) == len(network.shapes) == count - 3
    for index, frame in enumerate(made):
        np.testing.assert_allclose(frame, (clip[index + 1] + clip[index + 2]) / 2, atol=1e-6)


def test_space_time_is_interpolation_then_upscaling():
    clip = clip_of(5, 16, 24)
    frames = restore_space_time(
        StandIn(pa_frames=0),
        StandIn(4),
        clip,
        dict(tile=(0, 8, 8), overlap=(0, 2, 2)),
        dict(tile=(4, 16, 16), overlap=(2, 4, 4)),
    )
    made = np.stack(list(frames))
    assert made.shape == (9, 3, 64, 96)
    np.testing.assert_allclose(made[::2], clip.repeat(4, -1).repeat(4, -2), atol=1e-6)


def test_progress_counts_tiles(capsys):
    restore_clip(StandIn(), clip_of(7, 30, 44), tile=(4, 16, 24), overlap=(2, 6, 4), progress="street")
    error = capsys.readouterr().err
    assert "street" in error and "/18" in error  # 3 in time, 3 x 2 in space
    assert "tile" in error
    restore_clip(StandIn(), clip_of(2, 8, 8))
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "network, clip, options, words",
    [
        (StandIn(), [], {}, "the clip has no frames"),
        (
            StandIn(),
            [np.zeros((3, 8, 8)), np.zeros((3, 8, 9))],
            {},
            "frame 1 of the clip has shape (3, 8, 9), expected (3, 8, 8)",
        ),
        (StandIn(), np.zeros((2, 8, 8)), {}, "frame 0 of the clip has shape (8, 8), expected (3, H, W)"),
        (StandIn(), np.zeros((2, 3, 8, 8)), {"sigma": 10}, "does not take a noise level"),
        (StandIn(nonblind_denoising=True), np.zeros((2, 3, 8, 8)), {}, "sigma is missing"),
        (StandIn(nonblind_denoising=True), np.zeros((2, 3, 8, 8)), {"sigma": 300}, "sigma 300: it must be 0 to 255"),
        (StandIn(), np.zeros((2, 3, 8, 8)), {"tile": (2, 20, 16)}, "height 20 must be a multiple"),
    ],
)
def test_mistakes_are_named(network, clip, options, words):
    with pytest.raises(UserError) as caught:
        restore_clip(network, clip, **options)
    assert words in str(caught.value)


def test_a_wrong_tiling_is_refused_before_the_clip_is_touched():
    with pytest.raises(UserError, match="multiple"):
        restore_video(StandIn(), None, tile=(2, 9, 9))


MEMORY = """
import resource, sys
sys.path.insert(0, sys.argv[2])
import numpy as np
from builders import StandIn
from mindrestore.restore import restore_video
frame = np.random.default_rng(0).random((3, 90, 160), dtype=np.float32)
frames = (frame + np.float32(index / 1000) for index in range(int(sys.argv[1])))
count = sum(1 for _ in restore_video(StandIn(4), frames, tile=(8, 64, 64)))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_clip(python):
    peaks = {}
    for frames in (20, 200):
        run = python(MEMORY, frames, TESTS)
        assert run.returncode == 0, run.stderr
        count, peaks[frames] = json.loads("[" + run.stdout.strip().splitlines()[-1].replace(" ", ",") + "]")
        assert count == frames
    assert peaks[200] <= 1.1 * peaks[20], peaks
