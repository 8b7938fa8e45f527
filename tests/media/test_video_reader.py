"""Videos read: colours by the matrix that is named, upright, with their times, and all that decodes of damaged ones."""

import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import videos
from videos import make_video

from mindrestore.data.ahead import ahead
from mindrestore.data.frames import count_frames, read_clip, stream_frames
from mindrestore.data.video_file import Times, VideoReader
from mindrestore.errors import UserError
from mindrestore.media.clips import open_clip


def error_of(image, rgb):
    """The largest difference of a BGR image from R'G'B' 0-1, in 255ths."""
    white = np.iinfo(image.dtype).max
    return np.abs(image[..., ::-1] / white - rgb).max() * 255


# Colours


@pytest.mark.parametrize("matrix", [1, 6, 9], ids=["bt709", "bt601", "bt2020"])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize(
    "codec, form, bits, bound",
    [
        ("libx264", "yuv444p", 8, 1),
        ("libx264", "yuv420p", 8, 1),
        ("ffv1", "yuv422p", 8, 1),
        ("libx264", "yuv420p10le", 10, 0.25),
        ("ffv1", "yuv444p12le", 12, 0.0625),
    ],
)
def test_bars_and_a_grey_ramp_are_what_was_meant(matrix, full, codec, form, bits, bound, tmp_path):
    """OpenCV takes everything for BT.601 of limited range: BT.709's bars are up to 20 of 255 off."""
    rgb = videos.bars()
    planes = videos.samples_of(rgb, matrix, full, bits)
    kept = videos.rgb_of(planes, matrix, full, bits)  # what is left after rounding to the samples
    planes = (
        videos.halved(planes)
        if "420" in form
        else [planes[0], *(plane[:, ::2] for plane in planes[1:])]
        if ("422" in form)
        else planes
    )
    path = make_video(tmp_path / "v.mkv", [planes] * 2, form, codec, matrix=matrix, full=full, primaries=1, transfer=1)
    reader = VideoReader(path)
    image = next(reader.images())
    assert (reader.colour.matrix, reader.colour.full, reader.colour.primaries, reader.colour.transfer) == (matrix, full, 1, 1)
    assert image.dtype == (np.uint8 if bits == 8 else np.uint16)
    inner = np.ones(rgb.shape[1], bool)
    if "444" not in form:  # chroma between two bars is a mixture
        inner[[column for edge in range(16, 128, 16) for column in (edge - 1, edge)]] = False
    rows = np.r_[0:46, 50:96]
    assert error_of(image[rows][:, inner], kept[rows][:, inner]) <= 0.51 if bits == 8 else bound
    assert error_of(image[rows][:, inner], rgb[rows][:, inner]) <= 1.5 * bound


@pytest.mark.parametrize("height, matrix", [(96, 6), (576, 6), (720, 1)])
def test_a_video_that_names_no_matrix_is_taken_as_players_take_it(height, matrix, tmp_path):
    rgb = videos.bars(height, 64)
    planes = videos.samples_of(rgb, matrix, False)
    assert error_of(next(VideoReader(make_video(tmp_path / "v.mp4", [planes])).images()), rgb) <= 1.5


@pytest.mark.parametrize("form, bits", [("gbrp", 8), ("gbrp10le", 10), ("bgr0", 8), ("gray", 8), ("gray10le", 10)])
def test_red_green_and_blue_and_grey_that_are_stored_as_such(form, bits, tmp_path):
    rng = np.random.default_rng(0)
    kind, white = np.uint8 if bits == 8 else np.uint16, 2**bits - 1
    green, blue, red = rng.integers(0, white + 1, (3, 16, 16)).astype(kind)
    if form == "bgr0":
        planes = [np.stack((blue, green, red, 0 * red), -1).reshape(16, 64)]
    else:
        planes = [green, blue, red] if form.startswith("gbr") else [green]
        red, blue = (red, blue) if form.startswith("gbr") else (green, green)
    path = tmp_path / ("v.avi" if form == "gbrp" else "v.mkv")
    if form == "bgr0":
        _packed(path, planes[0])
    else:
        make_video(path, [planes], form, "utvideo" if form == "gbrp" else "ffv1")
    image = next(VideoReader(path).images())
    assert error_of(image, np.stack((red, green, blue), -1) / white) <= (0.01 if bits == 8 else 0.02)


def _packed(path, rows):
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "bgr0"
        frame = av.VideoFrame(16, 16, "bgr0")
        videos.rows_of(frame.planes[0], np.uint8)[:, :64] = rows
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


# Upright, and in time


@pytest.mark.parametrize("quarter", videos.QUARTERS)
def test_frames_are_upright(quarter, tmp_path):
    luma = np.full((32, 64), 60, np.uint8)
    luma[:8, :16] = 235
    path = make_video(tmp_path / "v.mp4", [[luma, *np.full((2, 16, 32), 128, np.uint8)]], "yuv420p", aspect=Fraction(4, 3))
    videos.turn(path, quarter)
    reader = VideoReader(path)
    image = next(reader.images())[..., 0]
    shown = {90: np.rot90(luma, -1), 180: luma[::-1, ::-1], 270: np.rot90(luma), "mirrored": luma[:, ::-1]}[quarter]
    assert image.shape == (reader.height, reader.width) == shown.shape and reader.turned
    assert ((image > 128) == (shown > 128)).all()
    assert reader.pixel_aspect == (Fraction(3, 4) if quarter in (90, 270) else Fraction(4, 3))


def test_times_of_a_variable_rate(tmp_path):
    ticks = [0, 512, 1024, 1536, 5000, 9000, 9100]
    path = make_video(tmp_path / "v.mp4", videos.grey_frames(7), "yuv420p", ticks=ticks)
    times = VideoReader(path).contents().times
    assert [tick * times.base for tick in times.ticks] == [Fraction(tick, 12800) for tick in ticks]
    assert not times.is_steady and times.length(3) * times.base == Fraction(5000 - 1536, 12800)


def test_times_of_a_steady_rate_are_steady_though_milliseconds_round_them(tmp_path):
    base = Fraction(1001, 30000)
    path = make_video(tmp_path / "v.mkv", videos.grey_frames(40), "yuv420p", ticks=range(40), base=base)
    times = VideoReader(path).contents().times
    assert times.base == Fraction(1, 1000) and times.is_steady


def test_doubled_times_have_one_more_between_any_two():
    times = Times(Fraction(1, 100), Fraction(25), (10, 14, 20), 24).doubled()
    assert [tick * times.base for tick in times.ticks] == [Fraction(value, 200) for value in (20, 24, 28, 34, 40)]
    assert times.end * times.base == Fraction(44, 200) and times.rate == 50
    assert Times.steady(25).doubled() == Times.steady(50)


# What is damaged, and what is no video


def test_a_broken_tail_gives_what_decodes_and_both_counts(tmp_path, capsys):
    """OpenCV took the first failure for the end, and said nothing."""
    path = make_video(
        tmp_path / "v.mp4",
        videos.grey_frames(50),
        "yuv420p",
        options=dict(videos.LOSSLESS["libx264"], movflags="faststart", g="1"),
    )
    content = path.read_bytes()
    if content.index(b"moov") > content.index(b"mdat"):
        content = _moved_to_front(content)
    path.write_bytes(content[: len(content) * 6 // 10])
    contents = VideoReader(path).contents()
    assert contents.expected == 50 and 5 < contents.count < 45
    assert open_clip(path).count == count_frames(path) == contents.count
    assert read_clip(path).shape[0] == contents.count
    assert f"50 frames expected, {contents.count} decoded" in capsys.readouterr().err


def _moved_to_front(content):
    """An MP4 (ftyp, free, mdat, moov) with moov before mdat, its chunk offsets moved likewise."""
    start = content.index(b"moov") - 4
    moov, place = bytearray(content[start:]), content.index(b"ftyp") - 4 + int.from_bytes(content[:4], "big")
    table = moov.index(b"stco")
    for entry in range(int.from_bytes(moov[table + 8 : table + 12], "big")):
        at = table + 12 + 4 * entry
        moved = int.from_bytes(moov[at : at + 4], "big") + len(moov)
        moov[at : at + 4] = moved.to_bytes(4, "big")
    return content[:place] + bytes(moov) + content[place:start]


def test_a_cut_matroska_file_is_noticed_by_its_length(tmp_path):
    path = make_video(
        tmp_path / "v.mkv", videos.grey_frames(100), "yuv420p", sound=True, options=dict(videos.LOSSLESS["libx264"], g="1")
    )
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    contents = VideoReader(path).contents()
    assert contents.count < 90 and abs(contents.expected - 100) <= 2


def test_a_damaged_frame_is_not_the_end(tmp_path):
    """Eight frames, of which the second is noise: the others are read."""
    rng = np.random.default_rng(0)
    frames = [[rng.integers(0, 256, (64, 64)).astype(np.uint8), *np.full((2, 32, 32), 128, np.uint8)] for _ in range(8)]
    path = make_video(tmp_path / "v.avi", frames, "yuvj420p", "mjpeg")
    content = path.read_bytes()
    starts = [at for at in range(content.index(b"movi"), content.index(b"idx1")) if content[at : at + 4] == b"00dc"]
    assert len(starts) == 8
    content = bytearray(content)
    content[starts[1] + 8 : starts[2]] = bytes(starts[2] - starts[1] - 8)
    path.write_bytes(content)
    contents = VideoReader(path).contents()
    assert (contents.count, contents.expected) == (7, 8)
    assert len(list(VideoReader(path).images())) == 7


def test_whole_files_are_whole(tmp_path):
    for name, options in [
        ("a.mp4", {}),
        ("b.mkv", dict(sound=True)),
        ("c.avi", {}),
        ("d.mov", dict(delay=0.6, sound=True)),
        ("e.ts", dict(sound=True)),
    ]:
        path = make_video(tmp_path / name, videos.grey_frames(30), "yuv420p", **options)
        contents = VideoReader(path).contents()
        assert (contents.count, contents.expected) == (30, 30), name
        assert contents.streams == ((("audio", "aac"),) if options.get("sound") else ())


def test_a_frame_of_another_size_is_refused_by_number(tmp_path):
    """Two streams one after the other, as a recorder that was turned leaves them."""
    parts = [
        make_video(tmp_path / f"{size[0]}.h264", videos.grey_frames(4, *size), "yuv420p", container="h264")
        for size in ((32, 48), (48, 32))
    ]
    path = tmp_path / "both.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for look in (open_clip, lambda path: list(stream_frames(path))):
        with pytest.raises(UserError, match=r"frame 4 has 32 x 48 pixels, the ones before it 48 x 32"):
            look(path)


def test_what_is_no_video_or_names_other_files_is_refused(tmp_path):
    make_video(tmp_path / "v.ts", videos.grey_frames(3), "yuv420p")
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nv.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.mkv").write_text("ffconcat version 1.0\nfile v.ts\n")
    (tmp_path / "none.avi").write_bytes(b"")
    _only_sound(tmp_path / "sound.mp4")
    _only_sound(tmp_path / "song.mp4", cover=True)
    for name in ("list.mp4", "concat.mkv", "none.avi", "sound.mp4", "song.mp4"):
        with pytest.raises(UserError, match=f"{name}: no video frames can be read"):
            open_clip(tmp_path / name)
        with pytest.raises(UserError, match=f"{name}: no video frames can be read"):
            stream_frames(tmp_path / name)


def _only_sound(path, cover=False):
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=44100)
        if cover:
            picture = file.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt, picture.disposition = 32, 32, "yuvj420p", 1024
            file.mux(picture.encode(av.VideoFrame(32, 32, "yuvj420p")))
            file.mux(picture.encode(None))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), "s16", "mono")
        samples.sample_rate = 44100
        file.mux(stream.encode(samples))
        file.mux(stream.encode(None))


def test_a_name_with_a_colon_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "v.mp4", videos.grey_frames(3), "yuv420p").rename("http:v.mp4")
    assert open_clip(Path("http:v.mp4")).count == 3


# Ahead


def test_ahead_gives_what_there_is_and_raises_where_it_was_raised():
    def items():
        yield from range(3)
        raise UserError("no fourth")

    got = []
    with pytest.raises(UserError, match="no fourth"):
        for item in ahead(items()):
            got.append(item)
    assert got == [0, 1, 2] and list(ahead(iter([]))) == []


def test_ahead_is_bounded_and_its_thread_ends_with_it():
    taken, closed = [], []

    def items():
        try:
            for number in range(100):
                taken.append(number)
                yield number
        finally:
            closed.append(True)

    before = threading.active_count()
    stream = ahead(items(), 3)
    assert next(stream) == 0
    time.sleep(0.2)
    assert 3 <= len(taken) <= 6
    stream.close()
    assert closed and threading.active_count() == before
