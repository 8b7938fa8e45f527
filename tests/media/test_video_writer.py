"""Videos written: samples, tags and times as they should be, the source's sound, and nothing that cannot be read again."""

import errno
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import videos
from browser import needs_browser, printed_when_done
from builders import StandIn
from places import TESTS
from videos import make_video

from mindrestore.cli import main
from mindrestore.data.video_colour import BT709, RGB, Colour
from mindrestore.data.video_file import Times, VideoReader
from mindrestore.errors import UserError
from mindrestore.files import synced
from mindrestore.media import video_writer
from mindrestore.media.clips import open_clip
from mindrestore.media.video_writer import CODECS, VideoSettings, check_video, write_video
from mindrestore.media.writing import write_clip
from mindrestore.restore import run
from mindrestore.restore.finished import FinishedFrames
from mindrestore.restore.networks import TaskNetwork


def images(count=5, bits=8):
    """BGR images of bars over a ramp, which move."""
    image = np.rint(videos.bars()[..., ::-1] * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    return [np.roll(image, 2 * number, 1) for number in range(count)]


def described(path):
    """(codec, format, matrix, range, primaries, transfer) that a file names."""
    with av.open(str(path)) as file:
        context = file.streams.video[0].codec_context
        next(file.decode(video=0))
        return (
            context.name,
            context.pix_fmt,
            int(context.colorspace),
            int(context.color_range),
            int(context.color_primaries),
            int(context.color_trc),
        )


# Samples and tags


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".avi"])
@pytest.mark.parametrize("colour", [BT709, Colour(6, True, 6, 6), Colour(9, False, 9, 16)], ids=["bt709", "full 601", "bt2020"])
@pytest.mark.parametrize("deep", [False, True])
def test_samples_and_tags_are_those_that_were_meant(suffix, colour, deep, tmp_path):
    """Against the equations of H.273. OpenCV wrote MPEG-4 part 2 by BT.601's matrix, whatever it was given, untagged."""
    path, bits = tmp_path / f"v{suffix}", 10 if deep else 8
    given = images(2, 16 if deep else 8)
    write_video(path, given, 25, VideoSettings(crf=1, deep=deep, colour=colour))
    found = described(path)
    assert found[0] == "h264" and found[1].replace("yuvj", "yuv") == ("yuv420p10le" if deep else "yuv420p")
    assert found[2:] == (colour.matrix, 2 if colour.full else 1, colour.primaries, colour.transfer)
    with av.open(str(path)) as file:
        luma, *chroma = videos.planes_in(next(file.decode(video=0)), bits)
    rgb = videos.rgb_of([luma, *(plane.repeat(2, 0).repeat(2, 1) for plane in chroma)], colour.matrix, colour.full, bits)
    inner = np.r_[[column for column in range(128) if 3 < column % 16 < 13]]
    difference = np.abs(rgb * 255 - given[0][..., ::-1] / (257 if deep else 1))
    assert difference[:44, inner].max() <= 2.5 and difference[52:, inner].mean() <= 0.6


@pytest.mark.parametrize("matrix", [1, 6], ids=["bt709", "bt601"])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
def test_a_ramp_and_bars_come_back_within_one(matrix, full, tmp_path):
    """Read and written with the default quality: the samples of the copy are those of the input, at most one level off on
    average and in the middle of every bar.
    """
    planes = videos.halved(videos.samples_of(videos.bars(288, 384), matrix, full))
    source = make_video(tmp_path / "in.mp4", [planes] * 12, "yuv420p", matrix=matrix, full=full)
    clip = open_clip(source)
    write_video(tmp_path / "out.mp4", clip.video.images(), 25, VideoSettings(colour=clip.video.colour))
    with av.open(str(tmp_path / "out.mp4")) as file:
        copied = [videos.planes_in(frame) for frame in file.decode(video=0)][-1]
    for given, found in zip(planes, copied):
        difference = np.abs(given.astype(int) - found)
        width, half = given.shape[1] // 8, given.shape[0] // 2
        assert difference.mean() < 0.2  # edges of bars, whose colours go beyond 0 and 255 between two samples, are part of it
        assert difference[half + 4 :].mean() < 0.5 and difference[half + 4 :].max() <= 2
        assert difference[10 : half - 10, width // 2 :: width].max() <= 1


@pytest.mark.parametrize(
    "codec, suffix, deep, form",
    [
        ("h265", ".mp4", False, "yuv420p"),
        ("h265", ".mkv", True, "yuv420p10le"),
        ("ffv1", ".mkv", False, "bgr0"),
        ("ffv1", ".avi", False, "bgr0"),
        ("ffv1", ".mkv", True, "gbrp16le"),
    ],
)
def test_other_codecs(codec, suffix, deep, form, tmp_path):
    path, given = tmp_path / f"v{suffix}", images(4, 16 if deep else 8)
    write_video(path, given, 25, VideoSettings(codec, deep=deep))
    found = described(path)
    assert found[:2] == ({"h265": "hevc", "ffv1": "ffv1"}[codec], form)
    reader = VideoReader(path)
    assert reader.colour.matrix == (RGB if codec == "ffv1" else 1)
    for image, other in zip(given, reader.images()):
        assert image.dtype == other.dtype
        if codec == "ffv1":
            np.testing.assert_array_equal(image, other)


def test_ten_bits_go_through_as_ten_bits(tmp_path):
    """Neighbouring levels of ten bits, which eight bits make one."""
    luma = np.tile(np.arange(400, 464, dtype=np.uint16).repeat(2), (64, 1))
    planes = [luma, *np.full((2, 32, 64), 512, np.uint16)]
    source = make_video(tmp_path / "in.mkv", [planes] * 3, "yuv420p10le")
    clip = open_clip(source)
    assert clip.bits == 16
    write_video(tmp_path / "out.mkv", clip.video.images(), 25, VideoSettings(crf=0, deep=True, colour=clip.video.colour))
    with av.open(str(tmp_path / "out.mkv")) as file:
        copied = videos.planes_in(next(file.decode(video=0)), 10)[0]
    assert np.abs(copied.astype(int) - luma).max() <= 1 and len(np.unique(copied)) > 40


def test_pixel_aspect_is_kept(tmp_path):
    write_video(tmp_path / "v.mp4", images(2), 25, VideoSettings(pixel_aspect=Fraction(16, 11)))
    assert VideoReader(tmp_path / "v.mp4").pixel_aspect == Fraction(16, 11)


# Times


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("delay", [0, 0.6])
def test_every_frame_keeps_its_time(suffix, delay, tmp_path):
    ticks = [*range(0, 15360, 512), *range(15360, 15360 + 20 * 1536, 1536)]
    source = make_video(
        tmp_path / "in.mp4",
        videos.grey_frames(50),
        "yuv420p",
        ticks=ticks,
        base=Fraction(1, 15360),
        delay=delay,
        sound=delay > 0,
    )
    clip = open_clip(source)
    write_video(tmp_path / f"out{suffix}", clip.video.images(), 25, VideoSettings(times=clip.contents.times, source=source))
    given, found = videos.moments(source), videos.moments(tmp_path / f"out{suffix}")
    assert len(found) == 50
    shift = found[0] - given[0]  # in Matroska nothing begins before 0, as the sound does that a decoder warms up with
    assert abs(shift) <= (Fraction(24, 1000) if suffix == ".mkv" and delay else 0)
    for one, other in zip(given, found):
        assert abs(one + shift - other) <= (Fraction(1, 1000) if suffix == ".mkv" else 0)
    if suffix != ".mkv":
        assert VideoReader(tmp_path / f"out{suffix}").contents().times.length(49) * clip.contents.times.base == pytest.approx(
            clip.contents.times.length(49) * clip.contents.times.base
        )


@pytest.mark.parametrize("rate", [239.97, 90.123, 30000 / 1001, 1 / 7, 0.01, 999])
def test_rates_that_older_time_bases_do_not_hold(rate, tmp_path):
    write_video(tmp_path / "v.mp4", images(5), rate)
    assert open_clip(tmp_path / "v.mp4").rate == pytest.approx(rate, rel=1e-3)


def test_avi_holds_one_rate_and_says_so(tmp_path):
    times = Times(Fraction(1, 100), Fraction(25), (0, 4, 20, 24), 28)
    notes = write_video(tmp_path / "v.avi", images(4), 25, VideoSettings(times=times))
    assert "holds one rate" in notes[0] and open_clip(tmp_path / "v.avi").count == 4


# What is copied


def source_with_everything(folder):
    chapters = [dict(id=1, start=0, end=500, time_base=Fraction(1, 1000), metadata={"title": "one"})]
    return make_video(
        folder / "in.mkv",
        videos.grey_frames(25),
        "yuv420p",
        sound=True,
        subtitles=True,
        title="A day",
        delay=0.6,
        chapters=chapters,
    )


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_sound_is_copied_packet_by_packet_and_in_time(suffix, tmp_path):
    source, target = source_with_everything(tmp_path), tmp_path / f"out{suffix}"
    clip = open_clip(source)
    notes = write_video(target, clip.video.images(), 25, VideoSettings(times=clip.contents.times, source=source))
    assert videos.packets(source) == videos.packets(target) and len(videos.packets(source)) > 30
    offset, kept = (videos.moments(path)[0] - videos.moments(path, "audio")[1] for path in (source, target))
    assert abs(offset - kept) <= Fraction(2, 1000) and offset > 0.5
    with av.open(str(target)) as file:
        assert file.metadata["title"] == "A day"
        assert [chapter["metadata"].get("title") for chapter in file.chapters()] == ["one"]
    assert "audio (aac)" in notes[0] and "1 chapter" in notes[0]
    if suffix == ".mkv":
        assert videos.packets(source, "subtitle") == videos.packets(target, "subtitle") == [b"a line"]
        assert len(notes) == 1 and "subtitles (" in notes[0]
    else:
        assert "Not copied" in notes[1] and "subtitles (" in notes[1]
        again = write_video(tmp_path / f"again{suffix}", images(2), 25, VideoSettings(source=target))
        assert again == ["Copied from the input: audio (aac), 1 chapter."]


def test_of_a_silent_video_nothing_is_said(tmp_path):
    source = make_video(tmp_path / "in.mp4", videos.grey_frames(3), "yuv420p")
    assert write_video(tmp_path / "out.mp4", images(3), 25, VideoSettings(source=source)) == []


def test_of_a_silent_stream_no_sound_is_said_to_be_copied(tmp_path):
    """A stream that holds nothing at all, or nothing in the part that is restored."""
    source = make_video(tmp_path / "in.mkv", videos.grey_frames(3), "yuv420p", sound="empty")
    notes = write_video(tmp_path / "out.mp4", images(3), 25, VideoSettings(source=source))
    assert notes == ["Empty in the input: audio (aac)."]
    source = make_video(tmp_path / "heard.mkv", videos.grey_frames(75), "yuv420p", sound=True)
    for part, words in (((0, 1), "Copied from the input"), ((2, 3), "Empty in this part of the input")):
        settings = VideoSettings(source=source, span=tuple(map(Fraction, part)))
        assert write_video(tmp_path / "out.mp4", images(3), 25, settings) == [f"{words}: audio (aac)."]


# What is refused before the work


@pytest.mark.parametrize(
    "suffix, settings, named",
    [
        (".avi", VideoSettings("h265"), "--codec h265: a .avi file cannot hold it"),
        (".mov", VideoSettings("ffv1"), "--codec ffv1: a .mov file cannot hold it"),
        (".mkv", VideoSettings("ffv1", crf=3), "--crf 3: ffv1 loses nothing"),
        (".mp4", VideoSettings(crf=52), "--crf 52: it must be 0 to 51"),
    ],
)
def test_settings_that_cannot_be(suffix, settings, named, tmp_path):
    with pytest.raises(UserError, match=named):
        check_video(tmp_path / f"v{suffix}", settings, 64, 64)
    check_video(tmp_path / f"v{suffix}", VideoSettings(), 64, 64)
    assert not list(tmp_path.iterdir())


def test_a_codec_that_this_build_lacks(tmp_path, monkeypatch):
    monkeypatch.setitem(CODECS, "h265", CODECS["h265"]._replace(encoder="libx266"))
    with pytest.raises(UserError, match="this build of PyAV has no libx266"):
        check_video(tmp_path / "v.mp4", VideoSettings("h265"), 64, 64)
    monkeypatch.setitem(CODECS, "h264", CODECS["h264"]._replace(formats={8: "yuv420p", 10: "yuv420p14le"}))
    check_video(tmp_path / "v.mp4", VideoSettings(), 64, 64)
    with pytest.raises(UserError, match="libx264 has no yuv420p14le"):
        check_video(tmp_path / "v.mp4", VideoSettings(deep=True), 64, 64)


def test_a_size_that_the_encoder_does_not_take(tmp_path):
    with pytest.raises(UserError, match="libx264 cannot write a video of 20000 x 64 pixels"):
        check_video(tmp_path / "v.mp4", VideoSettings(), 64, 20000)


# What goes wrong on the way


FILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from builders import StandIn
from mindrestore.cli import main
from mindrestore.media.writing import write_clip
from mindrestore.restore import run
from mindrestore.restore.networks import TaskNetwork
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]),) * 2)
run.choose = lambda task, *_, **__: [TaskNetwork(task, StandIn(), Path(sys.argv[2]), (4, 0, 0), (0, 0, 0))]
sys.exit(main(["restore", sys.argv[2], sys.argv[3], "--task", "deblur", "--overwrite"]))
"""


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        shutil.which("mount")
        and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True).returncode == 0
    )
    if not mounted:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def noise(count, height=128, width=192):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3)).astype(np.uint8) for _ in range(count)]


def test_a_full_disk_is_one_sentence_and_loses_nothing(small_disk, tmp_path):
    """OpenCV ignored write errors: an empty file took the older one's place, and that was called done."""
    target = small_disk / "out.mp4"
    target.write_bytes(b"an older file")
    (small_disk / "filling").write_bytes(bytes(int(1.7e6)))
    with pytest.raises(UserError, match=r"out\.mp4: cannot be written, its disk is full; free some space") as raised:
        write_video(target, noise(12), 25, VideoSettings(crf=1))
    assert target.read_bytes() == b"an older file" and "\n" not in str(raised.value)
    assert sorted(path.name for path in small_disk.iterdir()) == ["filling", "out.mp4"]
    (small_disk / "filling").unlink()
    write_video(target, noise(3), 25)
    assert open_clip(target).count == 3


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.jpg", "a.tif", "frames"])
def test_pictures_on_a_full_disk_are_errors_too(name, small_disk):
    """Pictures were cut, and that was called done."""
    (small_disk / "filling").write_bytes(bytes(2 * 1024 * 1024 - 24 * 1024))
    with pytest.raises(UserError, match="its disk is full; free some space"):
        write_clip(small_disk / name, noise(1), 1)
    assert [path.name for path in small_disk.iterdir()] == ["filling"]


def test_a_finished_frame_on_a_full_disk_is_an_error(small_disk):
    (small_disk / "filling").write_bytes(bytes(2 * 1024 * 1024 - 128 * 1024))
    finished = FinishedFrames(small_disk / "out.mp4", {})
    with pytest.raises(UserError, match="its disk is full"):
        for image in noise(5):
            finished.add(image)
    assert finished.count == len(list(finished.images())) == FinishedFrames(small_disk / "out.mp4", {}, resume=True).count == 1


def test_frames_stay_where_the_result_does_not_fit_and_resume_goes_on(python, tmp_path, monkeypatch, capsys):
    """A limit of the size of a file stands in for a full disk: frames fit, the video does not."""
    write_video(tmp_path / "in.mkv", noise(16), 25, VideoSettings("ffv1"))
    target = tmp_path / "out.mp4"
    target.write_bytes(b"an older file")
    stopped = python(FILLED, TESTS, tmp_path / "in.mkv", target, 100_000)
    assert stopped.returncode == 2 and "Traceback" not in stopped.stderr, stopped.stderr
    assert "out.mp4: cannot be written, it became larger than files may be" in stopped.stderr
    assert "Kept 16 of 16 frames" in stopped.stderr and target.read_bytes() == b"an older file"
    assert len(list((tmp_path / "out.mp4.part").glob("*.png"))) == 16
    monkeypatch.setattr(
        run, "choose", lambda task, *_, **__: [TaskNetwork(task, StandIn(), tmp_path / "in.mkv", (4, 0, 0), (0, 0, 0))]
    )
    assert main(["restore", str(tmp_path / "in.mkv"), str(target), "--task", "deblur", "--resume"]) == 0
    assert "Going on after 16 of 16 frames" in capsys.readouterr().out
    assert open_clip(target).count == 16 and not (tmp_path / "out.mp4.part").exists()


@pytest.mark.parametrize("cut, named", [(0.5, "cannot be read again|holds .* frames"), (0, "cannot be read again")])
def test_what_does_not_read_as_it_was_written_is_no_result(cut, named, tmp_path, monkeypatch):
    """A disk that keeps half of what it was given."""

    def broken(path):
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: int(cut * len(content))])
        synced(path)

    monkeypatch.setattr(video_writer, "synced", broken)
    (tmp_path / "v.mp4").write_bytes(b"an older file")
    with pytest.raises(UserError, match=named):
        write_video(tmp_path / "v.mp4", images(20), 25)
    assert (tmp_path / "v.mp4").read_bytes() == b"an older file"
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_errors_of_a_file_that_ends_late_are_errors(tmp_path, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(video_writer, "synced", full)
    with pytest.raises(UserError, match="its disk is full"):
        write_video(tmp_path / "v.mp4", images(3), 25)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("frames, height, width", [(1, 64, 96), (2, 64, 96), (3, 32, 48)])
def test_short_and_small_videos_in_h265_are_written_each_time(frames, height, width, tmp_path):
    """x265 made up times of too few frames, and wrote beyond its memory for small pictures: in a process of its own."""
    script = (
        "import sys, numpy as np\nfrom mindrestore.media.video_writer import VideoSettings, write_video\n"
        "frames, height, width = map(int, sys.argv[2:])\nrng = np.random.default_rng(0)\nfor _ in range(25):\n"
        "    images = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(frames)]\n"
        "    write_video(sys.argv[1], images, 25, VideoSettings('h265'))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "v.mov"), str(frames), str(height), str(width)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-2000:]


def test_an_error_of_the_images_is_their_own(tmp_path):
    def broken():
        yield from images(2)
        raise UserError("this finished frame is damaged")

    with pytest.raises(UserError, match="^this finished frame is damaged$"):
        write_video(tmp_path / "v.mp4", broken(), 25)
    assert not list(tmp_path.iterdir())


# In a browser

PAGE = """<video id="v" muted autoplay src="{}"></video><p id="said">nothing</p><script>
const video = document.getElementById("v"), said = document.getElementById("said");
function tell() {{ said.textContent = [video.videoWidth, video.videoHeight, video.error ? video.error.message : "no error",
                                      video.currentTime > 0.2 ? "plays" : "stands"].join(" ");
                   if (video.error || video.currentTime > 0.2) done(); }}
video.onloadeddata = video.ontimeupdate = video.onended = video.onerror = tell;
</script>"""


@needs_browser
@pytest.mark.parametrize("name, settings", [("v.mp4", VideoSettings()), ("v.mov", VideoSettings(crf=30))])
def test_a_browser_plays_it(name, settings, tmp_path):
    write_video(tmp_path / name, images(50), 25, settings)
    (tmp_path / "page.html").write_text(PAGE.format(name))
    shown = printed_when_done(tmp_path / "page.html")
    said = re.search(r'id="said">(.*?)<', shown)
    assert said and said[1] == "128 96 no error plays", shown
