"""Folders of frames and videos."""

import cv2
import numpy as np
import pytest
from places import REAL_DATA

from mindrestore.data.frames import frame_files, read_clip, stream_frames
from mindrestore.data.scenes import load_scene
from mindrestore.errors import UserError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def save_rgb(path, image):
    assert cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def folder_of(tmp_path, frames, names):
    for name, frame in zip(names, frames):
        save_rgb(tmp_path / name, frame)
    return tmp_path


def test_frames_come_in_natural_order(tmp_path, rng):
    frames = rng.integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)
    folder = folder_of(tmp_path, frames, ["f2.png", "f10.png", "f100.PNG"])
    (folder / "notes.txt").touch()
    (folder / ".hidden.png").touch()
    assert [path.name for path in frame_files(folder)] == ["f2.png", "f10.png", "f100.PNG"]
    clip = read_clip(folder, colour=True)
    assert clip.shape == (3, 3, 6, 8) and clip.dtype == np.float32
    np.testing.assert_allclose(clip, frames.transpose(3, 0, 1, 2) / 255, atol=1e-6)


def test_grey_is_luma(tmp_path, rng):
    frames = rng.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    clip = read_clip(folder_of(tmp_path, frames, ["0.png", "1.png"]))
    assert clip.shape == (2, 6, 8)
    np.testing.assert_allclose(clip, frames @ [0.299, 0.587, 0.114] / 255, atol=1 / 255)


def test_grey_files_and_sixteen_bits(tmp_path):
    image = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    cv2.imwrite(str(tmp_path / "0.png"), image)
    np.testing.assert_allclose(read_clip(tmp_path), image[None] / 65535, atol=1e-6)
    np.testing.assert_allclose(read_clip(tmp_path, colour=True), np.stack([image[None]] * 3) / 65535, atol=1e-6)


def test_a_part_of_a_folder(tmp_path, rng):
    frames = rng.integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)
    folder = folder_of(tmp_path, frames, [f"{n}.png" for n in range(5)])
    whole = read_clip(folder)
    np.testing.assert_array_equal(read_clip(folder, first=1, frames=3), whole[1:4])
    np.testing.assert_array_equal(read_clip(folder, first=3), whole[3:])
    with pytest.raises(UserError, match="2 frames after the first 3, expected 4"):
        read_clip(folder, first=3, frames=4)


def test_streaming_reads_a_frame_only_when_it_is_reached(tmp_path, rng):
    folder = folder_of(tmp_path, rng.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8), ["0.png", "1.png"])
    (folder / "2.png").write_bytes(b"no image")
    stream = stream_frames(folder)
    assert next(stream).shape == next(stream).shape == (6, 8)
    with pytest.raises(UserError, match=r"2\.png: not a readable image"):
        next(stream)


@pytest.mark.parametrize("suffix, codec", [("avi", "MJPG"), ("mp4", "mp4v")])
def test_videos(suffix, codec, tmp_path):
    path = tmp_path / f"v.{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV writes no {codec}")
    for n in range(6):
        writer.write(np.full((48, 64, 3), (0, 20 * n, 200), np.uint8))  # BGR
    writer.release()
    clip = read_clip(path, colour=True)
    assert clip.shape == (3, 6, 48, 64)
    np.testing.assert_allclose(clip[0], 200 / 255, atol=0.06)
    np.testing.assert_allclose(clip[1].mean(axis=(1, 2)), 20 * np.arange(6) / 255, atol=0.06)
    np.testing.assert_array_equal(read_clip(path, first=2, frames=2), read_clip(path)[2:4])
    scene = load_scene(path)
    assert (scene.name, scene.colour, len(scene.snapshots(3))) == ("v", False, 2)
    with pytest.raises(UserError, match="after the first 9"):
        read_clip(path, first=9)


def test_a_frame_of_another_size_is_named(tmp_path, rng):
    frames = [rng.integers(0, 256, size + (3,), dtype=np.uint8) for size in ((6, 8), (6, 8), (7, 8))]
    folder = folder_of(tmp_path, frames, ["0.png", "1.png", "2.png"])
    with pytest.raises(UserError, match=r"2\.png: this frame has 8 x 7 pixels, the ones before it 8 x 6"):
        read_clip(folder)


def test_mistakes_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "fake.mp4").write_bytes(b"no video at all" * 100)
    for call, part in [
        (lambda: read_clip(tmp_path / "nowhere"), "nowhere: no such folder"),
        (lambda: stream_frames(tmp_path / "nowhere"), "nowhere: no such folder"),
        (lambda: stream_frames(tmp_path / "empty"), "empty: no frames in it"),
        (lambda: read_clip(tmp_path), r"empty\.png: not a readable image"),
        (lambda: stream_frames(tmp_path / "fake.mp4"), r"fake\.mp4: no video frames"),
        (lambda: read_clip(tmp_path, frames=0), "frames 1 or more"),
    ]:
        with pytest.raises(UserError, match=part):
            call()


def test_real_frames_and_video():
    folder = REAL_DATA / "video"
    if not folder.is_dir():
        pytest.skip(f"real videos are not in {folder}; set MINDRESTORE_DATA to the folder that has video/")
    assert read_clip(folder / "street", colour=True).shape == (3, 21, 180, 320)
    assert read_clip(folder / "bikes.mp4", frames=5).shape == (5, 272, 640)
