"""Pictures that hold more, or mean something else, than decoders give: taken whole, refused, or said."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile

from mindrestore import errors
from mindrestore.data import picture_files
from mindrestore.data.frame_stores import FolderStore
from mindrestore.data.frames import count_frames, read_clip, stored_frames
from mindrestore.errors import UserError

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 16, 20, 3), np.uint8)
GREY = FRAMES[..., 0]


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def animated_png(frames):
    """The bytes of an APNG: each frame's pixels are those of a PNG of its own."""
    size = struct.pack(">II", frames.shape[2], frames.shape[1])
    start = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size + bytes([8, 2, 0, 0, 0]))
        + chunk(b"acTL", struct.pack(">II", len(frames), 0))
    )
    for number, frame in enumerate(frames):
        pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in frame))
        start += chunk(
            b"fcTL", struct.pack(">I", max(0, 2 * number - 1)) + size + bytes(8) + struct.pack(">HH", 1, 25) + bytes(2)
        )
        start += chunk(b"fdAT", struct.pack(">I", 2 * number) + pixels) if number else chunk(b"IDAT", pixels)
    return start + chunk(b"IEND", b"")


def animated_webp(frames):
    """The bytes of an animated WebP."""
    image = pytest.importorskip("PIL.Image", reason="only Pillow makes these here")
    stream = io.BytesIO()
    first, *others = map(image.fromarray, frames)
    first.save(stream, "WEBP", save_all=True, append_images=others, lossless=True)
    return stream.getvalue()


def tiff(array, **options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """``folder(name, content)`` writes a frame beside one of the same size; return (the folder, the frame's path)."""
    monkeypatch.setattr(errors, "_said", set())
    monkeypatch.setattr(picture_files, "_transparent", set())

    def write(name, content):
        clip = tmp_path / "clip"
        clip.mkdir()
        cv2.imwrite(str(clip / "0000.png"), FRAMES[0])
        (clip / name).write_bytes(content)
        return clip, clip / name

    return write


@pytest.mark.parametrize(
    "name, make",
    [
        ("0001.png", animated_png),
        ("0001.webp", animated_webp),
        ("0001.tif", tiff),
        ("0001.png", tiff),
        ("0001.jpg", animated_png),
    ],
)
def test_one_of_several_images_is_never_taken_for_all(folder, name, make):
    """By itself and in a folder, by every reader: all of them, or none; its name does not decide what it is."""
    clip, path = folder(name, make(FRAMES))
    for read in (lambda: read_clip(clip, colour=True), lambda: FolderStore(clip).read(".", "0001")):
        with pytest.raises(UserError, match=rf"{name}: holds 5 images"):
            read()
    if name.endswith(".tif"):
        assert count_frames(path) == 5 and read_clip(path, colour=True).shape == (3, 5, 16, 20)
    else:
        with pytest.raises(UserError, match=rf"{name}: holds 5 images"):
            read_clip(path, colour=True)


@pytest.mark.parametrize("name, make", [("0001.png", animated_png), ("0001.webp", animated_webp), ("0001.tif", tiff)])
def test_an_animation_of_one_image_is_a_picture(folder, name, make):
    clip, _ = folder(name, make(FRAMES[1:2]))
    np.testing.assert_array_equal(list(stored_frames(clip))[1][1], FRAMES[1][..., ::-1])


def test_a_gif_called_a_picture_is_refused(folder):
    clip, _ = folder("0001.png", b"GIF89a" + bytes(20))
    with pytest.raises(UserError, match=r"0001.png: not a readable image \(it is a GIF"):
        read_clip(clip)


def one_directory(array):
    """The bytes of an ImageJ stack as programs write large ones: all images behind the directory of the first."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, imagej=True, metadata={"axes": "TYX"})
    content = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        place = file.pages[0].offset
    entries = struct.unpack_from("<H" if content[:2] == b"II" else ">H", content, place)[0]
    content[place + 2 + 12 * entries :][:4]
    content[place + 2 + 12 * entries : place + 6 + 12 * entries] = bytes(4)  # no directory follows
    return bytes(content)


def test_a_stack_behind_one_directory_is_refused(tmp_path, folder):
    path = tmp_path / "stack.tif"
    for content in (one_directory(GREY), tiff(GREY, metadata={"axes": "TYX"}, truncate=True, photometric="minisblack")):
        path.write_bytes(content)
        assert cv2.imcount(str(path)) == 1
        for read in (lambda: count_frames(path), lambda: read_clip(path)):
            with pytest.raises(UserError, match=r"stack.tif: is a stack of 5 images behind 1 of"):
                read()
    clip, _ = folder("0001.tif", one_directory(GREY))
    with pytest.raises(UserError, match="holds 5 images"):
        read_clip(clip)


def ome(array):
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, ome=True, metadata={"axes": "TCYX"}, photometric="minisblack")
    return stream.getvalue()


CHANNELS = np.stack([GREY, 255 - GREY], 1)  # (T, C, H, W)


@pytest.mark.parametrize(
    "content",
    [
        lambda: tiff(CHANNELS, imagej=True, metadata={"axes": "TCYX"}),
        lambda: tiff(CHANNELS, photometric="minisblack"),
        lambda: ome(CHANNELS),
    ],
)
def test_channels_are_no_frames(tmp_path, content):
    path = tmp_path / "stack.tif"
    path.write_bytes(content())
    with pytest.raises(UserError, match=r"stack.tif: is a stack of (5 x 2|2 x 5) images, of several channels"):
        count_frames(path)


@pytest.mark.parametrize("options", [{"imagej": True, "metadata": {"axes": "TYX"}}, {"ome": True}, {}, {"metadata": None}])
def test_stacks_of_frames_are_read_whole(tmp_path, options):
    path = tmp_path / "stack.tif"
    path.write_bytes(tiff(GREY, photometric="minisblack", **options))
    np.testing.assert_array_equal([page for _, page in stored_frames(path)], GREY)
    np.testing.assert_array_equal([page for _, page in stored_frames(path, 3)], GREY[3:])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_where_0_is_white_it_is_read_as_white(tmp_path, folder, kind):
    """By OpenCV 8 bits are, and 16 bits are a negative."""
    content = tiff(GREY.astype(kind) * (257 if kind == np.uint16 else 1), photometric="miniswhite")
    (tmp_path / "pages.tif").write_bytes(content)
    np.testing.assert_allclose(read_clip(tmp_path / "pages.tif"), 1 - GREY / np.float32(255), atol=1e-6)
    one = tiff(GREY[0].astype(kind) * (257 if kind == np.uint16 else 1), photometric="miniswhite")
    clip, _ = folder("0001.tif", one)
    np.testing.assert_allclose(read_clip(clip)[1], 1 - GREY[0] / np.float32(255), atol=1e-6)
    np.testing.assert_array_equal(FolderStore(clip).read(".", "0001")[..., 0], 255 - GREY[0])


def transparent(suffix, opacity):
    image = np.dstack([FRAMES[1], np.full((16, 20), opacity, np.uint8)])
    return cv2.imencode(suffix, image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_left_out_is_said_once(folder, suffix, capsys):
    clip, path = folder(f"0001{suffix}", transparent(suffix, 200))
    (clip / f"0002{suffix}").write_bytes(transparent(suffix, 100))
    for _ in range(2):
        frames = list(stored_frames(clip))
    np.testing.assert_array_equal(frames[1][1], FRAMES[1])
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{path}: is partly transparent" in said and str(clip) in said
    if suffix == ".tif":
        np.testing.assert_array_equal(
            read_clip(path, colour=True)[:, 0], FRAMES[1][..., ::-1].transpose(2, 0, 1) / np.float32(255)
        )
        assert f"{path}: is partly transparent" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_what_is_opaque_is_not_spoken_of(folder, suffix, capsys):
    clip, _ = folder(f"0001{suffix}", transparent(suffix, 255))
    list(stored_frames(clip))
    assert not capsys.readouterr().err
