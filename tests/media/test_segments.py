"""Videos in segments: joined they are the video that is written at once, with times, sound and tags."""

from fractions import Fraction

import numpy as np
import pytest
import videos

from mindrestore.data.frames import stored_frames
from mindrestore.data.video_file import Times
from mindrestore.errors import UserError
from mindrestore.media.clips import open_clip
from mindrestore.media.segments import SegmentedVideo
from mindrestore.media.video_writer import VideoSettings, write_video
from mindrestore.restore import finished as finished_module
from mindrestore.restore.finished import FinishedFrames

UNEVEN = Times(Fraction(1, 1000), Fraction(20), (0, 40, 80, 500, 520, 560, 1200, 1210, 1220, 1300, 1900, 2000, 2100), 2200)


def images(count=13, height=48, width=64):
    rows, columns = np.mgrid[:height, :width]
    return [
        np.stack([(rows * 3 + columns * 2 + shade + 9 * number) % 256 for shade in (0, 60, 120)], -1).astype(np.uint8)
        for number in range(count)
    ]


def in_segments(path, lengths, rate=25, settings=None):
    folder = path.with_name(path.name + ".part")
    folder.mkdir()
    video, left = SegmentedVideo(path, folder, rate, settings or VideoSettings()), images(sum(lengths))
    for length in lengths:
        video.add(iter(left[:length]), length)
        del left[:length]
    assert video.count == sum(lengths)
    return video.join()


def read(path):
    return np.stack([image for _, image in stored_frames(path)]).astype(int)


@pytest.mark.parametrize(
    "name, codec",
    [
        ("a.mp4", "h264"),
        ("a.mkv", "h264"),
        ("a.mov", "h265"),
        ("a.avi", "h264"),
        ("a.mkv", "ffv1"),
        ("a.avi", "ffv1"),
        ("a.mp4", "h265"),
    ],
)
@pytest.mark.parametrize("times", [None, UNEVEN], ids=["steady", "uneven"])
def test_segments_become_the_video_that_is_written_at_once(name, codec, times, tmp_path):
    settings = VideoSettings(codec, times=times)
    (tmp_path / "whole").mkdir()
    notes = write_video(tmp_path / "whole" / name, iter(images()), 30, settings)
    assert in_segments(tmp_path / name, (5, 1, 7), 30, settings) == notes
    one, other = open_clip(tmp_path / "whole" / name), open_clip(tmp_path / name)
    assert one.contents.count == other.contents.count == other.contents.expected == 13
    assert one.contents.times.ticks == other.contents.times.ticks and one.contents.times.base == other.contents.times.base
    if times is None or name.endswith("mkv"):  # of uneven times MP4 says only when the last packet ends, as they are decoded
        assert one.contents == other.contents and one.rate == other.rate and one.video.rate == other.video.rate
    assert one.video.colour == other.video.colour
    assert videos.moments(one.path) == videos.moments(other.path)
    difference = np.abs(read(one.path) - read(other.path))
    assert difference.max() == 0 if codec == "ffv1" else difference.mean() < 3


def test_sound_and_titles_are_copied_once(tmp_path):
    source = videos.make_video(tmp_path / "in.mp4", videos.grey_frames(13), "yuv420p", sound=True, title="a title")
    settings = VideoSettings(times=open_clip(source).contents.times, source=source)
    assert in_segments(tmp_path / "out.mp4", (6, 7), settings=settings) == ["Copied from the input: audio (aac)."]
    assert videos.packets(source) == videos.packets(tmp_path / "out.mp4") != []


def test_segments_of_another_build_are_not_joined(tmp_path):
    folder = tmp_path / "a.mp4.part"
    folder.mkdir()
    SegmentedVideo(tmp_path / "a.mp4", folder, 25, VideoSettings("h264")).add(iter(images(3)), 3)
    other = SegmentedVideo(tmp_path / "a.mp4", folder, 25, VideoSettings("h265"))
    other.add(iter(images(3)), 3)
    with pytest.raises(UserError, match="coded by another build"):
        other.join()
    assert not (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize("limit, value", [("MOST_PICTURES", 5), ("MOST_BYTES", 1000)])
def test_few_pictures_wait(limit, value, tmp_path, monkeypatch):
    """A minute of large frames held 49 GB of them."""
    monkeypatch.setattr(finished_module, limit, value)
    finished, most = FinishedFrames(tmp_path / "a.mkv", {}), 0
    finished.put_into([SegmentedVideo(tmp_path / "a.mkv", finished.folder, 25, VideoSettings("ffv1"))])
    for image in images(13):
        finished.add(image)
        most = max(most, len(list(finished.folder.glob("*.png"))))
    assert most < 8 and finished.count == 13 > finished.first > 0
    finished.write_videos()
    np.testing.assert_array_equal(read(tmp_path / "a.mkv"), images(13))


def two_videos(folder, resume):
    """Finished frames that become two videos, ``a`` and ``b``."""
    finished = FinishedFrames(folder / "a.mkv", {}, resume)
    finished.put_into([SegmentedVideo(folder / f"{name}.mkv", finished.folder, 25, VideoSettings("ffv1")) for name in "ab"])
    return finished


@pytest.mark.parametrize("stop", range(1, 13))
def test_what_is_finished_is_found_again(stop, tmp_path, monkeypatch):
    monkeypatch.setattr(finished_module, "MOST_PICTURES", 4)
    first = two_videos(tmp_path, resume=False)
    for image in images(stop):
        first.add(image)
    again = two_videos(tmp_path, resume=True)
    assert again.count == stop
    for image in images(13)[stop:]:
        again.add(image)
    again.write_videos()
    for name in "ab":
        np.testing.assert_array_equal(read(tmp_path / f"{name}.mkv"), images(13))


def test_a_stop_between_the_segments_of_two_videos_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(finished_module, "MOST_PICTURES", 4)
    whole, write = SegmentedVideo.add, []

    def stopping(video, *arguments):
        write.append(video)
        if len(write) == 4:  # the second segment of b
            raise KeyboardInterrupt
        whole(video, *arguments)

    monkeypatch.setattr(SegmentedVideo, "add", stopping)
    finished = two_videos(tmp_path, resume=False)
    with pytest.raises(KeyboardInterrupt):
        for image in images(13):
            finished.add(image)
    again = two_videos(tmp_path, resume=True)
    assert again.count == finished.count == 8
    for image in images(13)[8:]:
        again.add(image)
    again.write_videos()
    for name in "ab":
        np.testing.assert_array_equal(read(tmp_path / f"{name}.mkv"), images(13))
