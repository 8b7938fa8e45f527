"""Video files: what one says of itself, and its frames, upright, converted by the matrix that it names, each with its time."""

from __future__ import annotations

import collections
import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from mindrestore.data.video_colour import RGB, UNSPECIFIED, WEIGHTS, Colour, bgr_of, usual_matrix
from mindrestore.errors import UserError

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,gif,apng,ogg,mxf,nut,ivf,dv,wtv,rm,"
    "h264,hevc,av1,obu,m4v,mjpeg,yuv4mpegpipe"
)
"""The formats that are read: none that names other files or addresses, as playlists do."""
LOCAL = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
CLOCKS = ("mpegts", "mpeg")  # broadcast formats, whose clock starts anywhere
READ_FAILURES = 100  # in a row, after which a file is given up
SLOWEST, FASTEST = Fraction(1, 100), 1000  # frames a second; a header that says less or more says nothing
USUAL_RATE = Fraction(25)
SLACK = Fraction(1, 2)  # seconds that data may end before what a header announces
FULL = 2  # AVCOL_RANGE_JPEG
DEPTHS = (8, 9, 10, 12, 14, 16)  # of the planar formats

_warned = set()  # paths of damaged files that were spoken of, once a process


@dataclass(frozen=True)
class Times:
    """When the frames of a video are shown.

    Attributes:
        base: seconds a tick.
        rate: frames a second, on average.
        ticks: at which each frame begins; None: frame n at tick n.
        end: tick at which the last frame ends; None: one tick after it began.
    """

    base: Fraction
    rate: Fraction
    ticks: tuple[int, ...] | None = None
    end: int | None = None

    @classmethod
    def steady(cls, rate: float) -> Times:
        """Of ``rate`` frames a second, without an end."""
        exact = Fraction(rate)
        exact = exact.limit_denominator(1001) if exact >= 1 else 1 / (1 / exact).limit_denominator(1001)
        return cls(1 / exact, exact)

    def begin(self, number: int) -> int:
        return number if self.ticks is None else self.ticks[number]

    def length(self, number: int) -> int:
        if self.ticks is None:
            return 1
        return (self.ticks[number + 1] if number + 1 < len(self.ticks) else self.end) - self.ticks[number]

    @property
    def is_steady(self) -> bool:
        """Whether frames follow each other at one rate, but for rounding to ticks."""
        if self.ticks is None:
            return True
        first, (step, parts) = self.ticks[0], (1 / (self.rate * self.base)).as_integer_ratio()
        return all(abs((tick - first) * parts - number * step) <= parts for number, tick in enumerate(self.ticks))

    def at_true_rate(self, rates: Sequence[Fraction]) -> Times:
        """With the first of ``rates`` that they are steady at, such as a header names, or with that from the first frame to the
        last; where they are not steady with their mean.
        """
        if len(self.ticks) > 1:
            rates = [*rates, (len(self.ticks) - 1) / ((self.ticks[-1] - self.ticks[0]) * self.base)]
        fitting = (replace(self, rate=rate) for rate in rates)
        mean = len(self.ticks) / ((self.end - self.ticks[0]) * self.base)
        return next((times for times in fitting if times.is_steady), replace(self, rate=mean))

    def part(self, first: int, count: int) -> Times:
        """Of ``count`` frames from number ``first`` on, the first of them at 0."""
        if self.ticks is None:
            return self
        begin, after = self.ticks[first], self.begin(first + count) if first + count < len(self.ticks) else self.end
        return replace(self, ticks=tuple(tick - begin for tick in self.ticks[first : first + count]), end=after - begin)

    def doubled(self) -> Times:
        """With one more frame in the middle between any two."""
        if self.ticks is None:
            return Times(self.base / 2, 2 * self.rate)
        ticks = [2 * self.ticks[0]]
        for before, after in zip(self.ticks, self.ticks[1:]):
            ticks += [before + after, 2 * after]
        last = 2 * self.end - ticks[-1]
        return Times(self.base / 2, 2 * self.rate, tuple(ticks), ticks[-1] + max(1, last // 2))


@dataclass(frozen=True)
class Contents:
    """What decoding a video from end to end gave.

    Attributes:
        count: frames that can be decoded.
        expected: frames that the file announces, where it announces more than there are; otherwise ``count``.
        times: of those there are.
        streams: (type, codec) of what is in the file beside its pictures, such as ``("audio", "aac")``.
    """

    count: int
    expected: int
    times: Times
    streams: tuple[tuple[str, str], ...] = ()


@dataclass
class _Tally:
    """What was met on the way through a file."""

    failures: int = 0  # packets that cannot be read or decoded
    unshown: int = 0  # packets that are not meant to be shown, or to repeat the frame before
    reached: Fraction = Fraction(0)  # seconds, where the last packet ends
    first: int | None = None  # tick at which the first packet of the pictures is decoded


class VideoReader:
    """A video file.

    Args:
        path: of the file.

    Attributes:
        height, width: of its frames, upright.
        bits: of its samples, 8 to 16.
        colour: ``Colour`` of its samples; where a file does not name its matrix, what players take it for.
        pixel_aspect: width of a pixel over its height, upright.
        turned: whether frames are stored otherwise than they are shown; they are read as shown.
        rate: frames a second by the header, None where it says none.

    Raises:
        UserError: no frame can be read, or its colours are of a kind that is not converted here.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._contents: Contents | None = None
        with self._opened() as (container, stream):
            frame = next(_decoded_frames(container, stream, _Tally()), None)
            if frame is None:
                raise self._no_frames()
            self._turn = _turn(frame)
            context = stream.codec_context
            self.colour = _colour(frame, context, self.path)
            self.bits = min(16, max(8, frame.format.components[0].bits))
            self.height, self.width = (frame.width, frame.height) if self._turn.transposes else (frame.height, frame.width)
            aspect = Fraction(stream.sample_aspect_ratio or context.sample_aspect_ratio or 1) or Fraction(1)
            self.pixel_aspect = 1 / aspect if self._turn.transposes else aspect
            self.turned = self._turn != Turn()
            rates = (stream.average_rate, stream.base_rate, stream.guessed_rate)
            self._rates = [Fraction(rate) for rate in rates if rate and SLOWEST <= rate <= FASTEST]
            self.rate = self._rates[0] if self._rates else None

    def images(self, first: int = 0) -> Iterator[np.ndarray]:
        """Iterate over the frames from number ``first`` on, BGR (H, W, 3), uint8, or uint16 where samples have more bits.

        Raises ``UserError`` on the way for a frame of another size than the first.
        """
        for number, frame in enumerate(self._frames()):
            if number >= first:
                yield self._turn.applied(_image(frame, self.colour, self.bits))

    def contents(self) -> Contents:
        """Say what the video holds; it is decoded from end to end for that, because headers err, unless ``images`` has been.

        Raises ``UserError`` as ``images`` does.
        """
        if self._contents is None:
            collections.deque(self._frames(), maxlen=0)
        return self._contents

    def _frames(self) -> Iterator[av.VideoFrame]:
        """The frames as they are stored; at their end ``_contents`` is known."""
        tally, ticks = _Tally(), []
        with self._opened() as (container, stream):
            announced = _Announced.by(container, stream)
            rate, base = self.rate or USUAL_RATE, stream.time_base
            start = Fraction(container.start_time or 0, av.time_base) if container.format.name in CLOCKS else Fraction(0)
            step = last = max(1, round(1 / (rate * base)))
            for number, frame in enumerate(_decoded_frames(container, stream, tally)):
                self._check_size(frame, number)
                tick = None if frame.pts is None else frame.pts - round(start / base)
                if tick is None or ticks and tick <= ticks[-1]:
                    tick = ticks[-1] + step if ticks else 0
                ticks.append(tick)
                last = frame.duration or step
                yield frame
            streams = tuple((each.type, _codec_name(each)) for each in container.streams if each.index != stream.index)
        count = len(ticks)
        if not count:
            raise self._no_frames()
        if not announced.counts:  # an AVI stores no times, so the decoder's delay is added to them all
            ticks = [tick - ticks[0] + (tally.first or 0) for tick in ticks]
        times = Times(base, rate, tuple(ticks), ticks[-1] + last).at_true_rate(self._rates)
        if not SLOWEST <= times.rate <= FASTEST:
            times = Times.steady(rate)
        expected = announced.expected(count, times.rate, tally, tally.reached - start)
        self._contents = Contents(count, max(count, expected), times, streams)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
        with opened(self.path) as container:
            stream = pictures_of(container)
            if stream is None:
                raise self._no_frames()
            if stream.codec_context is None:
                raise UserError(
                    f"{self.path}: its video is of a codec that this build of PyAV cannot decode; convert it to "
                    "H.264, or give a folder of frames."
                )
            yield container, stream

    def _no_frames(self) -> UserError:
        return not_read(self.path, "none can be decoded")

    def _check_size(self, frame: av.VideoFrame, number: int) -> None:
        size = (frame.width, frame.height) if self._turn.transposes else (frame.height, frame.width)
        if size != (self.height, self.width):
            raise UserError(
                f"{self.path}: frame {number} has {size[1]} x {size[0]} pixels, the ones before it {self.width} x "
                f"{self.height}; all frames of a clip must have one size."
            )


def opened(path: Path) -> av.container.InputContainer:
    """Open a video file for reading; no other file and no address is read, whatever it names. ``UserError`` if it is none."""
    try:
        return av.open(f"file:{path}", container_options=LOCAL, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise not_read(path, getattr(error, "strerror", None) or error) from error


def pictures_of(container: av.container.InputContainer) -> av.VideoStream | None:
    """The stream that is a file's video: its first one that is no cover of sound; None if there is none."""
    return next((stream for stream in container.streams.video if Disposition.attached_pic not in stream.disposition), None)


def not_read(path: Path, reason: object) -> UserError:
    """What to raise of a file that is no video that can be read here."""
    return UserError(
        f"{path}: no video frames can be read ({reason}); expected a video file that FFmpeg decodes, or a folder of images."
    )


def warn_of_damage(path: Path, contents: Contents) -> None:
    """Say once on stderr that a video holds fewer frames than it announces, if it does."""
    if contents.expected > contents.count and path not in _warned:
        _warned.add(path)
        print(f"mindrestore: warning: {damage(path, contents)}", file=sys.stderr)


def damage(path: Path, contents: Contents) -> str:
    """Return a sentence with both counts of a damaged video."""
    return (
        f"{path}: is damaged: {contents.expected} frames expected, {contents.count} decoded; the others are missing in "
        "what was made of it."
    )


@dataclass(frozen=True)
class Turn:
    """From frames as they are stored to frames as they are shown: first transposed, then mirrored."""

    transposes: bool = False
    mirrors_columns: bool = False
    mirrors_rows: bool = False

    def applied(self, image: np.ndarray) -> np.ndarray:
        """An image (H, W, 3) as it is shown."""
        image = image.swapaxes(0, 1) if self.transposes else image
        image = image[:, ::-1] if self.mirrors_columns else image
        return np.ascontiguousarray(image[::-1] if self.mirrors_rows else image)


def _turn(frame: av.VideoFrame) -> Turn:
    """What the display matrix of a frame asks for, to the next quarter of a turn."""
    stored = next((data for data in frame.side_data if data.type.name == "DISPLAYMATRIX"), None)
    if stored is None:
        return Turn()
    a, b, _, c, d, *_ = np.frombuffer(stored, np.int32)[:9].tolist()  # x' = a x + c y, y' = b x + d y
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, a < 0, d < 0)
    return Turn(True, c < 0, b < 0)


def _packets(container: av.container.InputContainer, tally: _Tally) -> Iterator[av.Packet]:
    """The packets of all streams to the end of the file: a failure to read one is counted, and reading goes on behind it."""
    row = 0
    while row < READ_FAILURES:
        try:
            for packet in container.demux():
                row = 0
                yield packet
            return
        except av.error.FFmpegError:
            tally.failures += 1
            row += 1


def _decoded_frames(container: av.container.InputContainer, stream: av.VideoStream, tally: _Tally) -> Iterator[av.VideoFrame]:
    """What can be decoded, in the order in which it is shown."""
    for packet in _packets(container, tally):
        moment = packet.pts if packet.dts is None else packet.dts
        if moment is not None:
            tally.reached = max(tally.reached, (moment + (packet.duration or 0)) * packet.time_base)
        if packet.stream_index != stream.index:
            continue
        if not packet.size:
            tally.unshown += packet.dts is not None
            continue
        tally.unshown += packet.is_discard
        if tally.first is None:
            tally.first = packet.dts
        yield from _decoded(stream, packet, tally)
    yield from _decoded(stream, None, tally)


def _decoded(stream: av.VideoStream, packet: av.Packet | None, tally: _Tally) -> list[av.VideoFrame]:
    try:
        return stream.codec_context.decode(packet)
    except EOFError:
        return []
    except av.error.FFmpegError:
        tally.failures += 1
        return []


@dataclass(frozen=True)
class _Announced:
    """What a file announces before its frames are read.

    Attributes:
        frames: their count, 0 where nothing says it.
        until: seconds at which the data of all streams, of an AVI those of the pictures, should have ended.
        counts: whether ``frames`` is what there should be, and not, as of an AVI, what its index, if it is there, names: its
            header counts empty chunks too, which repeat the frame before.
    """

    frames: int = 0
    until: Fraction = Fraction(0)
    counts: bool = True

    @classmethod
    def by(cls, container: av.container.InputContainer, stream: av.VideoStream) -> _Announced:
        frames = stream.frames
        entries = getattr(stream, "index_entries", None)  # PyAV 17 has them
        if frames and container.format.name == "avi":
            return cls(sum(entry.size > 0 for entry in entries or ()), (stream.duration or 0) * stream.time_base, counts=False)
        if frames and entries is not None and container.format.name.startswith("mov"):
            frames = min(frames, len(entries))  # without what an edit list cuts off
        end = (container.duration or 0) + min(0, container.start_time or 0)
        return cls(frames, Fraction(end, av.time_base))

    def expected(self, count: int, rate: Fraction, tally: _Tally, reached: Fraction) -> int:
        """How many frames there should be, where ``count`` were decoded and the data ended at ``reached`` seconds."""
        missing = self.until - reached
        if not self.counts:
            return max(self.frames, count + tally.failures + round(missing * rate))
        if self.frames:
            return self.frames - tally.unshown
        return count + (round(missing * rate) if missing > SLACK else tally.failures)


def _codec_name(stream: av.stream.Stream) -> str:
    return stream.codec_context.name if stream.codec_context else "unknown"


def _colour(frame: av.VideoFrame, context: av.VideoCodecContext, path: Path) -> Colour:
    """Read what a video says of its colours; take for granted what it does not say."""
    name, grey = frame.format.name, len(frame.format.components) < 3
    matrix = context.colorspace if context.colorspace != UNSPECIFIED else int(frame.colorspace)
    primaries, transfer = int(context.color_primaries), int(context.color_trc)
    if frame.format.is_rgb or frame.format.has_palette:
        return Colour(RGB, True, primaries, transfer)
    spoken = int(frame.color_range) or int(context.color_range)
    full = name.startswith("yuvj") or spoken == FULL or (grey and not spoken)
    if matrix in (UNSPECIFIED, RGB, 3):  # 3 is reserved
        matrix = usual_matrix(frame.height)
    if matrix not in WEIGHTS:
        raise UserError(
            f"{path}: its colours are coded by matrix {matrix} of ITU-T H.273, which is not converted here; "
            "convert it to BT.709 first."
        )
    return Colour(int(matrix), full, primaries, transfer)


def _image(frame: av.VideoFrame, colour: Colour, bits: int) -> np.ndarray:
    """A frame as it is stored -> BGR (H, W, 3)."""
    samples = next((depth for depth in DEPTHS if depth >= frame.format.components[0].bits), 16)
    ending = "" if samples == 8 else f"{samples}le"
    if frame.format.is_rgb or frame.format.has_palette:
        if samples == 8:
            return _planes(_formatted(frame, "bgr24", colour), 8, 3)[0]
        green, blue, red = _planes(_formatted(frame, f"gbrp{ending}", colour), samples)
        return _stored(np.stack((blue, green, red), -1), samples, bits)
    if len(frame.format.components) < 3:
        luma = _planes(_formatted(frame, f"gray{ending}", colour), samples)[0]
        grey = np.full_like(luma, 2 ** (samples - 1))
        return _stored(bgr_of(luma, (grey, grey), colour, samples), 8 if samples == 8 else 16, bits)
    wide, high = (
        (frame.width + 1) // 2 == frame.format.chroma_width(frame.width),
        ((frame.height + 1) // 2 == frame.format.chroma_height(frame.height)),
    )
    sampling = {(True, True): "420", (True, False): "422"}.get((wide, high), "444")
    luma, *chroma = _planes(_formatted(frame, f"yuv{sampling}p{ending}", colour), samples)
    return _stored(bgr_of(luma, tuple(chroma), colour, samples), 8 if samples == 8 else 16, bits)


def _formatted(frame: av.VideoFrame, name: str, colour: Colour) -> av.VideoFrame:
    """A frame in a format that holds the same samples plane by plane."""
    if frame.format.name.replace("yuvj", "yuv") == name:
        return frame
    spoken = FULL if colour.full else 1
    return frame.reformat(format=name, src_color_range=spoken, dst_color_range=spoken)


def _planes(frame: av.VideoFrame, samples: int, channels: int = 1) -> list[np.ndarray]:
    """The planes of a frame as arrays, (h, w) or packed (h, w, channels)."""
    planes, kind = [], np.dtype(np.uint8 if samples == 8 else np.uint16)
    for plane in frame.planes:
        rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)[:, : channels * plane.width]
        planes.append(rows if channels == 1 else rows.reshape(plane.height, plane.width, channels))
    return planes


def _stored(image: np.ndarray, samples: int, bits: int) -> np.ndarray:
    """An image of ``samples`` bits as a video of ``bits`` stores its frames: of 8 bits, or of 16 with white at 65535."""
    white, wanted = 2**samples - 1, 255 if bits == 8 else 65535
    if white == wanted:
        return image
    return np.rint(image * (wanted / white)).astype(np.uint8 if bits == 8 else np.uint16)
