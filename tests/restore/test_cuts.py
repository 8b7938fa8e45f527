"""Cuts: found where they are and nowhere else, and never mixed, whatever is restored from whatever frame on."""

import functools
from pathlib import Path

import numpy as np
import pytest
from builders import PlaceDependent, StandIn
from mindspore import Tensor
from places import REAL_DATA

from mindrestore.data.rendered import render_clip
from mindrestore.media.clips import Clip, open_clip
from mindrestore.restore.cuts import find_cuts
from mindrestore.restore.networks import TaskNetwork
from mindrestore.restore.restorers import VideoRestorer

TASKS = {
    "restore": lambda network: [network()],
    "interpolate": lambda _: [StandIn(pa_frames=0)],
    "both": lambda network: [StandIn(pa_frames=0), network(2)],
}


@functools.lru_cache
def scene(seed, count=10, speed=5):
    """Frames (count, 3, H, W) of one scene that moves by about ``speed`` pixels of 256 a frame."""
    return render_clip(seed, count, 72, 128, colour=True, speed=speed / 2).transpose(1, 0, 2, 3)


# Found


@pytest.mark.parametrize("speed", [0, 5, 12])
@pytest.mark.parametrize("noise", [0, 25])
def test_cuts_between_scenes_are_found(speed, noise):
    frames = np.concatenate([scene(seed, speed=speed) for seed in range(5)])
    frames = np.clip(frames + np.random.default_rng(0).normal(0, noise / 255, frames.shape), 0, 1).astype(np.float32)
    assert find_cuts(frames) == [10, 20, 30, 40]
    assert find_cuts(0.3 * frames) == [10, 20, 30, 40] or noise


def test_the_cuts_of_a_film_are_found():
    film = REAL_DATA / "video" / "bikes.mp4"
    if not film.exists():
        pytest.skip(f"there is no {film.name}")
    assert find_cuts(open_clip(film).frames()) == [30, 76, 137, 187, 242]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("to", [0, 1])
def test_a_flash_is_no_cut(seed, length, to):
    frames = scene(seed, 14).copy()
    frames[6 : 6 + length] = 0.3 * frames[6 : 6 + length] + 0.7 * to
    assert find_cuts(frames) == []
    if length < 3:  # while nothing at all is seen, things move further than they are followed
        frames[6 : 6 + length] = to
        assert find_cuts(frames) == []


@pytest.mark.parametrize("change", [lambda frames: 0.4 * frames, lambda frames: 0.6 * frames + 0.4])
def test_another_exposure_is_no_cut(change):
    frames = scene(1, 14)
    assert find_cuts([*frames[:7], *change(frames[7:])]) == []


@pytest.mark.parametrize("seed", range(4))
def test_fast_motion_is_no_cut(seed):
    """A tenth of the width a frame."""
    assert find_cuts(scene(seed, 14, 25)) == []


def test_scenes_of_one_frame():
    one, two, three = (scene(seed, 6, 3) for seed in (1, 2, 3))
    assert find_cuts([*one, two[0], *three]) == [6, 7]
    assert find_cuts([one[0], *two]) == [1] and find_cuts([*one, two[0]]) == [6]
    assert find_cuts([one[0], two[0], three[0]]) == [1, 2]
    assert find_cuts(one[:1]) == find_cuts(one[:2]) == find_cuts([]) == []


# Never mixed


class InMemory(Clip):
    content = None

    def frames(self, first=0):
        return iter(self.content[first:])


def restorer_of(frames, networks, tile=(4, 16, 16), overlap=(2, 4, 4)):
    clip = InMemory(Path("memory"), len(frames), *frames.shape[2:], 8, False)
    object.__setattr__(clip, "content", frames)
    return VideoRestorer(clip, [TaskNetwork("", network, Path("x"), tile, overlap) for network in networks])


class Mixing(StandIn):
    """Gives the mean of all frames of a tile for each: what it is given shows in every frame."""

    def compute(self, x):
        return np.broadcast_to(x.mean(1, keepdims=True), x.shape)


class Motion(StandIn):
    """Interpolates from all four frames that it is given."""

    def __init__(self):
        super().__init__(pa_frames=0)

    def __call__(self, x):
        return Tensor(x.asnumpy().mean(1, keepdims=True))


@pytest.mark.parametrize("lengths", [(5, 7), (1, 6), (6, 1), (1, 1, 1), (3, 1, 9)])
@pytest.mark.parametrize("networks", [[Mixing()], [Motion()], [Motion(), Mixing(2)]], ids=TASKS)
def test_scenes_are_not_mixed(networks, lengths):
    frames = np.concatenate([np.full((length, 3, 16, 16), number, np.float32) for number, length in enumerate(lengths)])
    frames /= len(lengths)
    restorer = restorer_of(frames, networks)
    mixed = np.stack(list(restorer.restored()))
    restorer.part_at(np.cumsum(lengths[:-1]))
    apart = np.stack(list(restorer.restored()))
    held = frames.repeat(restorer.speed, 0)[: restorer.count]  # between two scenes the frame before again
    np.testing.assert_allclose(apart, held.repeat(restorer.scale, -1).repeat(restorer.scale, -2), atol=1e-6)
    assert len(mixed) == len(apart) == restorer.count and not np.allclose(mixed, apart)
    assert len(list(restorer.beside())) == restorer.count


def test_short_scenes_have_the_shape_of_the_others():
    network = StandIn()
    restorer = restorer_of(np.zeros((14, 3, 16, 16), np.float32), [network])
    restorer.part_at([1, 3, 12])
    assert len(list(restorer.restored())) == 14 and {shape[1] for shape in network.shapes} == {4}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("tile, overlap", [((4, 16, 16), (2, 4, 4)), ((8, 0, 0), (2, 0, 0)), ((0, 0, 0), (0, 0, 0))])
def test_from_any_frame_on_scenes_are_those_of_the_whole_run(task, tile, overlap):
    frames = np.random.default_rng(0).random((17, 3, 16, 16), np.float32)
    restorer = restorer_of(frames, TASKS[task](PlaceDependent), tile, overlap)
    restorer.part_at([1, 6, 7, 15])
    whole = list(restorer.restored())
    assert len(whole) == restorer.count
    for first in range(restorer.count):
        np.testing.assert_allclose(list(restorer.restored(first)), whole[first:], atol=1e-6)
        for one, other in zip(restorer.beside(first), list(restorer.beside())[first:]):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("task", TASKS)
def test_a_sample_stays_in_its_scene(task):
    lengths = (5, 1, 2, 8)
    frames = np.concatenate([np.full((length, 3, 16, 16), number / 4, np.float32) for number, length in enumerate(lengths)])
    restorer = restorer_of(frames, TASKS[task](Mixing))
    restorer.part_at(np.cumsum(lengths[:-1]))
    for number, shown in enumerate(restorer.beside()):
        given, restored = restorer.sample(number)
        np.testing.assert_array_equal(given, shown)
        np.testing.assert_allclose(restored, given, atol=1e-6)


def test_progress_ends_with_all_frames():
    told = []
    restorer = restorer_of(np.zeros((14, 3, 16, 32), np.float32), [StandIn()])
    restorer.part_at([1, 3, 12])
    list(restorer.restored(5, lambda done, of: told.append((done, of))))
    assert told == sorted(told) and told[-1] == (9, 9)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("cuts", [[], [1, 6, 7, 15]], ids=["one scene", "five"])
@pytest.mark.parametrize("tile", [(4, 16, 16), (32, 16, 0), (0, 0, 0)])
def test_the_tiles_of_a_dry_run_are_those_of_the_run(task, cuts, tile):
    networks = TASKS[task](StandIn)
    restorer = restorer_of(np.zeros((17, 3, 32, 40), np.float32), networks, tile, (min(tile[0], 2), 0, 0))
    restorer.part_at(cuts)
    planned = restorer.time_tiles()
    shapes = [network.shapes[0] for network in networks]
    for network in networks:
        network.shapes.clear()
    list(restorer.restored())
    assert [run.count for run in planned] == [len(network.shapes) for network in networks]
    assert all(shape in network.shapes for shape, network in zip(shapes, networks))
