"""Training data of VRT: subclips of stored clips, what is held out, augmentation, low quality, determinism."""

import colorsys
import subprocess
import sys

import cv2
import numpy as np
import pytest
from places import ROOT

from mindrestore.data.clip_lists import read_list
from mindrestore.data.degradation import degraded
from mindrestore.data.frame_stores import FolderStore, LmdbStore, open_store, training_stores
from mindrestore.data.lmdb_writer import create_lmdb
from mindrestore.data.passes import Passes
from mindrestore.data.subclips import HELD_OUT, RenderedSubclips, StoredSubclips, Subclip
from mindrestore.data.video_samples import VideoSamples, filled, jittered, turned
from mindrestore.errors import UserError

FRAMES = 5


@pytest.fixture
def tree(tmp_path):
    """Ground truth and low quality a quarter of its size; every pixel of a frame says clip, frame and place."""
    for clip, (first, count) in {"000": (0, 6), "001": (0, 7), "011": (0, 6), "GOPR": (47, 5), "short": (0, 3)}.items():
        for number in range(first, first + count):
            image = np.zeros((40, 48, 3), np.uint8)
            image[..., 0] = np.arange(48)[None] // 4 * 4  # blue: column
            image[..., 1] = np.arange(40)[:, None] // 4 * 4  # green: row
            image[..., 2] = 10 * (number - first) + len(clip)  # red: frame
            for part, pixels in (("gt", image), ("lq", image[::4, ::4])):
                folder = tmp_path / part / clip
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / f"{number:06d}.png"), pixels)
    return tmp_path


def stores(tree):
    return FolderStore(tree / "gt"), FolderStore(tree / "lq")


def test_every_order_has_every_index_once():
    order = Passes(7, seed=3)
    first, second = ([order[position] for position in range(start, start + 7)] for start in (0, 7))
    assert sorted(first) == sorted(second) == list(range(7)) and first != second
    assert Passes(7, seed=3)[9] == second[2]


def test_windows_stay_within_their_clip(tree):
    subclips = StoredSubclips(*stores(tree), frames=FRAMES, patch=16, scale=4)
    assert len(subclips) == 2 + 3 + 2 + 1  # of 6, 7, 6 and 5 frames; the short clip has none
    rng = np.random.default_rng(0)
    for index in range(len(subclips)):
        subclip = subclips.subclip(index, rng)
        numbers = np.rint(255 * subclip.gt[:, 0, 0, 0]) // 10
        assert (np.diff(numbers) == 1).all(), subclips.name(index)


def test_patches_lie_at_one_place_of_both(tree):
    subclips = StoredSubclips(*stores(tree), frames=FRAMES, patch=16, scale=4)
    rng = np.random.default_rng(0)
    places = set()
    for index in range(30):
        gt, lq = subclips.subclip(index % len(subclips), rng)
        assert gt.shape == (FRAMES, 3, 16, 16) and lq.shape == (FRAMES, 3, 4, 4)
        np.testing.assert_array_equal(gt[..., ::4, ::4], lq)
        places.add((gt[0, 1, 0, 0], gt[0, 2, 0, 0]))
    assert len(places) > 10


def test_folders_and_lmdbs_give_the_same(tree, tmp_path):
    databases = []
    for part in ("gt", "lq"):
        create_lmdb(tree / part, tmp_path / f"{part}.lmdb", workers=1)
        databases.append(LmdbStore(tmp_path / f"{part}.lmdb"))
    one = StoredSubclips(*stores(tree), frames=FRAMES, patch=16, scale=4)
    other = StoredSubclips(*databases, frames=FRAMES, patch=16, scale=4)
    assert len(one) == len(other)
    for index in range(len(one)):
        for a, b in zip(one.subclip(index, np.random.default_rng(index)), other.subclip(index, np.random.default_rng(index))):
            np.testing.assert_array_equal(a, b)
        assert one.name(index) == other.name(index)


def test_held_out_clips_that_lie_deeper_are_refused(tree):
    gt, _ = stores(tree)
    gt.clips = {f"train_sharp/{name}": frames for name, frames in gt.clips.items()}
    with pytest.raises(UserError, match="clip train_sharp/0.. is to be held out by its name, but lies deeper"):
        StoredSubclips(gt, frames=FRAMES, patch=16, held_out=HELD_OUT["reds4"])


def test_held_out_clips_are_never_seen(tree):
    subclips = StoredSubclips(*stores(tree), frames=FRAMES, patch=16, scale=4, held_out=HELD_OUT["reds4"])
    names = {subclips.name(index).split("/")[0] for index in range(len(subclips))}
    assert names == {"001", "GOPR"}
    assert HELD_OUT["official"][0] == "240" and HELD_OUT["official"][-1] == "269" and len(HELD_OUT["official"]) == 30


# Data sets as they are downloaded


def downloaded(root, parts, clips, names):
    """A data set whose every pixel tells part, clip and frame."""
    for p, part in enumerate(parts):
        for c, clip in enumerate(clips):
            for n, name in enumerate(names):
                path = root / part.format(clip) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), np.full((32, 32, 3), 100 * p + 10 * c + n, np.uint8))
    return root


GOPRO = ("GOPR0372_07_00", "GOPR0372_07_01")


@pytest.fixture
def gopro(tmp_path):
    parts = ("{}/sharp", "{}/blur", "{}/blur_gamma")
    return downloaded(tmp_path / "GoPro" / "train", parts, GOPRO, [f"{number:06d}.png" for number in range(47, 50)])


def subclip_levels(subclips):
    """Grey levels of the first frames of ground truth and low quality of every subclip, by clip."""
    levels = {}
    for index in range(len(subclips)):
        subclip = subclips.subclip(index, np.random.default_rng(index))
        both = [None if part is None else int(np.rint(255 * part[0, 0, 0, 0])) for part in subclip]
        levels.setdefault(subclips.name(index).rpartition("/")[0], []).append(tuple(both))
    return levels


@pytest.mark.parametrize("given", ["folder", "folder twice", "lmdb"])
def test_gopro_trains_as_it_is_downloaded(gopro, given):
    if given == "lmdb":
        create_lmdb(gopro, gopro.with_name("train.lmdb"), workers=1)
    path = gopro.with_name("train.lmdb") if given == "lmdb" else gopro
    gt, lq = training_stores(path, path if given == "folder twice" else None, blurred=True)
    subclips = StoredSubclips(gt, lq, frames=2, patch=16)
    assert subclip_levels(subclips) == {GOPRO[0]: [(0, 100), (1, 101)], GOPRO[1]: [(10, 110), (11, 111)]}
    chosen = StoredSubclips(gt, lq, frames=2, patch=16, clips=["GOPR0372_07_01"])  # as published lists name it
    assert len(chosen) == 2


def test_only_blur_is_taken_from_beside(gopro):
    gt, lq = training_stores(gopro, blurred=False)
    assert lq is None and list(gt.clips) == list(GOPRO)
    gt, lq = training_stores(gopro / GOPRO[0], blurred=True)  # a single clip
    assert subclip_levels(StoredSubclips(gt, lq, frames=2, patch=16)) == {GOPRO[0]: [(0, 100), (1, 101)]}


def test_low_quality_of_ones_own_goes_before_what_lies_beside(gopro, tmp_path):
    own = downloaded(tmp_path / "own", ("{}",), GOPRO, [f"{number:06d}.png" for number in range(47, 50)])
    gt, lq = training_stores(gopro, own, blurred=True)
    assert subclip_levels(StoredSubclips(gt, lq, frames=2, patch=16))[GOPRO[1]] == [(10, 10), (11, 11)]
    gt, lq = training_stores(own, own, blurred=True)  # nothing beside
    assert list(gt.clips) == list(lq.clips) == list(GOPRO)


def test_a_clip_without_its_blur_is_named(gopro):
    for path in (gopro / GOPRO[1] / "blur").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="clip GOPR0372_07_01 of .* is missing"):
        StoredSubclips(*training_stores(gopro, blurred=True), frames=2, patch=16)


def test_dvd_trains_as_it_is_downloaded(tmp_path):
    root = downloaded(tmp_path / "quantitative_datasets", ("{}/GT", "{}/input"), ["IMG_0030"], ["00000.jpg", "00001.jpg"])
    subclips = StoredSubclips(*training_stores(root, blurred=True), frames=2, patch=16)
    assert subclip_levels(subclips) == {"IMG_0030": [(0, 100)]}


def test_vimeo_trains_with_its_own_list_as_it_is_unpacked(tmp_path):
    root = downloaded(
        tmp_path / "vimeo_septuplet",
        ("sequences/{}",),
        ["00001/0001", "00001/0002", "00002/0001"],
        [f"im{number}.png" for number in range(1, 8)],
    )
    (root / "sep_trainlist.txt").write_text("00001/0001\n00002/0001\n\n")
    (root / "readme.txt").write_text("septuplets\n")
    names = [clip.name for clip in read_list(root / "sep_trainlist.txt")]
    for path in (root, root / "sequences"):
        subclips = StoredSubclips(open_store(path), frames=7, patch=16, clips=names)
        assert subclip_levels(subclips) == {"00001/0001": [(0, None)], "00002/0001": [(20, None)]}
    script = ROOT / "src/scripts/create_lmdb.py"
    subprocess.run(
        [
            sys.executable,
            str(script),
            str(root / "sequences"),
            str(tmp_path / "train.lmdb"),
            "--list",
            str(root / "sep_trainlist.txt"),
            "--workers",
            "1",
        ],
        check=True,
        capture_output=True,
    )
    assert list(open_store(tmp_path / "train.lmdb").clips) == ["00001/0001", "00002/0001"]


def test_davis_is_not_trained_on_its_annotations(tmp_path):
    root = downloaded(tmp_path / "DAVIS", ("JPEGImages/480p/{}", "Annotations/480p/{}"), ["bear"], ["00000.jpg", "00001.jpg"])
    assert list(open_store(root).clips) == ["bear"]


@pytest.mark.parametrize(
    "harm, complaint",
    [
        (lambda tree: [path.unlink() for path in (tree / "lq/001").iterdir()], "clip 001 of .* is missing"),
        (lambda tree: (tree / "lq/001/000006.png").unlink(), "clip 001: frame 000006 of .*gt has no counterpart in .*lq"),
        (lambda tree: cv2.imwrite(str(tree / "gt/001/000002.png"), np.zeros((8, 8, 3), np.uint8)), "frame 000002: 8 x 8"),
        (lambda tree: (tree / "gt/001/000002.png").write_bytes(b"no image"), "000002.png: this frame does not decode"),
        (
            lambda tree: [cv2.imwrite(str(path), np.zeros((9, 12, 3), np.uint8)) for path in (tree / "lq/001").iterdir()],
            "clip 001: frames of 12 x 9 pixels, expected",
        ),
    ],
)
def test_what_does_not_fit_is_named(tree, harm, complaint):
    harm(tree)
    with pytest.raises(UserError, match=complaint):
        subclips = StoredSubclips(*stores(tree), frames=FRAMES, patch=16, scale=4)
        for index in range(len(subclips)):
            subclips.subclip(index, np.random.default_rng(0))


@pytest.mark.parametrize(
    "settings, complaint",
    [
        (dict(patch=64), "smaller than the patch of 64"),
        (dict(frames=9), "no clip of 9 frames"),
        (dict(clips=["000", "777"]), "the first is 777"),
        (dict(patch=18), "multiple of the scale"),
    ],
)
def test_impossible_settings_are_refused(tree, settings, complaint):
    with pytest.raises(UserError, match=complaint):
        StoredSubclips(*stores(tree), **{**dict(frames=FRAMES, patch=16, scale=4), **settings}).subclip(
            0, np.random.default_rng(0)
        )


# Samples


class Numbered:
    """Subclips of random frames; low quality is every fourth pixel."""

    holds_lock = False

    def __init__(self, frames=FRAMES, with_lq=True):
        self.frames, self.with_lq = frames, with_lq

    def __len__(self):
        return 5

    def subclip(self, index, rng):
        gt = np.random.default_rng(index).random((self.frames, 3, 16, 16), np.float32)
        return Subclip(gt, gt[..., ::4, ::4] if self.with_lq else None)


def test_augmentation_is_the_same_for_both_and_gives_all_eight_views():
    seen = set()
    for seed in range(60):
        gt = np.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
        one, other = turned([gt, -gt], np.random.default_rng(seed))
        np.testing.assert_array_equal(one, -other)
        assert sorted(one[0, 0].reshape(-1)) == sorted(gt[0, 0].reshape(-1))
        seen.add(one[0, 0].tobytes())
    assert len(seen) == 8


def jittered_pixel_by_pixel(clip, factors, order):
    """Brightness, contrast, saturation, hue (0 to 3) of a clip (T, 3, H, W) in ``order``, by Python's own colours."""
    clip = clip.astype(np.float64)
    for change in order:
        factor = factors[change]
        grey = 0.2989 * clip[:, 0] + 0.587 * clip[:, 1] + 0.114 * clip[:, 2]
        if change == 0:
            clip = factor * clip
        elif change == 1:
            clip = factor * clip + (1 - factor) * grey.mean((1, 2))[:, None, None, None]
        elif change == 2:
            clip = factor * clip + (1 - factor) * grey[:, None]
        else:
            pixels = [colorsys.rgb_to_hsv(*pixel) for pixel in clip.transpose(0, 2, 3, 1).reshape(-1, 3)]
            pixels = [colorsys.hsv_to_rgb((hue + factor - 1) % 1, *rest) for hue, *rest in pixels]
            clip = np.array(pixels).reshape(len(clip), *clip.shape[2:], 3).transpose(0, 3, 1, 2)
        clip = np.clip(clip, 0, 1)
    return clip


def test_colours_change_in_a_random_order_hue_included():
    clip = np.random.default_rng(7).random((2, 3, 6, 5), np.float32)
    seen, turns = set(), []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        factors, order = rng.uniform(0.95, 1.05, 4).astype(np.float32), tuple(rng.permutation(4))
        one, same = jittered([clip, clip.copy()], np.random.default_rng(seed))
        np.testing.assert_allclose(one, jittered_pixel_by_pixel(clip, factors, order), atol=1e-5)
        np.testing.assert_array_equal(one, same)
        assert one.dtype == np.float32
        seen.add(order)
        turns.append(factors[3] - 1)
    assert len(seen) > 5 and min(turns) < -0.01 and max(turns) > 0.01


def test_a_sample_follows_from_seed_and_number():
    one = VideoSamples(Numbered(), "sr", scale=4, time_reversal=True, colour_jitter=True, seed=4)
    other = VideoSamples(Numbered(), "sr", scale=4, time_reversal=True, colour_jitter=True, seed=4)
    expected = [one[number] for number in range(12)]
    for number in (11, 3, 7):
        for a, b in zip(other[number], expected[number]):
            np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(expected[0], VideoSamples(Numbered(), "sr", scale=4, seed=5)[0]))


def test_a_sample_says_what_it_is_cut_out_of(tree):
    """Every pixel tells its frame."""
    samples = VideoSamples(StoredSubclips(*stores(tree), frames=FRAMES, patch=16, scale=4), "sr", scale=4)
    for number in range(12):
        clip, frame = samples.name(number).split("/")
        first = tuple(FolderStore(tree / "gt").clips[clip]).index(frame)
        assert np.rint(255 * samples[number].gt[0, 0]).max() == 10 * first + len(clip)


def test_time_runs_backwards_in_half_of_the_clips():
    samples = VideoSamples(Numbered(), "deblur", time_reversal=True)
    forwards = 0
    for number in range(200):
        first = samples[number].lq[0, 0].mean()
        clip = np.random.default_rng(samples._order[number]).random((FRAMES, 3, 16, 16), np.float32)
        forwards += bool(np.isclose(first, clip[0, 0, ::4, ::4].mean(), atol=1e-6))
    assert 70 < forwards < 130


def test_denoising_draws_one_level_a_clip():
    samples = VideoSamples(Numbered(with_lq=False), "denoise", sigma=(0, 50))
    levels = []
    for number in range(80):
        gt, lq = samples[number]
        assert lq.shape == (FRAMES, 4, 16, 16)
        assert np.ptp(lq[:, 3]) == 0
        levels.append(lq[0, 3, 0, 0])
        assert np.std(lq[:, :3] - gt) == pytest.approx(levels[-1], rel=0.06, abs=1e-6)
    assert 0 <= min(levels) < 0.03 < 0.17 < max(levels) < 50 / 255


def test_interpolation_takes_every_second_frame_and_gives_the_middle_one():
    samples = VideoSamples(Numbered(frames=7, with_lq=False), "interpolate")
    gt, lq = samples[0]
    assert gt.shape == (1, 3, 16, 16) and lq.shape == (4, 3, 16, 16)
    clip = np.random.default_rng(samples._order[0]).random((7, 3, 16, 16), np.float32)
    assert gt.mean() == pytest.approx(clip[3].mean(), abs=1e-6)
    np.testing.assert_allclose(lq.mean((1, 2, 3)), clip[::2].mean((1, 2, 3)), atol=1e-6)


def test_low_quality_is_made_where_there_is_none():
    gt, lq = VideoSamples(Numbered(with_lq=False), "sr", "bicubic", scale=4)[0]
    np.testing.assert_array_equal(lq, np.stack(list(degraded(gt, "bicubic", 4))))
    assert lq.shape == (FRAMES, 3, 4, 4)


def test_seven_frames_become_eight():
    clip = np.random.default_rng(0).random((7, 3, 2, 2))
    np.testing.assert_array_equal(filled(clip, 8)[7], clip[6])
    assert len(filled(clip, None)) == 7
    gt, lq = VideoSamples(Numbered(frames=7), "sr", scale=4, pad_frames=8)[0]
    assert len(gt) == len(lq) == 8


def test_rendered_windows_are_colour_clips():
    subclip = RenderedSubclips(3, 32).subclip(0, np.random.default_rng(0))
    assert subclip.gt.shape == (3, 3, 32, 32) and subclip.lq is None
    assert np.ptp(subclip.gt, axis=1).max() > 0.05
    of_grass = RenderedSubclips(3, 32, photographs=("grass",)).subclip(0, np.random.default_rng(0))
    assert np.ptp(of_grass.gt, axis=1).max() < 1e-6  # a grey photograph
