"""Sources of training clips: one interface, decided by index and generator alone."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import scipy.io

from mindrestore.data.augmentation import VIEWS, scaled_view, stretched_view, whole_view
from mindrestore.data.providers import DavisClips, SceneClips, group_starts, training_clips
from mindrestore.data.rendered import RenderedClips, render_clip
from mindrestore.errors import UserError


def counted_frames(folder, count, height=40, width=50):
    """Frames whose grey level tells their number."""
    folder.mkdir(parents=True)
    for n in range(count):
        cv2.imwrite(str(folder / f"{n:05d}.png"), np.full((height, width), n * 10, np.uint8))


@pytest.fixture
def davis(tmp_path):
    counted_frames(tmp_path / "JPEGImages" / "480p" / "bear", 11)
    counted_frames(tmp_path / "JPEGImages" / "480p" / "swan", 3)
    counted_frames(tmp_path / "JPEGImages" / "480p" / "camel", 4)
    (tmp_path / "Annotations").mkdir()
    return tmp_path


def settings(kind, path=None):
    return SimpleNamespace(kind=kind, path=path, frames=4, size=16, view="scaled", clips=7, defocus=0.0, photographs=("grass",))


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("kind", ["rendered", "davis", "scenes"])
def test_every_source_has_the_same_interface(kind, colour, davis):
    path = {"rendered": None, "davis": davis, "scenes": davis / "JPEGImages" / "480p" / "bear"}[kind]
    clips = training_clips(settings(kind, path), colour)
    assert len(clips) == {"rendered": 7, "davis": 12, "scenes": 2}[kind]
    for index in range(len(clips)):
        clip = clips.clip(index, np.random.default_rng(index))
        assert clip.shape == ((3, 4, 16, 16) if colour else (4, 16, 16))
        assert clip.dtype == np.float32 and clip.flags.c_contiguous and 0 <= clip.min() and clip.max() <= 1
        np.testing.assert_array_equal(clip, clips.clip(index, np.random.default_rng(index)))


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_clips_are_rendered_from_the_photographs_that_settings_name(colour):
    given = SimpleNamespace(**{**vars(settings("rendered")), "photographs": ("text", "retina")})
    expected = render_clip(np.random.default_rng(3), 4, 16, 16, photographs=("text", "retina"), colour=colour)
    np.testing.assert_array_equal(training_clips(given, colour).clip(0, np.random.default_rng(3)), expected)


def test_davis_groups_start_at_every_frame_and_follow_one_another(davis):
    clips = DavisClips(davis / "JPEGImages" / "480p", frames=4, height=8, width=8)
    starts = []
    for index in range(len(clips)):
        levels = np.rint(clips.clip(index, np.random.default_rng(index)).mean(axis=(1, 2)) * 25.5)
        np.testing.assert_array_equal(np.diff(levels), [1, 1, 1])
        folder, first = clips.name(index).split(" from frame ")
        assert int(first) == levels[0]
        starts.append((folder.rpartition("/")[2], int(levels[0])))
    bear = [0, 4, 1, 5, 2, 6, 3, 7, 4, 5, 6]  # of 11 frames; swan is too short
    assert starts == [("bear", first) for first in bear] + [("camel", 0)]


DAVIS_2017 = (
    82,
    69,
    50,
    90,
    80,
    75,
    87,
    84,
    71,
    80,
    90,
    75,
    40,
    80,
    89,
    63,
    84,
    104,
    52,
    60,
    90,
    62,
    76,
    60,
    25,
    86,
    66,
    83,
    52,
    50,
    64,
    91,
    80,
    80,
    90,
    78,
    80,
    75,
    50,
    60,
    81,
    34,
    68,
    50,
    80,
    100,
    47,
    65,
    49,
    73,
    50,
    52,
    70,
    70,
    80,
    79,
    70,
    60,
    40,
    43,
    46,
    70,
    80,
    100,
    79,
    38,
    50,
    90,
    35,
    80,
    43,
    91,
    75,
    68,
    40,
    80,
    66,
    99,
    48,
    91,
    71,
    55,
    60,
    70,
    76,
    80,
    59,
    65,
    67,
    72,
)
"""Frames of its 90 training and validation clips, bear to walking."""


def test_an_epoch_of_davis_is_as_long_as_published():
    assert (len(DAVIS_2017), sum(DAVIS_2017)) == (90, 6208)
    assert sum(len(group_starts(count, 8)) for count in DAVIS_2017) == 26030


@pytest.mark.parametrize(
    "count, frames, expected",
    [(3, 4, []), (4, 4, [0]), (5, 4, [0]), (6, 4, [0, 1]), (8, 4, [0, 4, 1, 2, 3]), (1, 1, [0]), (3, 1, [0, 1, 2, 1, 2])],
)
def test_groups_of_short_clips(count, frames, expected):
    assert group_starts(count, frames) == expected


def test_scene_clips_take_frames_in_order(tmp_path):
    orig = np.broadcast_to(np.arange(10, dtype=np.uint8) * 25, (20, 24, 10))
    scipy.io.savemat(tmp_path / "s.mat", {"orig": orig})
    clips = SceneClips([tmp_path / "s.mat"], frames=4, height=16, width=16)
    assert len(clips) == 2
    for seed in range(5):
        np.testing.assert_allclose(np.diff(clips.clip(0, np.random.default_rng(seed))[:, 0, 0]), 25 / 255, atol=1e-5)


def test_scaled_views_cover_scales_places_and_mirrors():
    rows, columns = np.mgrid[0:60, 0:80].astype(np.float32) / 100
    clip = np.stack([rows, columns])  # "frames" that tell where they were
    rng = np.random.default_rng(0)
    views = [scaled_view(clip, 32, 32, rng) for _ in range(200)]
    slopes = np.array([[view[0, -1, 0] - view[0, 0, 0], view[1, 0, -1] - view[1, 0, 0]] for view in views])
    scales = 0.31 / np.abs(slopes)
    assert 0.75 < scales.min() < 0.83 and 1.15 < scales.max() < 1.3
    assert {tuple(signs) for signs in np.sign(slopes)} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    corners = np.array([[view[0].min(), view[1].min()] for view in views])
    assert (corners.min(axis=0) < 0.03).all() and (corners.max(axis=0) > [0.25, 0.45]).all()


RAMPS = np.stack(np.mgrid[0:60, 0:80].astype(np.float32) / 100)  # "frames" that tell where they were


def seen_by(view, count=500):
    """Rows and columns of a clip of 60 x 80 that views of 32 x 32 show, and the signs of their directions; (count, 2) each."""
    rng = np.random.default_rng(0)
    views = [view(RAMPS, 32, 32, rng) for _ in range(count)]
    steps = np.array([[each[0, 24, 16] - each[0, 8, 16], each[1, 16, 24] - each[1, 16, 8]] for each in views])
    return np.abs(steps) * 100 * 32 / 16, np.sign(steps)


def test_stretched_views_are_parts_of_any_sides_in_all_four_directions():
    seen, signs = seen_by(stretched_view)
    whole = (np.abs(seen - [60, 80]) < 0.5).all(1)
    assert 0.4 < whole.mean() < 0.6
    parts = seen[~whole]
    assert (parts.min(0) < 16.5).all() and (parts.max(0) > [55, 74]).all()
    assert abs(np.corrcoef(parts.T)[0, 1]) < 0.15  # each side is drawn by itself
    for rows, columns in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        assert 0.19 < (signs == [rows, columns]).all(1).mean() < 0.31
    # half of the clips are resized first: of a length below half of the window's is only seen what was enlarged before
    assert (parts < 15.5).any() and (parts > 13).all()


def test_whole_views_show_all_and_are_mirrored_left_right_only():
    seen, signs = seen_by(whole_view)
    np.testing.assert_allclose(seen, np.tile([60, 80], (500, 1)), atol=0.1)
    assert (signs[:, 0] == 1).all() and 0.4 < (signs[:, 1] == -1).mean() < 0.6


@pytest.mark.parametrize("name", ["stretched", "whole"])
def test_no_clip_is_too_small_to_be_stretched(name, davis):
    clips = DavisClips(davis, 4, 96, 64, view=name)
    for index in range(len(clips)):
        clip = clips.clip(index, np.random.default_rng(index))
        assert clip.shape == (4, 96, 64) and clip.flags.c_contiguous and clip.dtype == np.float32
    tiny = np.random.default_rng(0).random((2, 1, 1), np.float32)
    assert VIEWS[name](tiny, 8, 8, np.random.default_rng(0)).shape == (2, 8, 8)


def test_a_clip_as_large_as_the_window_is_only_mirrored():
    clip = np.random.default_rng(0).random((2, 3, 16, 16), dtype=np.float32)
    view = scaled_view(clip, 16, 16, np.random.default_rng(1), scales=(1.0, 1.0))
    mirrors = [clip, clip[..., ::-1], clip[..., ::-1, :], clip[..., ::-1, ::-1]]
    assert any(np.array_equal(view, mirror) for mirror in mirrors)


def test_a_small_clip_is_enlarged_within_the_scales_and_no_further(davis):
    assert DavisClips(davis, 4, 44, 44).clip(0, np.random.default_rng(0)).shape == (4, 44, 44)
    with pytest.raises(UserError, match="bear: frames of 50 x 40 pixels are too small for windows of 60 x 60"):
        DavisClips(davis, 4, 60, 60).clip(0, np.random.default_rng(0))


def test_mistakes_are_named(davis, tmp_path):
    scipy.io.savemat(tmp_path / "colour.mat", {"orig": np.ones((20, 20, 3, 8), np.uint8)})
    scipy.io.savemat(tmp_path / "short.mat", {"orig": np.ones((20, 20, 3), np.uint8)})
    (tmp_path / "bare" / "JPEGImages").mkdir(parents=True)
    for call, part in [
        (lambda: DavisClips(tmp_path / "nowhere"), "nowhere: no such folder"),
        (lambda: DavisClips(tmp_path / "bare"), "480p: no such folder"),
        (lambda: DavisClips(davis, frames=12), "no clip of 12 frames"),
        (lambda: SceneClips([tmp_path / "colour.mat"], 4, 16, 16), "colour.mat: the scene is colour, expected grey"),
        (lambda: SceneClips([tmp_path / "short.mat"], 4, 16, 16), "short has 3 frames"),
        (lambda: RenderedClips(4, 16, 16, photographs=("mona_lisa",)), "mona_lisa"),
    ]:
        with pytest.raises(UserError, match=part):
            call()
