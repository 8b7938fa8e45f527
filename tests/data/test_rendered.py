"""Rendered clips: deterministic, in range, moving as told, train and held-out photographs apart."""

import time
from pathlib import Path

import numpy as np
import pytest
import skimage

from mindrestore.data.composition import Composition, Foreground, Motion, Surface, ellipse, render
from mindrestore.data.demo import demo_scenes
from mindrestore.data.photographs import HELD_OUT_PHOTOGRAPHS, TRAIN_PHOTOGRAPHS, photograph
from mindrestore.data.rendered import RenderedClips, draw_composition, render_clip
from mindrestore.errors import UserError


def photographs_in(composition):
    return {composition.background.photograph} | {layer.surface.photograph for layer in composition.foregrounds}


def shift_between(one, other):
    """(x, y) by which the content of ``one`` moved in ``other``, from the peak of their phase correlation."""
    spectrum = np.fft.fft2(other) * np.conj(np.fft.fft2(one))
    peak = np.unravel_index(np.argmax(np.fft.ifft2(spectrum / (np.abs(spectrum) + 1e-9)).real), one.shape)
    return tuple(int((place + size // 2) % size - size // 2) for place, size in zip(peak[::-1], one.shape[::-1]))


def test_photographs_are_disjoint_and_lie_in_the_installed_package():
    assert not set(TRAIN_PHOTOGRAPHS) & set(HELD_OUT_PHOTOGRAPHS)
    folder = Path(skimage.__file__).parent / "data"
    for name in TRAIN_PHOTOGRAPHS + HELD_OUT_PHOTOGRAPHS:
        assert any((folder / f"{name}.{suffix}").exists() for suffix in ("png", "jpg"))
        image = photograph(name)
        assert image.ndim == 3 and image.shape[2] == 3 and max(image.shape) <= 720
        assert image.dtype == np.float32 and 0 <= image.min() and image.max() <= 1
        with pytest.raises(ValueError):
            image[0, 0, 0] = 1


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_clips_are_decided_by_the_seed(colour):
    clip = render_clip(5, 6, 40, 48, colour=colour)
    assert clip.shape == ((3, 6, 40, 48) if colour else (6, 40, 48))
    assert clip.dtype == np.float32 and clip.flags.c_contiguous and 0 <= clip.min() and clip.max() <= 1
    np.testing.assert_array_equal(clip, render_clip(np.random.default_rng(5), 6, 40, 48, colour=colour))
    assert (clip != render_clip(6, 6, 40, 48, colour=colour)).any()


def test_training_compositions_use_training_photographs_alone_and_all_of_them():
    used = set().union(*(photographs_in(draw_composition(seed, 64, 64)) for seed in range(60)))
    assert used == set(TRAIN_PHOTOGRAPHS)


def test_compositions_vary():
    compositions = [draw_composition(seed, 96, 96) for seed in range(200)]
    assert {len(composition.foregrounds) for composition in compositions} == {1, 2, 3}
    paces = np.array([np.hypot(*composition.camera.velocity) for composition in compositions])
    assert (paces == 0).mean() > 0.2 and paces.max() > 3.5 and (paces < 7).all()
    clips = [render_clip(seed, 2, 48, 48) for seed in range(60)]
    assert np.mean([clip.std() > 0.03 for clip in clips]) > 0.9, "most clips must show something"


def test_a_still_clip_stands_still_and_a_fast_one_does_not():
    for seed in range(3):
        still, fast = (render_clip(seed, 4, 48, 48, photographs=("grass",), speed=speed) for speed in (0.0, 5.0))
        assert np.abs(np.diff(still, axis=0)).max() < 0.05  # its exposure drifts
        assert np.abs(np.diff(fast, axis=0)).max() > 0.2


def test_the_camera_pans_as_told():
    composition = Composition(Surface("gravel", scale=0.5), Motion(velocity=(3.0, -2.0)))
    clip = render(composition, 3, 96, 96)
    assert shift_between(clip[0], clip[1]) == shift_between(clip[1], clip[2]) == (-3, 2)


def test_the_camera_turns_and_comes_nearer():
    (turned,), (straight,) = (
        render(Composition(Surface("gravel"), Motion(angle=angle)), 1, 64, 64) for angle in (np.pi / 2, 0.0)
    )
    np.testing.assert_allclose(turned, np.rot90(straight, -1), atol=1e-3)  # clockwise, as y points down
    near = render(Composition(Surface("gravel"), Motion(growth=0.5)), 3, 64, 64)
    assert np.abs(np.diff(near[2])).mean() < np.abs(np.diff(near[0])).mean()  # enlarged: smoother


def test_a_foreground_covers_its_place_and_moves():
    white, black = (Surface("astronaut", contrast=0.0, brightness=brightness) for brightness in (0.5, -0.5))
    layer = Foreground(white, (0.5, 0.5), ellipse(), radius=10, motion=Motion(velocity=(4.0, 0.0)))
    clip = render(Composition(black, Motion(), (layer,)), 3, 64, 64)
    np.testing.assert_allclose(clip.sum(axis=(1, 2)), np.pi * 10**2, rtol=0.05)
    columns = (clip.sum(axis=1) * np.arange(64)).sum(axis=1) / clip.sum(axis=(1, 2))
    np.testing.assert_allclose(columns, [27.5, 31.5, 35.5], atol=0.05)
    assert clip[:, :8].max() == 0 and clip[1, 32, 32] == 1


def test_nothing_black_shows_beyond_the_edges():
    composition = Composition(Surface("text", brightness=0.3), Motion(position=(500, 400), velocity=(6, 6), turn=0.1))
    assert render(composition, 4, 64, 64).min() > 0.2


def test_colour_and_grey_show_the_same():
    colour, grey = (render_clip(9, 2, 48, 48, photographs=("camera",), colour=colour) for colour in (True, False))
    np.testing.assert_allclose(colour.mean(axis=0), grey, atol=1e-3)  # of a grey photograph


def test_demo_scenes_are_held_out_and_always_the_same():
    scenes, again = demo_scenes(), demo_scenes()
    assert [scene.name for scene in scenes] == ["cat", "launch", "coins", "gravel", "towers"]
    for scene, other in zip(scenes, again):
        assert scene.clip.shape[1:] == (256, 256) and len(scene.clip) % 8 == 0 and not scene.colour
        np.testing.assert_array_equal(scene.clip, other.clip)
        assert np.abs(np.diff(scene.clip, axis=0)).mean() > 0.005, "every scene moves"
    assert demo_scenes(colour=True)[0].clip.shape == (3, 16, 256, 256)


def test_demo_scenes_show_held_out_photographs_only(monkeypatch):
    from mindrestore.data import composition

    seen = set()
    monkeypatch.setattr(composition, "photograph", lambda name: seen.add(name) or photograph(name))
    demo_scenes()
    assert seen == set(HELD_OUT_PHOTOGRAPHS)


def test_half_of_the_clips_are_out_of_focus_and_nothing_else_changes():
    def made(defocus):
        return [RenderedClips(2, 32, 48, colour=True, defocus=defocus).clip(0, np.random.default_rng(i)) for i in range(40)]

    sharp, blurred = made(0.0), made(2.0)
    same = [np.array_equal(*pair) for pair in zip(sharp, blurred)]
    assert 10 < sum(same) < 30
    for before, after in zip(sharp, blurred):
        assert after.shape == before.shape and after.dtype == np.float32 and after.flags.c_contiguous
        assert np.abs(np.diff(after, axis=-1)).mean() <= np.abs(np.diff(before, axis=-1)).mean()
        np.testing.assert_allclose(after.mean((-2, -1)), before.mean((-2, -1)), atol=0.02)  # no colour, no frame mixes


def test_rendering_is_fast_enough_to_train_on():
    clips, rng = RenderedClips(8, 96, 96), np.random.default_rng(0)
    clips.clip(0, rng)
    start = time.perf_counter()
    for index in range(20):
        clips.clip(index, rng)
    assert (time.perf_counter() - start) / 20 < 0.1  # 10 ms on one quiet core


@pytest.mark.parametrize(
    "call, part",
    [
        (lambda: render_clip(0, 0, 8, 8), "at least one frame"),
        (lambda: render_clip(0, 2, 8, 8, speed=-1), "speed"),
        (lambda: render_clip(0, 2, 8, 8, photographs=()), "at least one photograph"),
        (lambda: render_clip(0, 2, 8, 8, photographs=("lena",)), "'lena' is unknown.*astronaut"),
    ],
)
def test_mistakes_are_named(call, part):
    with pytest.raises(UserError, match=part):
        call()
