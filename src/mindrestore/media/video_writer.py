"""Videos written: coded, timed and tagged as they should be, with the sound of another, and read again before they count."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

from mindrestore.data.ahead import ahead
from mindrestore.data.video_colour import BT709, Colour, planes_of
from mindrestore.data.video_file import Times, VideoReader
from mindrestore.errors import UserError
from mindrestore.files import PathLike, cannot_be_written, replacing, synced
from mindrestore.media.carried import UNTIMED, Carried
from mindrestore.media.pixels import in_8_bits, in_16_bits, in_colour

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi"}


class Codec(NamedTuple):
    """A codec: its encoder, that encoder's options, by depth of samples its pixel format, and whether a quality is chosen."""

    encoder: str
    options: dict[str, str]
    formats: dict[int, str]
    lossy: bool = True


CODECS = {
    "h264": Codec("libx264", {"preset": "medium"}, {8: "yuv420p", 10: "yuv420p10le"}),
    "h265": Codec("libx265", {"preset": "medium", "x265-params": "log-level=none"}, {8: "yuv420p", 10: "yuv420p10le"}),
    "ffv1": Codec("ffv1", {"level": "3", "slicecrc": "1"}, {8: "bgr0", 16: "gbrp16le"}, lossy=False),
}
USUAL_CRF = 18
X265_BLOCK = 64  # pixels: looking ahead at smaller pictures, of 48 x 32 for one, x265 writes beyond its memory
FEWEST_REORDERED = 3  # frames, of which one may be coded after a later one
HIGHEST_CRF = 51


@dataclass(frozen=True)
class VideoSettings:
    """How a video is written.

    Attributes:
        codec: one of ``CODECS``.
        crf: constant rate factor of the lossy ones, 0–51: lower is better and larger. None: 18.
        deep: keep more than 8 bits, 10 in H.264 and H.265 and 16 in FFV1.
        colour: what samples mean; FFV1 stores R'G'B' itself.
        pixel_aspect: width of a pixel over its height.
        times: when frames are shown, None for a steady rate.
        source: path of the video that sound, subtitles, chapters and titles are copied from.
        span: (begin, end) in seconds of the part of the source that is copied, without chapters; None: all of it.
    """

    codec: str = "h264"
    crf: int | None = None
    deep: bool = False
    colour: Colour = BT709
    pixel_aspect: Fraction = Fraction(1)
    times: Times | None = None
    source: Path | None = None
    span: tuple[Fraction, Fraction] | None = None

    @property
    def bits(self) -> int:
        """Of a stored sample."""
        return (max if self.deep else min)(CODECS[self.codec].formats)

    def stored_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) at which frames are kept: even, where chroma is halved."""
        return (height + height % 2, width + width % 2) if CODECS[self.codec].lossy else (height, width)


def check_video(path: PathLike, settings: VideoSettings, height: int, width: int) -> None:
    """Raise ``UserError`` if no video of such frames can be written to ``path``, before anything is computed: an option that
    cannot be, a codec that this build lacks or the container cannot hold, a size that the encoder does not take.
    """
    path, codec = Path(path), CODECS[settings.codec]
    if settings.crf is not None and not codec.lossy:
        raise UserError(f"--crf {settings.crf}: {settings.codec} loses nothing and takes no quality; leave it away.")
    if settings.crf is not None and not 0 <= settings.crf <= HIGHEST_CRF:
        raise UserError(f"--crf {settings.crf}: it must be 0 to {HIGHEST_CRF}; 18 is hard to tell from the original.")
    if not has_encoder(codec):
        raise UserError(
            f"--codec {settings.codec}: this build of PyAV has no {codec.encoder}; name another of "
            f"{', '.join(CODECS)}, or install PyAV's own wheel."
        )
    encoder = av.Codec(codec.encoder, "w")
    format_name = codec.formats[settings.bits]
    if format_name not in [each.name for each in encoder.video_formats or ()]:
        raise UserError(
            f"--codec {settings.codec}: this build's {codec.encoder} has no {format_name}, which {settings.bits} "
            f"bits need; name another of {', '.join(CODECS)}."
        )
    container = CONTAINERS[path.suffix.lower()]
    with av.open(io.BytesIO(), "w", format=container) as trial:
        if encoder.canonical_name not in trial.supported_codecs:
            raise UserError(f"--codec {settings.codec}: a {path.suffix} file cannot hold it; name a .mkv, or another codec.")
    try:
        writer = VideoWriter(io.BytesIO(), container, settings, Times.steady(25), *settings.stored_size(height, width))
        try:
            writer.begin()
        finally:
            writer.abandon()
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path}: {codec.encoder} cannot write a video of {width} x {height} pixels here ({reason}); name a "
            "folder of frames, or another --codec."
        ) from error


def has_encoder(codec: Codec) -> bool:
    """Whether this build of PyAV can write a codec."""
    try:
        return bool(av.Codec(codec.encoder, "w"))
    except av.codec.codec.UnknownCodecError:
        return False


def write_video(path: PathLike, images: Iterable[np.ndarray], rate: float, settings: VideoSettings | None = None) -> list[str]:
    """Write a video, and read it again before it takes the place of what ``path`` held.

    Args:
        path: of the file, which ends as one of ``CONTAINERS``.
        images: iterable of grey (H, W) or BGR (H, W, 3) images, uint8 or uint16, all of one size. Where chroma is halved the
            last row or column of an odd size is repeated.
        rate: frames a second, where ``settings`` say no times.
        settings: ``VideoSettings``; by default H.264 of 8 bits.

    Returns:
        Sentences that say what was copied from the source and what could not be kept.

    Raises:
        UserError: the video cannot be written, such as to a full disk, or does not read as it was written.
    """
    path, settings = Path(path), settings or VideoSettings()
    container, (times, notes) = CONTAINERS[path.suffix.lower()], times_kept(path, settings, rate)
    count = 0
    with replacing(path) as scratch, contextlib.ExitStack() as stack:
        writer = None
        for image in stack.enter_context(contextlib.closing(ahead(images))):
            image = _padded(in_colour(in_16_bits(image) if settings.deep else in_8_bits(image)), settings)
            with errors_of(path):
                if writer is None:
                    writer = VideoWriter(f"file:{scratch}", container, settings, times, *image.shape[:2])
                    stack.callback(writer.abandon)
                writer.write(image)
            count += 1
        if writer is None:
            raise UserError(f"{path}: there are no frames to write.")
        with errors_of(path):
            writer.close()
            synced(scratch)
        check_written(path, scratch, count, image.shape[:2])
        notes += writer.notes
    return notes


def times_kept(path: Path, settings: VideoSettings, rate: float) -> tuple[Times, list[str]]:
    """Return (when frames are shown in a video called ``path``, sentences about times that it does not keep)."""
    times = settings.times or Times.steady(rate)
    if CONTAINERS[path.suffix.lower()] not in UNTIMED:
        return times, []
    notes = []
    if not times.is_steady or times.begin(0):
        notes.append(
            f"A {path.suffix} file holds one rate, from the start: the input's own times are not kept; .mp4 and .mkv keep them."
        )
    return Times.steady(times.rate), notes


def _padded(image: np.ndarray, settings: VideoSettings) -> np.ndarray:
    height, width = settings.stored_size(*image.shape[:2])
    return np.pad(image, [(0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)], mode="edge")


@contextlib.contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """What encoder, muxer and file system refuse, as one sentence about ``path``."""
    try:
        yield
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise cannot_be_written(path, error) from error


def check_written(path: Path, scratch: Path, count: int, size: tuple[int, int]) -> None:
    """Decode what was written; ``UserError`` unless it holds as many frames as it should, of the size that it should."""
    try:
        reader = VideoReader(scratch)
        contents = reader.contents()
    except UserError as error:
        raise UserError(
            f"{path}: what was written cannot be read again ({error}); look for free space on its disk, or name "
            "another --codec."
        ) from error
    if (contents.count, contents.expected, reader.height, reader.width) != (count, count, *size):
        raise UserError(
            f"{path}: what was written holds {contents.count} frames of {reader.width} x {reader.height} where it "
            f"should hold {count} of {size[1]} x {size[0]}; look for free space on its disk, or name another "
            "--codec."
        )


class VideoWriter:
    """A video that is being written.

    Args:
        place: address of the file, or a file object.
        container: name of its format, one of the values of ``CONTAINERS``.
        settings: ``VideoSettings``.
        times: when frames are shown.
        height, width: of the images.

    Raises:
        av.error.FFmpegError, ValueError: encoder or muxer refuse; of all methods.
    """

    def __init__(
        self, place: str | io.BytesIO, container: str, settings: VideoSettings, times: Times, height: int, width: int
    ) -> None:
        self._codec, self._times, self._bits = CODECS[settings.codec], times, settings.bits
        self._count, self._lengths = 0, {}  # of frames by the tick at which they begin
        options = {"movflags": "+faststart"} if container in ("mp4", "mov") and isinstance(place, str) else {}
        self._file = av.open(place, "w", format=container, container_options=options)
        self._colour = settings.colour.coded() if self._codec.lossy else settings.colour.plain()
        self._stream = self._add_stream(settings, container, height, width)
        self._carried = Carried(settings.source, self._file, container, settings.span) if settings.source else None

    @property
    def notes(self) -> list[str]:
        """Sentences, as ``write_video`` returns them; known after ``close``."""
        return self._carried.notes if self._carried else []

    def begin(self) -> None:
        """Open the encoder and write the file's header."""
        self._file.start_encoding()

    def write(self, image: np.ndarray) -> None:
        """Write the next frame, BGR (H, W, 3), uint8 or, of a deep video, uint16."""
        frame = av.VideoFrame(self._stream.width, self._stream.height, self._codec.formats[self._bits])
        _fill(frame, image, self._colour, self._bits)
        frame.colorspace, frame.color_range = self._colour.matrix, 2 if self._colour.full else 1
        frame.pts, frame.time_base = self._times.begin(self._count), self._times.base
        self._lengths[frame.pts] = self._times.length(self._count)
        self._count += 1
        self._mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder holds, the rest of what is copied, and the file's end."""
        self._mux(self._stream.encode(None))
        if self._carried:
            self._carried.finish()
        file, self._file = self._file, None
        if self._carried:
            self._carried.close()
        file.close()

    def abandon(self) -> None:
        """Close a file that will not be whole; of a closed one nothing."""
        if self._file is not None:
            file, self._file = self._file, None
            if self._carried:
                self._carried.close()
            with contextlib.suppress(av.error.FFmpegError, OSError, ValueError):  # the error that led here is raised
                file.close()

    def _add_stream(self, settings: VideoSettings, container: str, height: int, width: int) -> av.VideoStream:
        options = dict(self._codec.options)
        if self._codec.lossy:
            options["crf"] = str(USUAL_CRF if settings.crf is None else settings.crf)
        if settings.codec == "h265" and min(height, width) < X265_BLOCK:
            options["x265-params"] += ":rc-lookahead=0:bframes=0"
        if container in UNTIMED:
            options["bf"] = "0"  # times are not stored, so frames cannot be stored out of order
        stream = self._file.add_stream(self._codec.encoder, rate=self._times.rate.limit_denominator(10**6), options=options)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, self._codec.formats[self._bits]
        context.time_base = stream.time_base = self._times.base
        context.sample_aspect_ratio = settings.pixel_aspect.limit_denominator(10**4)
        context.colorspace, context.color_range = self._colour.matrix, 2 if self._colour.full else 1
        context.color_primaries, context.color_trc = self._colour.primaries, self._colour.transfer
        if settings.codec == "h265" and container in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # the one of two that players of Apple's take
        return stream

    def _mux(self, packets: Iterable[av.Packet]) -> None:
        for packet in packets:
            if self._count < FEWEST_REORDERED:  # x265 makes up when to decode what is fewer than it holds back
                packet.dts = packet.pts
            if self._carried:
                self._carried.copy_until(packet.dts * packet.time_base)
            packet.duration = self._lengths.pop(packet.pts)
            self._file.mux(packet)


def _fill(frame: av.VideoFrame, image: np.ndarray, colour: Colour, bits: int) -> None:
    """Write a BGR image into the planes of a frame."""
    kind = np.dtype(np.uint8 if bits == 8 else np.uint16)
    rows = [np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize) for plane in frame.planes]
    height, width = image.shape[:2]
    if frame.format.name == "bgr0":
        rows[0][:, : 4 * width].reshape(height, width, 4)[..., :3] = image
    else:
        planes = planes_of(image, colour, bits) if frame.format.name.startswith("yuv") else (image[..., n] for n in (1, 0, 2))
        for row, plane in zip(rows, planes):
            row[:, : plane.shape[1]] = plane
