"""Evaluation of videos: what is given, what is scored and how, with networks that compute what a test can predict."""

import csv
import json

import cv2
import numpy as np
import pytest
from builders import stand_in, stand_ins, video_config, write_frames
from places import CONFIGS, GOLDEN, REAL_DATA

from mindrestore.checkpoints.loading import Loaded, load_for_settings
from mindrestore.config import load_config
from mindrestore.data.degradation import blur_downsampled, noisy, rounded_to_8_bits
from mindrestore.data.frames import read_clip
from mindrestore.data.resize import imresize
from mindrestore.errors import UserError
from mindrestore.evaluation.video import evaluate_videos
from mindrestore.evaluation.video_results import frame_score
from mindrestore.media.video_writer import VideoSettings, write_video
from mindrestore.metrics import psnr, to_uint8
from mindrestore.training.validation import video_validation

pytestmark = pytest.mark.usefixtures("prepared")

STREET = REAL_DATA / "video" / "street"


@pytest.mark.parametrize("name", ["small_sr", "small_denoise"])
def test_what_ships_fits_its_configuration(name, prepared):
    config = load_config(CONFIGS / "vrt" / f"{name}.yaml")
    assert load_for_settings(config.model, None, config.name).trained


@pytest.fixture
def clip(tmp_path):
    """A folder of nine smooth frames, 48 x 32, that move by a pixel each."""
    folder = tmp_path / "clip"
    folder.mkdir()
    y, x = np.mgrid[:32, :48]
    for number in range(9):
        waves = [np.sin((x + number) / 5 + phase) * np.cos(y / 7 + phase) for phase in (0, 1, 2)]
        cv2.imwrite(str(folder / f"{number:03d}.png"), np.rint(127 + 100 * np.stack(waves, -1)).astype(np.uint8))
    return folder


def frames_of(folder):
    return read_clip(folder, colour=True).transpose(1, 0, 2, 3)


def test_scores_are_the_published_ones():
    golden = np.load(GOLDEN / "metrics.npz")
    image, reference = (golden[name].transpose(2, 0, 1) / np.float32(255) for name in ("image_rgb", "reference_rgb"))
    expected = [golden[name] for name in ("psnr", "ssim", "psnr_y", "ssim_y")]
    np.testing.assert_allclose(frame_score(image, reference), expected, rtol=1e-8)


def test_super_resolution_of_a_folder(clip, tmp_path):
    results = evaluate_videos(video_config("sr", gt=str(clip), save_frames=True), stand_ins("sr"), tmp_path / "out")
    (row,) = results.rows
    truth = frames_of(clip)
    low = np.stack([rounded_to_8_bits(imresize(frame, 1 / 4)) for frame in truth])
    assert row.name == "clip" and row.scores["network"].frames == 9
    nearest = low.repeat(4, -1).repeat(4, -2)
    expected = psnr(to_uint8(nearest), to_uint8(truth), channel_axis=1)
    assert row.scores["network"].psnr == pytest.approx(expected, abs=1e-6)
    bicubic = psnr(to_uint8(imresize(low, 4)), to_uint8(truth), channel_axis=1)
    assert row.scores["plain"].psnr == pytest.approx(bicubic, abs=1e-6)
    np.testing.assert_allclose(frames_of(tmp_path / "out" / "frames" / "clip"), nearest, atol=1e-6)
    stored_json = json.loads((tmp_path / "out" / "results.json").read_text())
    assert stored_json["clips"]["clip"]["plain"]["psnr"] == pytest.approx(bicubic)
    assert stored_json["weights"] == "weights.ckpt" and "made here" in stored_json["low quality"]
    with open(tmp_path / "out" / "results.csv") as file:
        assert [(line["clip"], line["method"]) for line in csv.DictReader(file)] == [
            ("clip", "network"),
            ("clip", "plain"),
            ("mean of 1", "network"),
            ("mean of 1", "plain"),
        ]
    assert cv2.imread(str(tmp_path / "out" / "clip.png")).shape == (3 * 32 + 2 * 6 + 22, 3 * 48 + 2 * 6, 3)
    assert "PSNR-Y" in (tmp_path / "out" / "results.txt").read_text()


def test_blur_downsampled_low_quality(clip, tmp_path):
    results = evaluate_videos(video_config("sr", gt=str(clip), degradation="gaussian"), stand_ins("sr"), tmp_path / "out")
    truth = frames_of(clip)
    low = np.stack([rounded_to_8_bits(blur_downsampled(frame)) for frame in truth]).repeat(4, -1).repeat(4, -2)
    assert results.rows[0].scores["network"].psnr == pytest.approx(psnr(to_uint8(low), to_uint8(truth), channel_axis=1))


def test_sizes_that_4_does_not_divide_are_cut(tmp_path):
    write_frames(tmp_path / "odd", size=(47, 50))
    settings = video_config("sr", gt=str(tmp_path / "odd"), save_frames=True)
    results = evaluate_videos(settings, stand_ins("sr"), tmp_path / "out")
    assert results.rows[0].scores["plain"].psnr > 60
    assert frames_of(tmp_path / "out" / "frames" / "odd").shape == (2, 3, 44, 48)


@pytest.mark.parametrize("task, overrides", [("deblur", []), ("denoise", ["evaluation.sigma=20"])])
def test_given_low_quality(task, overrides, clip, tmp_path):
    settings = video_config(task, *overrides, gt=str(clip), lq=str(clip))
    results = evaluate_videos(settings, stand_ins(task), tmp_path / "out")
    assert results.rows[0].scores["network"].ssim == pytest.approx(1, abs=1e-6)
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["clips"]["clip"]["plain"]["psnr"] is None  # infinite: equal


def test_noise_is_seeded(clip, tmp_path):
    def evaluated(*overrides):
        made = stand_ins("denoise")
        results = evaluate_videos(video_config("denoise", *overrides, gt=str(clip), sigma=25), made, tmp_path / "out")
        return results.rows[0].scores["network"].psnr, made[0].network

    score, used = evaluated()
    assert evaluated()[0] == score != evaluated("evaluation.seed=1")[0]
    truth = frames_of(clip)
    expected = np.stack([noisy(frame, 25, 0, number) for number, frame in enumerate(truth)])
    assert score == pytest.approx(psnr(to_uint8(expected), to_uint8(truth), channel_axis=1), abs=1e-4)
    np.testing.assert_allclose(used.last[:, :, 3], 25 / 255, atol=1e-6)


def as_video(folder, path, count=9):
    """The frames of a folder as a video without loss, which says nowhere how many frames it holds."""
    images = [cv2.imread(str(file)) for file in sorted(folder.iterdir())][:count]
    write_video(path, images, 25, VideoSettings("ffv1"))
    return path


@pytest.mark.parametrize(
    "task, options",
    [
        ("sr", {}),
        ("sr", dict(degradation="gaussian")),
        ("deblur", dict(lq=True)),
        ("denoise", dict(sigma=25)),
        ("denoise", dict(sigma=25, frames=5)),
        ("interpolate", {}),
        ("space-time-sr", {}),
    ],
)
def test_a_video_scores_as_its_frames_do(task, options, clip, tmp_path):
    """A stream of unknown length: a progress bar that was asked whether it is true refused every one."""
    video = as_video(clip, tmp_path / "clip.mkv")
    results = {}
    for name, source in (("frames", clip), ("video", video)):
        given = dict(options, lq=str(source)) if options.get("lq") else options
        settings = video_config(task, gt=str(source), **given)
        results[name] = evaluate_videos(settings, stand_ins(task), tmp_path / name, report=True)
    frames, video = (results[name].rows[0].scores["network"] for name in ("frames", "video"))
    assert (frames.frames, frames.psnr, frames.ssim) == (video.frames, video.psnr, video.ssim)
    assert (tmp_path / "video" / "report.html").exists()


def test_a_video_without_a_reference(clip, tmp_path):
    video = as_video(clip, tmp_path / "clip.mkv")
    results = evaluate_videos(video_config("deblur", lq=str(video), save_frames=True), stand_ins("deblur"), tmp_path / "out")
    assert results.rows[0].scores["network"].frames == 9
    np.testing.assert_allclose(frames_of(tmp_path / "out" / "frames" / "clip"), frames_of(clip), atol=1e-6)


@pytest.mark.parametrize(
    "shorter, named", [("gt", "has only 7 frames of ground truth"), ("lq", "has more frames of ground truth")]
)
def test_videos_of_two_lengths(shorter, named, clip, tmp_path):
    paths = {part: as_video(clip, tmp_path / part / "clip.mkv", 7 if part == shorter else 9) for part in ("gt", "lq")}
    with pytest.raises(UserError, match=named):
        evaluate_videos(
            video_config("deblur", **{part: str(path) for part, path in paths.items()}), stand_ins("deblur"), tmp_path / "out"
        )


def test_training_is_validated_on_a_video(clip, tmp_path):
    settings = video_config("sr", gt=str(as_video(clip, tmp_path / "clip.mkv")))
    shown = []
    validated = video_validation(settings, stand_in("sr").network)(lambda *picture: shown.append(picture))
    scored = evaluate_videos(settings, stand_ins("sr"), tmp_path / "out").rows[0].scores["network"].psnr
    assert validated == pytest.approx(scored)
    [(_, images)] = shown
    assert len(images) == 3 and len({image.shape for image in images}) == 1


def test_noisy_frames_without_a_reference(clip, tmp_path):
    settings = video_config("denoise", lq=str(clip), sigma=25, save_frames=True)
    results = evaluate_videos(settings, stand_ins("denoise"), tmp_path / "out")
    score = results.rows[0].scores["network"]
    assert (score.frames, score.psnr) == (9, None)
    assert len(list((tmp_path / "out" / "frames" / "clip").iterdir())) == 9
    line = [line for line in results.table().splitlines() if line.startswith("clip ")][1]
    assert line.split()[1:6] == ["9", *["-"] * 4]
    assert cv2.imread(str(tmp_path / "out" / "clip.png")).shape[1] == 2 * 48 + 6


def test_interpolation_scores_whole_windows(clip, tmp_path):
    made = stand_ins("interpolate")
    results = evaluate_videos(video_config("interpolate", gt=str(clip), save_frames=True), made, tmp_path / "out")
    truth = frames_of(clip)  # given 0, 2, 4, 6, 8: windows make 3 and 5
    expected = np.stack([(truth[2] + truth[4]) / 2, (truth[4] + truth[6]) / 2])
    score = results.rows[0].scores
    assert score["network"].frames == 2
    assert (
        score["network"].psnr
        == score["plain"].psnr
        == pytest.approx(psnr(to_uint8(expected), to_uint8(truth[[3, 5]]), channel_axis=1), abs=1e-4)
    )
    assert len(list((tmp_path / "out" / "frames" / "clip").iterdir())) == 2


def test_interpolation_without_a_reference_doubles_the_frames(clip, tmp_path):
    evaluate_videos(video_config("interpolate", lq=str(clip), save_frames=True), stand_ins("interpolate"), tmp_path / "out")
    assert len(list((tmp_path / "out" / "frames" / "clip").iterdir())) == 17


def test_ucf101_and_vimeo_for_interpolation(tmp_path):
    write_frames(tmp_path / "ucf" / "1", ["frame0.png", "frame1.png", "frame2.png", "frame3.png", "framet.png"], (16, 24))
    write_frames(tmp_path / "vimeo" / "sequences" / "00001" / "0001", [f"im{n}.png" for n in range(1, 8)], (16, 24))
    for kind, name, frames in (("ucf101", "ucf", [15, 40]), ("vimeo90k", "vimeo", [30, 30])):
        results = evaluate_videos(
            video_config("interpolate", set=kind, path=str(tmp_path / name)), stand_ins("interpolate"), tmp_path / "out"
        )
        score = results.rows[0].scores["network"]
        made, truth = (np.full((3, 16, 24), value / 255, np.float32) for value in frames)
        assert (score.frames, score.psnr) == (1, pytest.approx(frame_score(made, truth)[0], abs=1e-3))


def test_vimeo_super_resolution_scores_the_centre_of_eight(tmp_path):
    write_frames(tmp_path / "vimeo_septuplet" / "sequences" / "00001" / "0001", [f"im{n}.png" for n in range(1, 8)], (32, 48))
    made = stand_ins("sr")
    settings = video_config("sr", "tiling.tile=[8,0,0]", set="vimeo90k", path=str(tmp_path), save_frames=True)
    results = evaluate_videos(settings, made, tmp_path / "out")
    assert results.rows[0].scores["network"].frames == 1
    given = made[0].network.last
    assert given.shape[1] == 8
    np.testing.assert_allclose(given[0, :, 0, 0, 0] * 255, [0, 10, 20, 30, 40, 50, 60, 60], atol=1e-3)
    np.testing.assert_allclose(frames_of(tmp_path / "out" / "frames" / "00001" / "0001") * 255, 30, atol=1e-3)
    assert (tmp_path / "out" / "00001_0001.png").exists()


def test_space_time(clip, tmp_path):
    results = evaluate_videos(video_config("space-time-sr", gt=str(clip)), stand_ins("space-time-sr"), tmp_path / "out")
    assert results.rows[0].scores["network"].frames == 9
    (clip / "008.png").unlink()
    assert (
        evaluate_videos(video_config("space-time-sr", gt=str(clip)), stand_ins("space-time-sr"), tmp_path / "out")
        .rows[0]
        .scores["network"]
        .frames
        == 7
    )


def test_only_the_first_frames(clip, tmp_path):
    results = evaluate_videos(video_config("deblur", gt=str(clip), frames=3), stand_ins("deblur"), tmp_path / "out")
    assert results.rows[0].scores["network"].frames == 3
    assert "only the first 3" in results.circumstances["frames"]


def test_untrained_weights_are_called_so(clip, tmp_path):
    untrained = [Loaded(stand_in("deblur").network, False, None)]
    table = evaluate_videos(video_config("deblur", gt=str(clip), frames=2), untrained, tmp_path / "out").table()
    assert "VRT (untrained)" in table and "weights: UNTRAINED" in table


def test_a_published_figure_is_called_so(clip, tmp_path):
    settings = video_config("deblur", "published=DVD 34.27 dB", gt=str(clip), frames=2)
    results = evaluate_videos(settings, stand_ins("deblur"), tmp_path / "out")
    assert results.circumstances["published"] == "DVD 34.27 dB (published, not measured here)"


@pytest.mark.parametrize(
    "task, lq, words",
    [
        ("sr", (6, (8, 12)), "has 6 frames, which takes 6 of ground truth; "),
        ("interpolate", (9, (32, 48)), "has 9 frames, which takes 6 of ground truth"),
        ("interpolate", (3, (32, 48)), "which takes 0 of ground truth"),
        ("space-time-sr", (9, (8, 12)), "which takes 17 of ground truth"),
        ("sr", (9, (8, 11)), "ground truth has 48 x 32 pixels, where low quality restores to 44 x 32"),
    ],
)
def test_what_does_not_fit_is_named(task, lq, words, clip, tmp_path):
    count, size = lq
    write_frames(tmp_path / "lq", [f"{n}.png" for n in range(count)], size)
    with pytest.raises(UserError) as caught:
        evaluate_videos(video_config(task, gt=str(clip), lq=str(tmp_path / "lq")), stand_ins(task), tmp_path / "out")
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "task, settings, words",
    [
        ("interpolate", dict(frames=6), "too few frames, 3 to interpolate between where a score needs 4: give a clip of 7"),
        ("denoise", {}, "evaluation.sigma is missing"),
        ("deblur", {"tile": 20}, "must be a multiple"),
    ],
)
def test_what_cannot_be_is_named(task, settings, words, clip, tmp_path):
    overrides = [f"tiling.tile=[4,{settings.pop('tile')},16]"] if "tile" in settings else []
    with pytest.raises(UserError, match=words):
        evaluate_videos(video_config(task, *overrides, gt=str(clip), **settings), stand_ins(task), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unreadable_frame_and_one_of_another_size_are_named(clip, tmp_path):
    (clip / "004.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="004.png: not a readable image"):
        evaluate_videos(video_config("deblur", gt=str(clip)), stand_ins("deblur"), tmp_path / "out")
    write_frames(clip, ["004.png"], (30, 48))
    with pytest.raises(UserError, match="004.png: this frame has 48 x 30 pixels"):
        evaluate_videos(video_config("deblur", gt=str(clip)), stand_ins("deblur"), tmp_path / "out")


def test_real_frames(tmp_path):
    if not STREET.is_dir():
        pytest.skip(f"real frames are not in {STREET}; set MINDRESTORE_DATA to the folder that has video/")
    settings = video_config("sr", "tiling.tile=[8,0,0]", gt=str(STREET), frames=9)
    results = evaluate_videos(settings, stand_ins("sr"), tmp_path / "out")
    nearest, bicubic = (results.rows[0].scores[method] for method in ("network", "plain"))
    assert nearest.frames == 9 and 20 < nearest.psnr < bicubic.psnr < 30
