"""Masks, scenes and captures in MATLAB files of both kinds, under every spelling of their keys."""

import h5py
import numpy as np
import pytest
import scipy.io
from places import REAL_DATA

from mindrestore.data.captures import load_capture
from mindrestore.data.scenes import BENCHMARK, CLIP_KEYS, find_benchmark_scenes, load_scene, scene_paths
from mindrestore.errors import UserError
from mindrestore.mat_files import read_mat
from mindrestore.sensing.masks import MASK_KEYS, load_mask


def save_v5(path, **arrays):
    scipy.io.savemat(path, arrays)


def save_v73(path, **arrays):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = np.asarray(array).T  # MATLAB writes columns first
        file.create_group("#refs#")


@pytest.fixture(params=[save_v5, save_v73], ids=["v5", "v7.3"])
def save(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def matlab(clip):
    """(F, H, W) or (3, F, H, W) with MATLAB's axes, H x W x F or H x W x 3 x F."""
    return clip.transpose(1, 2, 0) if clip.ndim == 3 else clip.transpose(2, 3, 0, 1)


def test_axes_are_matlabs_own(save, tmp_path, rng):
    array = rng.random((3, 4, 5))
    save(tmp_path / "a.mat", array=array, flat=array[..., 0])
    read = read_mat(tmp_path / "a.mat")
    np.testing.assert_array_equal(read["array"], array)
    np.testing.assert_array_equal(read["flat"], array[..., 0])
    assert set(read) == {"array", "flat"}


@pytest.mark.parametrize("key", MASK_KEYS)
def test_masks_under_every_key(key, save, tmp_path, rng):
    mask = (rng.random((4, 6, 8)) < 0.5).astype(np.uint8)
    save(tmp_path / "m.mat", **{key: matlab(mask)})
    read = load_mask(tmp_path / "m.mat")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, mask)
    np.testing.assert_array_equal(load_mask(tmp_path / "m.mat", frames=3), mask[:3])


def test_a_mask_of_one_plane(save, tmp_path):
    save(tmp_path / "m.mat", mask=np.eye(6, 8))
    np.testing.assert_array_equal(load_mask(tmp_path / "m.mat"), np.eye(6, 8)[None])


def test_a_mask_of_0_and_255_is_one_of_0_and_1_and_a_calibrated_one_keeps_its_values(save, tmp_path, rng):
    binary, calibrated = rng.random((2, 4, 4)) < 0.5, rng.random((2, 4, 4)).astype(np.float32) * 1.1
    save(tmp_path / "b.mat", mask=matlab(binary.astype(np.uint8) * 255))
    save(tmp_path / "c.mat", mask=matlab(calibrated))
    np.testing.assert_array_equal(load_mask(tmp_path / "b.mat"), binary)
    np.testing.assert_array_equal(load_mask(tmp_path / "c.mat"), calibrated)


def test_masks_in_numpy_files(tmp_path, rng):
    mask = (rng.random((4, 6, 8)) < 0.5).astype(np.float32)
    np.save(tmp_path / "m.npy", mask)
    np.savez(tmp_path / "m.npz", mask=mask, other=1)
    np.testing.assert_array_equal(load_mask(tmp_path / "m.npy"), mask)
    np.testing.assert_array_equal(load_mask(tmp_path / "m.npz"), mask)


@pytest.mark.parametrize("key", CLIP_KEYS)
def test_grey_scenes_under_every_key(key, save, tmp_path, rng):
    clip, mask = rng.integers(0, 256, (9, 6, 8)).astype(np.uint8), rng.integers(0, 2, (4, 6, 8)).astype(np.uint8)
    save(tmp_path / "traffic_x.mat", **{key: matlab(clip), "mask": matlab(mask), "meas": np.ones((6, 8))})
    scene = load_scene(tmp_path / "traffic_x.mat")
    assert scene.name == "traffic_x" and not scene.colour and scene.clip.dtype == np.float32
    np.testing.assert_allclose(scene.clip, clip / 255, atol=1e-7)
    np.testing.assert_array_equal(scene.mask, mask)
    pieces = scene.snapshots(4)
    assert len(pieces) == 2
    np.testing.assert_array_equal(np.concatenate(pieces), scene.clip[:8])


def test_colour_scenes(save, tmp_path, rng):
    clip = rng.integers(0, 256, (3, 4, 6, 8)).astype(np.uint8)
    save(tmp_path / "beauty.mat", orig=matlab(clip))
    scene = load_scene(tmp_path / "beauty.mat", name="Beauty")
    assert scene.name == "Beauty" and scene.colour and scene.mask is None
    np.testing.assert_allclose(scene.clip, clip / 255, atol=1e-7)
    assert [piece.shape for piece in scene.snapshots(2)] == [(3, 2, 6, 8)] * 2


def test_a_float_scene_may_reach_1_or_255(save, tmp_path, rng):
    clip = rng.random((2, 6, 8))
    save(tmp_path / "one.mat", orig=matlab(clip))
    save(tmp_path / "many.mat", orig=matlab(clip * 255))
    for name in ("one", "many"):
        np.testing.assert_allclose(load_scene(tmp_path / f"{name}.mat").clip, clip, atol=1e-6)


def test_a_dark_scene_of_whole_numbers_stays_dark(save, tmp_path):
    save(tmp_path / "dark.mat", orig=np.ones((6, 8, 2), np.uint8))
    np.testing.assert_allclose(load_scene(tmp_path / "dark.mat").clip, 1 / 255)


def test_benchmark_scenes_are_found_however_they_are_spelled(tmp_path):
    spelled = {
        "Kobe": "kobe_first8.mat",
        "Traffic": "Traffic48.MAT",
        "Runner": "runner8_cacti.mat",
        "Drop": "data_drop8.mat",
        "Vehicle": "crash32_cacti.mat",
    }
    for name in list(spelled.values()) + ["mask.mat", "backdrop.mat", "kobe.png"]:
        (tmp_path / name).touch()
    found = find_benchmark_scenes(tmp_path)
    assert list(found) == list(BENCHMARK) == ["Kobe", "Traffic", "Runner", "Drop", "Aerial", "Vehicle"]
    assert {name: path and path.name for name, path in found.items()} == {**spelled, "Aerial": None}
    (tmp_path / "kobe_cacti.mat").touch()
    with pytest.raises(UserError, match="kobe_cacti.mat and kobe_first8.mat.*Kobe"):
        find_benchmark_scenes(tmp_path)


def test_paths_of_scenes(tmp_path):
    (tmp_path / "b.mat").touch()
    for name in ("a10", "a2", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").touch()
    for name in ("a2/1.png", "a10/1.png"):
        (tmp_path / name).touch()
    assert [path.name for path in scene_paths(tmp_path)] == ["a2", "a10", "b.mat"]
    assert scene_paths(tmp_path / "b.mat") == [tmp_path / "b.mat"]
    assert scene_paths(tmp_path / "a2") == [tmp_path / "a2"]
    with pytest.raises(UserError, match="no scenes"):
        scene_paths(tmp_path / "empty")


def test_captures(save, tmp_path, rng):
    stored = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    save(tmp_path / "meas_hand_cr_10.mat", meas=stored)
    save(tmp_path / "single.mat", meas=stored[..., 0])
    capture = load_capture(tmp_path / "meas_hand_cr_10.mat")
    assert (capture.name, capture.frames) == ("meas_hand_cr_10", 10)
    np.testing.assert_allclose(capture.measurements, stored.transpose(2, 0, 1) / 255 * 5, rtol=1e-6)
    single = load_capture(tmp_path / "single.mat", frames=20)
    np.testing.assert_allclose(single.measurements, stored[None, ..., 0] / 255 * 10, rtol=1e-6)
    with pytest.raises(UserError, match="single.mat.*compression ratio"):
        load_capture(tmp_path / "single.mat")


def test_mistakes_in_files_are_named(save, tmp_path):
    save(tmp_path / "other.mat", stuff=np.ones((4, 4, 2)))
    four_axes = np.ones((2, 2, 2, 2))
    save(tmp_path / "flat_cr_4.mat", orig=four_axes, mask=four_axes, meas=np.full((4, 4), 300.0))
    save(tmp_path / "wild.mat", orig=np.full((4, 4, 2), 3000.0), mask=np.full((4, 4, 2), -1.0))
    save(tmp_path / "short.mat", orig=np.ones((4, 4, 2)), mask=np.ones((4, 4, 2)))
    for call, parts in [
        (lambda: load_mask(tmp_path / "other.mat"), ["other.mat", "no mask", "stuff", "'mask'"]),
        (lambda: load_scene(tmp_path / "other.mat"), ["other.mat", "no clip", "stuff", "'orig'"]),
        (lambda: load_capture(tmp_path / "other.mat", 4), ["other.mat", "no measurement", "stuff", "'meas'"]),
        (lambda: load_scene(tmp_path / "flat_cr_4.mat"), ["flat_cr_4.mat", "H x W x F", "2 x 2 x 2 x 2"]),
        (lambda: load_mask(tmp_path / "flat_cr_4.mat"), ["flat_cr_4.mat", "three axes"]),
        (lambda: load_capture(tmp_path / "flat_cr_4.mat"), ["flat_cr_4.mat", "0..255", "300"]),
        (lambda: load_scene(tmp_path / "wild.mat"), ["wild.mat", "0..255"]),
        (lambda: load_mask(tmp_path / "wild.mat"), ["wild.mat", "0 or more"]),
        (lambda: load_mask(tmp_path / "short.mat", frames=3), ["short.mat", "2 planes", "3"]),
        (lambda: load_scene(tmp_path / "short.mat").snapshots(3), ["short", "2 frames", "3"]),
    ]:
        with pytest.raises(UserError) as raised:
            call()
        assert all(part in str(raised.value) for part in parts), raised.value
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"no MATLAB file", b"MATLAB 5.0 MAT-file" + b" " * 105 + b"\0\1IM" + b"\xff" * 99])
@pytest.mark.parametrize("read", [read_mat, load_mask, load_scene, lambda path: load_capture(path, 8)])
def test_damaged_files_are_named(content, read, tmp_path):
    (tmp_path / "damaged.mat").write_bytes(content)
    with pytest.raises(UserError, match=r"damaged\.mat: not a readable MATLAB file"):
        read(tmp_path / "damaged.mat")


def test_damaged_and_foreign_mask_files_are_named(tmp_path):
    (tmp_path / "m.npy").write_bytes(b"\x93NUMPY garbage")
    (tmp_path / "m.png").write_bytes(b"")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    with pytest.raises(UserError, match="m.npy: not a readable NumPy file"):
        load_mask(tmp_path / "m.npy")
    with pytest.raises(UserError, match="objects.npy: not a readable NumPy file"):
        load_mask(tmp_path / "objects.npy")
    with pytest.raises(UserError, match=r"m.png.*\.mat, \.npz or \.npy"):
        load_mask(tmp_path / "m.png")


@pytest.mark.parametrize("read", [read_mat, load_mask, load_scene, load_capture, find_benchmark_scenes, scene_paths])
def test_missing_files_are_named(read, tmp_path):
    with pytest.raises(UserError, match="nowhere.mat: no such"):
        read(tmp_path / "nowhere.mat")


def test_the_real_scenes_mask_and_captures():
    if not (REAL_DATA / "sci").is_dir() or not (REAL_DATA / "sci_real").is_dir():
        pytest.skip(f"real scenes and captures are not in {REAL_DATA}; set MINDRESTORE_DATA to the folder that has them")
    for name, path in find_benchmark_scenes(REAL_DATA / "sci").items():
        if path:
            scene = load_scene(path, name)
            assert scene.clip.shape[1:] == (256, 256) and scene.mask.shape == (8, 256, 256) and scene.clip.max() > 0.5
    mask = load_mask(REAL_DATA / "sci" / "mask.mat")
    assert mask.shape == (8, 256, 256) and (mask.sum(axis=0) == 0).sum() == 252
    capture = load_capture(REAL_DATA / "sci_real" / "meas_hand_cr_10.mat")
    assert capture.frames == 10 and capture.measurements.shape == (4, 512, 512) and capture.measurements.max() < 5
