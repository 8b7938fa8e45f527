"""``mindrestore restore``: what a clip must keep, runs that are stopped and gone on with, bounded memory, mistakes."""

import base64
import io
import itertools
import re
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
import tifffile
import videos
import yaml
from builders import PlaceDependent, StandIn
from places import CONFIGS, TESTS

from mindrestore import tiling
from mindrestore.checkpoints import loading
from mindrestore.cli import main
from mindrestore.data.frames import stored_frames
from mindrestore.errors import UserError
from mindrestore.media.clips import Clip, open_clip
from mindrestore.media.video_writer import VideoSettings
from mindrestore.media.writing import write_clip
from mindrestore.models.revsci import RevSCISettings
from mindrestore.restore import networks, run
from mindrestore.restore.networks import TaskNetwork
from mindrestore.restore.restorers import VideoRestorer
from mindrestore.restore.run import Request, restore

HEIGHT, WIDTH = 32, 48


def moving(count, height=HEIGHT, width=WIDTH, bits=8, grey=False):
    """Stored images of a gradient that moves over a grey ground, with black and white in it."""
    white = 2**bits - 1
    rows, columns = np.mgrid[:height, :width]
    for number in range(count):
        planes = [(rows * 5 + columns * 3 + shade + 7 * number) % 256 for shade in (0, 60, 120)]
        image = np.stack(planes[:1] if grey else planes, -1) * white // 255
        image[:8, :8], image[-8:, -8:] = 0, white
        yield image.astype(np.uint8 if bits == 8 else np.uint16)[..., 0 if grey else slice(None)]


def smooth(count):
    """Images that a video codec keeps nearly as they are."""
    for number in range(count):
        image = np.full((HEIGHT, WIDTH, 3), (40 + 8 * number, 120, 200 - 8 * number), np.uint8)
        image[:16, :16], image[16:, 32:] = 0, 255
        yield image


def read(path):
    return [image for _, image in stored_frames(path)]


@pytest.fixture
def with_network(monkeypatch):
    """``with_network(network, ...)``: the networks that any task takes."""

    def use(*chosen, tile=(4, 16, 16), overlap=(2, 4, 4)):
        monkeypatch.setattr(
            run,
            "choose",
            lambda task, *_, **__: [TaskNetwork(task, network, Path(__file__), tile, overlap) for network in chosen],
        )

    return use


def restored(source, target, task="deblur", **options):
    lines = []
    restore(Request(source, target, task, **options), lines.append)
    return lines


# What is kept


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".mov"])
@pytest.mark.parametrize("rate", [25, 30000 / 1001, 12.5])
def test_a_video_keeps_count_size_rate_and_range(suffix, rate, with_network, tmp_path):
    source, target = tmp_path / "in.mp4", tmp_path / f"out{suffix}"
    write_clip(source, smooth(9), 9, rate)
    with_network(StandIn())
    lines = restored(source, target)
    clip = open_clip(target)
    assert (clip.count, clip.height, clip.width) == (9, HEIGHT, WIDTH)
    assert clip.rate == pytest.approx(rate, abs=2e-3)
    assert f"9 frames of {WIDTH} x {HEIGHT}" in lines[0]
    for given, found in zip(smooth(9), read(target)):
        assert np.abs(found[2:14, 2:14].astype(int)).max() <= 12  # a range mistaken for another is 16 or more off
        assert np.abs(found[18:30, 34:46].astype(int) - 255).max() <= 12
        assert abs(found.mean() - given.mean()) < 6  # it was coded twice
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mp4", f"out{suffix}"])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("grey", [False, True], ids=["colour", "grey"])
@pytest.mark.parametrize("source, target", [("in", "out"), ("in.tif", "out.tif"), ("in", "out.tiff"), ("in.tif", "out")])
def test_pictures_keep_every_bit(bits, grey, source, target, with_network, tmp_path):
    images = list(moving(11, 21, 37, bits, grey))
    write_clip(tmp_path / source, images, len(images))
    with_network(StandIn())
    restored(tmp_path / source, tmp_path / target)
    found = read(tmp_path / target)
    assert len(found) == len(images)
    for one, other in zip(images, found):
        assert one.dtype == other.dtype and one.shape == other.shape
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("later", ["colour", "16 bits"])
@pytest.mark.parametrize("pages", [False, True], ids=["folder", "pages"])
def test_the_first_frame_does_not_speak_for_all(later, pages, with_network, tmp_path):
    """Image optimisers store a black first frame as grey; the colours of those after it were dropped."""
    first, second = np.zeros((16, 24), np.uint8), next(moving(1, 16, 24, 16 if later == "16 bits" else 8))
    if later == "16 bits":
        second = second[..., 0]
    if pages:
        source, target = tmp_path / "in.tif", tmp_path / "out.tif"
        with tifffile.TiffWriter(source) as file:
            for image in (first, second):
                page, meaning = (image[..., ::-1], "rgb") if image.ndim == 3 else (image, "minisblack")
                file.write(page, photometric=meaning)
    else:
        source, target = tmp_path / "in", tmp_path / "out"
        source.mkdir()
        for number, image in enumerate((first, second)):
            cv2.imwrite(str(source / f"{number}.png"), image)
    with_network(StandIn())
    restored(source, target)
    found = read(target)
    assert len(found) == 2 and found[1].dtype == second.dtype
    np.testing.assert_array_equal(found[1], second)


def test_a_folder_keeps_names_and_natural_order(with_network, tmp_path):
    (tmp_path / "in").mkdir()
    for number, image in zip((2, 10, 1), moving(3)):
        cv2.imwrite(str(tmp_path / "in" / f"shot {number}.bmp"), image)
    with_network(StandIn())
    restored(tmp_path / "in", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["shot 1.png", "shot 10.png", "shot 2.png"]
    for number, image in zip((2, 10, 1), moving(3)):
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / "out" / f"shot {number}.png")), image)


def test_one_picture(with_network, tmp_path):
    image = next(moving(1, 17, 19, 16))
    cv2.imwrite(str(tmp_path / "in.png"), image)
    with_network(StandIn())
    restored(tmp_path / "in.png", tmp_path / "out.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED), image)


def test_an_odd_video_gets_an_edge_and_says_so(with_network, tmp_path):
    write_clip(tmp_path / "in", moving(3, 21, 37), 3)
    with_network(StandIn())
    lines = restored(tmp_path / "in", tmp_path / "out.mp4", rate=10)
    clip = open_clip(tmp_path / "out.mp4")
    assert (clip.height, clip.width, clip.rate) == (22, 38, 10) and "37 x 21 and a repeated edge" in lines[0]


@pytest.mark.parametrize(
    "task, chosen, count, scale, speed",
    [
        ("sr", [StandIn(4)], 5, 4, 1),
        ("interpolate", [StandIn(pa_frames=0)], 9, 1, 2),
        ("space-time-sr", [StandIn(pa_frames=0), StandIn(2)], 9, 2, 2),
    ],
)
def test_what_tasks_change(task, chosen, count, scale, speed, with_network, tmp_path):
    write_clip(tmp_path / "in.avi", smooth(5), 5, 10)
    with_network(*chosen)
    restored(tmp_path / "in.avi", tmp_path / "out.avi", task, compare=True, preview=True, go_on=True)
    clip, both = open_clip(tmp_path / "out.avi"), open_clip(tmp_path / "out_compare.avi")
    assert (clip.count, clip.height, clip.width, clip.rate) == (count, scale * HEIGHT, scale * WIDTH, speed * 10)
    assert (both.count, both.height, both.width, both.rate) == (count, clip.height, 2 * clip.width + 4, clip.rate)
    for image in read(both.path):
        left, right = image[:, : clip.width].astype(int), image[:, -clip.width :].astype(int)
        assert np.abs(left - right).mean() < 12  # the frame before against one of this moment
    assert open_clip(tmp_path / "out_preview.png").width > 2 * clip.width


@pytest.mark.parametrize("target", ["out.mp4", "out"])
def test_a_page_plays_input_and_output(target, with_network, tmp_path):
    """Of odd sizes, with a name that is no HTML; beside a video and beside a folder of frames."""
    source = tmp_path / "a <b>.mkv"
    write_clip(source, (image[:21, :37] for image in smooth(5)), 5, 10, video=VideoSettings("ffv1"))
    with_network(StandIn(4))
    lines = restored(source, tmp_path / target, "sr", report=True)
    page = tmp_path / "out_report.html"
    assert lines[-1] == f"Report: {page}"
    text = page.read_text()
    assert "a &lt;b&gt;.mkv: sr, by" in text and "<b>" not in text and "10 frames a second" in text
    coded = re.search(r'src="data:video/mp4;base64,([^"]+)"', text)[1]
    with av.open(io.BytesIO(base64.b64decode(coded))) as file:
        frames = [frame.to_ndarray(format="bgr24") for frame in file.decode(video=0)]
    assert len(frames) == 5 and frames[0].shape == (2 * 96, 160, 3)  # 84 x 148, filled up to whole blocks
    for frame, image in zip(frames, read(tmp_path / target)):
        assert np.abs(frame[96 : 96 + 84, :148].astype(int) - image[:84, :148]).mean() < 3
        assert np.abs(frame[:84, :148].astype(int) - image[:84, :148]).mean() < 12  # enlarged otherwise


def test_a_page_is_not_replaced_unasked(clips, with_network):
    (clips / "out_report.html").write_text("precious")
    with_network(StandIn())
    with pytest.raises(UserError, match="out_report.html: is there already"):
        restored("frames", "out", report=True)
    assert (clips / "out_report.html").read_text() == "precious"


# Runs that are stopped


class Stopped(StandIn):
    """Is interrupted at a call."""

    def __init__(self, at, **settings):
        super().__init__(**settings)
        self.left = at

    def __call__(self, x):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().__call__(x)


@pytest.mark.parametrize(
    "tile, overlap, count",
    [
        ((4, 16, 16), (2, 4, 4), 17),
        ((4, 16, 16), (1, 4, 4), 13),
        ((8, 0, 0), (0, 0, 0), 8),
        ((8, 0, 0), (2, 0, 0), 5),
        ((0, 0, 0), (0, 0, 0), 6),
        ((3, 16, 0), (2, 4, 4), 11),
    ],
)
@pytest.mark.parametrize(
    "chosen",
    [[PlaceDependent()], [StandIn(pa_frames=0)], [StandIn(pa_frames=0), PlaceDependent(2)]],
    ids=["restore", "interpolate", "both"],
)
def test_from_any_frame_on_the_frames_are_those_of_the_whole_run(chosen, tile, overlap, count):
    frames = np.random.default_rng(0).random((count, 3, 20, 20), np.float32)

    class InMemory(Clip):
        def frames(self, first=0):
            return iter(frames[first:])

    clip = InMemory(Path("memory"), count, 20, 20, 8, False)
    restorer = VideoRestorer(clip, [TaskNetwork("", network, Path("x"), tile, overlap) for network in chosen])
    whole = list(restorer.restored())
    assert len(whole) == restorer.count == len(list(restorer.beside()))
    for first in range(restorer.count):
        rest = list(restorer.restored(first))
        assert len(rest) == restorer.count - first
        np.testing.assert_allclose(rest, whole[first:], atol=1e-6)


@pytest.mark.parametrize("target", ["out.mp4", "out.tif", "out"])
def test_a_stopped_run_goes_on(target, with_network, tmp_path, capsys):
    write_clip(tmp_path / "in", moving(23), 23)
    with_network(PlaceDependent(), tile=(4, 0, 0), overlap=(2, 0, 0))
    restored(tmp_path / "in", tmp_path / "whole.tif")
    with_network(Stopped(6), tile=(4, 0, 0), overlap=(2, 0, 0))
    with pytest.raises(KeyboardInterrupt):
        restored(tmp_path / "in", tmp_path / target)
    folder = tmp_path / f"{target}.part"
    assert "Kept 10 of 23 frames" in capsys.readouterr().err and not (tmp_path / target).exists()
    with pytest.raises(UserError, match="add --resume"):
        restored(tmp_path / "in", tmp_path / target)
    with pytest.raises(UserError, match="task deblur, now it is denoise"):
        restored(tmp_path / "in", tmp_path / target, "denoise", resume=True)
    second = PlaceDependent()
    with_network(second, tile=(4, 0, 0), overlap=(2, 0, 0))
    lines = restored(tmp_path / "in", tmp_path / target, resume=True)
    assert lines[0] == "Going on after 10 of 23 frames." and len(second.shapes) == 7  # of 11 tiles
    assert not folder.exists() and open_clip(tmp_path / target).count == 23
    if not target.endswith("mp4"):
        for one, other in zip(read(tmp_path / target)[10:], read(tmp_path / "whole.tif")[10:]):
            np.testing.assert_array_equal(one, other)


def test_a_run_stopped_before_its_first_frame_leaves_nothing(with_network, tmp_path):
    write_clip(tmp_path / "in", moving(5), 5)
    with_network(Stopped(1))
    with pytest.raises(KeyboardInterrupt):
        restored(tmp_path / "in", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


# What a video says beside its pixels


def test_sound_is_spoken_of_where_there_is_some(with_network, tmp_path):
    with_network(StandIn())
    videos.make_video(tmp_path / "loud.mp4", videos.grey_frames(5), "yuv420p", sound=True)
    videos.make_video(tmp_path / "silent.mp4", videos.grey_frames(5), "yuv420p")
    lines = restored(tmp_path / "loud.mp4", tmp_path / "out.mp4")
    assert lines[1:] == ["Copied from the input: audio (aac)."]
    assert videos.packets(tmp_path / "loud.mp4") == videos.packets(tmp_path / "out.mp4") != []
    assert restored(tmp_path / "loud.mp4", tmp_path / "frames")[1:] == ["Audio is not carried over into pictures."]
    for target in ("silent_out.mp4", "silent_frames"):
        assert len(restored(tmp_path / "silent.mp4", tmp_path / target)) == 1


def test_colours_times_aspect_and_rate_go_through(with_network, tmp_path):
    ticks = [0, 512, 1024, 5000, 9000]
    source = videos.make_video(
        tmp_path / "in.mp4",
        videos.grey_frames(5),
        "yuv420p",
        ticks=ticks,
        matrix=1,
        full=True,
        primaries=1,
        transfer=13,
        aspect=Fraction(4, 3),
    )
    with_network(StandIn())
    lines = restored(source, tmp_path / "out.mp4")
    given, found = open_clip(source), open_clip(tmp_path / "out.mp4")
    assert videos.moments(source) == videos.moments(tmp_path / "out.mp4")
    assert given.video.colour == found.video.colour and found.video.pixel_aspect == Fraction(4, 3)
    assert "on average, each at the input's own time" in lines[0]
    for one, other in zip(read(source), read(tmp_path / "out.mp4")):
        assert np.abs(one.astype(int) - other)[16:].max() <= 2


@pytest.mark.parametrize("quarter", videos.QUARTERS)
def test_a_turned_clip_comes_out_upright(quarter, with_network, tmp_path):
    source = videos.make_video(tmp_path / "in.mp4", videos.grey_frames(3), "yuv420p")
    videos.turn(source, quarter)
    with_network(StandIn())
    lines = restored(source, tmp_path / "out.mp4")
    found = open_clip(tmp_path / "out.mp4")
    assert (found.height, found.width) == ((48, 32) if quarter in (90, 270) else (32, 48)) and not found.video.turned
    assert "turned upright" in lines[1]
    for one, other in zip(read(source), read(tmp_path / "out.mp4")):
        assert np.abs(one.astype(int) - other).mean() < 2


def test_interpolated_frames_lie_between_those_that_are_given(with_network, tmp_path):
    ticks = [0, 500, 1000, 3000, 7000]
    source = videos.make_video(tmp_path / "in.mp4", videos.grey_frames(5), "yuv420p", ticks=ticks)
    with_network(StandIn(pa_frames=0))
    restored(source, tmp_path / "out.mp4", "interpolate")
    moments = [moment * 12800 for moment in videos.moments(tmp_path / "out.mp4")]
    assert moments == [0, 250, 500, 750, 1000, 2000, 3000, 5000, 7000]


def test_ten_bits_stay_ten(with_network, tmp_path):
    luma = np.tile(np.arange(400, 448, dtype=np.uint16), (32, 1))
    source = videos.make_video(tmp_path / "in.mkv", [[luma, *np.full((2, 16, 24), 512, np.uint16)]] * 3, "yuv420p10le")
    with_network(StandIn())
    lines = restored(source, tmp_path / "out.mkv", crf=1)
    assert "10 bits" in lines[0] and open_clip(tmp_path / "out.mkv").video.bits == 10
    assert len(np.unique(read(tmp_path / "out.mkv")[0])) > 30
    assert "16 bits" in restored(source, tmp_path / "out")[0] and read(tmp_path / "out")[0].dtype == np.uint16


def test_a_damaged_video_gives_what_decodes_and_a_status_of_its_own(clips, with_network, monkeypatch, capsys):
    source = videos.make_video(
        clips / "in.mkv", videos.grey_frames(100), "yuv420p", options=dict(videos.LOSSLESS["libx264"], g="1")
    )
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with_network(StandIn())
    assert main(["restore", "in.mkv", "out.mp4", "--task", "deblur"]) == 3
    last = capsys.readouterr().out.splitlines()[-1]
    count = open_clip("out.mp4").count
    assert re.search(r"is damaged: (99|100|101) frames expected, (\d+) decoded", last)[2] == str(count) and count < 60


# Memory

MEASURED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from builders import StandIn
from mindrestore.restore import run
from mindrestore.restore.networks import TaskNetwork
run.choose = lambda task, *_, **__: [TaskNetwork(task, StandIn(), Path(sys.argv[2]), (8, 192, 320), (2, 16, 16))]
run.restore(run.Request(sys.argv[2], sys.argv[3], "deblur", compare=True))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.long
def test_memory_does_not_grow_with_the_clip(python, tmp_path):
    peaks = []
    for count in (30, 250):
        write_clip(
            tmp_path / f"{count}.mp4", (np.full((136, 320, 3), number % 256, np.uint8) for number in range(count)), count, 25
        )
        process = python(MEASURED, TESTS, tmp_path / f"{count}.mp4", tmp_path / f"out{count}.mp4")
        assert process.returncode == 0, process.stderr
        assert open_clip(tmp_path / f"out{count}.mp4").count == count
        peaks.append(int(process.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 25  # MB; 220 frames more would be 115 as floats, 29 as bytes


# Networks and mistakes


def test_default_tiles_are_those_of_the_configurations():
    files = {"sr": "small_sr", "deblur": "small_deblur", "denoise": "small_denoise", "interpolate": "small_interpolate"}
    for task, name in files.items():
        configured = yaml.safe_load((CONFIGS / "vrt" / f"{name}.yaml").read_text())["tiling"]
        default = tiling.TASKS[task]
        assert [list(default.tile), list(default.overlap)] == [configured["tile"], configured["overlap"]]


def test_tasks_of_networks():
    fitting = {
        "sr": StandIn(upscale=4),
        "interpolate": StandIn(pa_frames=0),
        "denoise": StandIn(nonblind_denoising=True),
        "sci": SimpleNamespace(abilities=RevSCISettings().abilities),
    }
    for task, (name, network) in itertools.product(fitting, fitting.items()):
        assert networks.fits(task, network) == (task == name)
    assert networks.fits("deblur", StandIn()) and networks.fits("denoise", StandIn())
    assert not networks.fits("deblur", fitting["denoise"])
    without_flows = StandIn(nonblind_denoising=True, pa_frames=0)
    assert networks.fits("denoise", without_flows) and not networks.fits("interpolate", without_flows)


@pytest.fixture
def clips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clip("frames", moving(3), 3)
    Path("full").mkdir()
    Path("full/something").write_text("")
    Path("no.mp4").write_text("no video")
    return tmp_path


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["nowhere.mp4", "out.mp4", "--task", "deblur"], "nowhere.mp4: no such video"),
        (["no.mp4", "out.mp4", "--task", "deblur"], "no video frames can be read"),
        (["frames", "out.docx", "--task", "deblur"], "no clip that is written ends in .docx"),
        (["frames", "out.webm", "--task", "deblur"], "name a video (.mp4"),
        (["frames", "frames", "--task", "deblur"], "is the input itself"),
        (["frames", "out", "--task", "deblur"], "no network for it ships"),
        (["frames", "out", "--task", "denoise", "--sigma", "256"], "--sigma 256: it must be 0 to 255"),
        (["frames", "out.mp4", "--task", "deblur", "--rate", "0"], "--rate 0"),
        (["frames", "out", "--task", "sci"], "frames: "),
        (["frames", "out", "--task", "deblur", "--checkpoint", "assets"], "assets: no such checkpoint"),
        (["frames", "out", "--task", "deblur", "--model", "net.mindir"], "net.mindir: no such exported network"),
        (
            ["frames", "out", "--task", "deblur", "--checkpoint", str(loading.shipped("sci"))],
            "holds a network to sci, for which --task deblur has no use",
        ),
    ],
)
def test_a_mistake_is_one_sentence(arguments, named, clips, capsys):
    before = sorted(clips.rglob("*"))
    assert main(["restore", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mindrestore: error: ") and named in error
    assert sorted(clips.rglob("*")) == before


@pytest.mark.parametrize(
    "target, options, named",
    [
        ("out.png", {}, "holds one frame and there are 3"),
        ("full", {}, "holds something already"),
        ("out", dict(sigma=3), "takes no noise level"),
        ("out", dict(mask="mask.mat"), "--mask: has no meaning for --task deblur"),
        ("out", dict(task="sci", sigma=3), "--sigma: has no meaning for --task sci"),
        ("out", dict(codec="h265"), "--codec: has no meaning for out, which is no video"),
        ("out.tif", dict(crf=3), "--crf: has no meaning for out.tif"),
        ("out.avi", dict(codec="h265"), "--codec h265: a .avi file cannot hold it"),
        ("out.mkv", dict(codec="ffv1", crf=3), "--crf 3: ffv1 loses nothing"),
        ("out.mp4", dict(crf=52), "--crf 52: it must be 0 to 51"),
    ],
)
def test_a_mistake_is_found_before_the_work(target, options, named, clips, with_network):
    with_network(StandIn())
    with pytest.raises(UserError, match=named):
        restored("frames", target, **options)
    assert not list(clips.glob("*.part"))


@pytest.mark.parametrize(
    "name, target, option",
    [("x_compare.mp4", "x.mp4", "compare"), ("x_preview.png", "x.png", "preview"), ("x.mp4", "x.mp4", "resume")],
)
def test_no_name_that_is_written_is_the_input(name, target, option, clips, with_network):
    write_clip(clips / name, moving(1), 1, 25)
    before = (clips / name).read_bytes()
    with_network(StandIn())
    with pytest.raises(UserError, match=f"{name}: is the input itself"):
        restored(clips / name, clips / target, **{option: True})
    assert (clips / name).read_bytes() == before


def test_a_noise_level_is_asked_for(clips, with_network):
    with_network(StandIn(nonblind_denoising=True))
    with pytest.raises(UserError, match="--sigma is missing"):
        restored("frames", "out", "denoise")


def test_a_network_that_is_not_there_names_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "ASSETS", tmp_path)
    with pytest.raises(UserError, match="no network for it ships with this mindrestore; give one with --checkpoint"):
        networks.choose("sr")


def test_help_says_what_goes_in_and_out():
    shown = subprocess.run([sys.executable, "-m", "mindrestore", "restore", "--help"], capture_output=True, text=True).stdout
    assert "OUTPUT.part" in shown and "examples:" in shown and "space-time-sr" in shown


# Real processes


@pytest.mark.long
def test_ctrl_c_and_resume_in_real_processes(tmp_path):
    """With the network that ships: stopped by SIGINT after the first frames, gone on with, equal to an unbroken run."""
    write_clip(tmp_path / "in.tif", moving(40, 64, 64, grey=True), 40)
    assert main(["simulate", str(tmp_path / "in.tif"), str(tmp_path / "in.mat")]) == 0

    def command(target, *options):
        return [
            sys.executable,
            "-m",
            "mindrestore",
            "restore",
            str(tmp_path / "in.mat"),
            str(tmp_path / target),
            "--task",
            "sci",
            *options,
        ]

    subprocess.run(command("whole.tif"), check=True)
    process = subprocess.Popen(  # tests may run where SIGINT is ignored
        command("out.tif"), stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    while process.poll() is None and not (tmp_path / "out.tif.part" / "00000008.png").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130 and "of 40 frames in" in said and "--resume" in said and "Traceback" not in said
    assert not (tmp_path / "out.tif").exists()
    run_on = subprocess.run(command("out.tif", "--resume"), check=True, capture_output=True, text=True)
    assert "Going on after" in run_on.stdout and not (tmp_path / "out.tif.part").exists()
    for one, other in zip(read(tmp_path / "whole.tif"), read(tmp_path / "out.tif")):
        np.testing.assert_array_equal(one, other)
