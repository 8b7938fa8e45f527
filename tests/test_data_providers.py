"""Sources of training clips: one interface, decided by index and generator alone."""
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import scipy.io

from mindrestore.data.augmentation import random_view
from mindrestore.data.providers import DavisClips, SceneClips, training_clips
from mindrestore.data.rendered import RenderedClips
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
    return SimpleNamespace(kind=kind, path=path, frames=4, size=16, clips=7)


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("kind", ["rendered", "davis", "scenes"])
def test_every_source_has_the_same_interface(kind, colour, davis):
    path = {"rendered": None, "davis": davis, "scenes": davis / "JPEGImages" / "480p" / "bear"}[kind]
    clips = training_clips(settings(kind, path), colour)
    assert len(clips) == {"rendered": 7, "davis": 3, "scenes": 2}[kind]
    for index in range(len(clips)):
        clip = clips.clip(index, np.random.default_rng(index))
        assert clip.shape == ((3, 4, 16, 16) if colour else (4, 16, 16))
        assert clip.dtype == np.float32 and clip.flags.c_contiguous and 0 <= clip.min() and clip.max() <= 1
        np.testing.assert_array_equal(clip, clips.clip(index, np.random.default_rng(index)))


def test_davis_frames_are_consecutive_and_every_start_is_reached(davis):
    clips = DavisClips(davis / "JPEGImages" / "480p", frames=4, height=8, width=8)
    starts = {0: set(), 1: set(), 2: set()}
    rng = np.random.default_rng(0)
    for _ in range(60):
        for index, seen in starts.items():
            levels = np.rint(clips.clip(index, rng).mean(axis=(1, 2)) * 25.5)
            np.testing.assert_array_equal(np.diff(levels), [1, 1, 1])
            seen.add(int(levels[0]))
    assert starts == {0: {0, 1, 2, 3}, 1: {4, 5, 6, 7}, 2: {0}}  # bear, bear, camel; swan is too short


def test_scene_clips_take_frames_in_order(tmp_path):
    orig = np.broadcast_to(np.arange(10, dtype=np.uint8) * 25, (20, 24, 10))
    scipy.io.savemat(tmp_path / "s.mat", {"orig": orig})
    clips = SceneClips([tmp_path / "s.mat"], frames=4, height=16, width=16)
    assert len(clips) == 2
    for seed in range(5):
        np.testing.assert_allclose(np.diff(clips.clip(0, np.random.default_rng(seed))[:, 0, 0]), 25 / 255, atol=1e-5)


def test_views_cover_scales_places_and_mirrors():
    rows, columns = np.mgrid[0:60, 0:80].astype(np.float32) / 100
    clip = np.stack([rows, columns])  # "frames" that tell where they were
    rng = np.random.default_rng(0)
    views = [random_view(clip, 32, 32, rng) for _ in range(200)]
    slopes = np.array([[view[0, -1, 0] - view[0, 0, 0], view[1, 0, -1] - view[1, 0, 0]] for view in views])
    scales = 0.31 / np.abs(slopes)
    assert 0.75 < scales.min() < 0.83 and 1.15 < scales.max() < 1.3
    assert {tuple(signs) for signs in np.sign(slopes)} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}
    corners = np.array([[view[0].min(), view[1].min()] for view in views])
    assert (corners.min(axis=0) < 0.03).all() and (corners.max(axis=0) > [0.25, 0.45]).all()


def test_a_clip_as_large_as_the_window_is_only_mirrored():
    clip = np.random.default_rng(0).random((2, 3, 16, 16), dtype=np.float32)
    view = random_view(clip, 16, 16, np.random.default_rng(1), scales=(1.0, 1.0))
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
