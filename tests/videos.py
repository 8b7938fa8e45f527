"""Videos that tests make with PyAV, sample by sample, and what they hold, read without the package's own reader."""

import struct
from fractions import Fraction

import av
import numpy as np

RATE = 25
LOSSLESS = {"libx264": {"qp": "0", "preset": "ultrafast"}, "ffv1": {}, "utvideo": {}, "mjpeg": {}}
WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}  # of red and blue, by matrix, ITU-T H.273
QUARTERS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0), "mirrored": (-1, 0, 0, 1)}
"""Display matrices (a, b, c, d): x' = a x + c y, y' = b x + d y; 90 turns clockwise."""


def bars(height=96, width=128):
    """Eight bars of R'G'B' 0-1 over a grey ramp: (H, W, 3)."""
    image = np.zeros((height, width, 3))
    for number in range(8):
        colour = [0.75 * (number & 1), 0.75 * (number >> 1 & 1), 0.75 * (number >> 2 & 1)]
        image[: height // 2, number * width // 8 : (number + 1) * width // 8] = colour
    image[height // 2 :] = np.linspace(0, 1, width // 2).repeat(2)[None, :, None]
    return image


def samples_of(rgb, matrix, full, bits=8):
    """Y'CbCr planes of 4:4:4 of an image of R'G'B' 0-1, by the equations of H.273."""
    red, blue = WEIGHTS[matrix]
    luma = rgb @ [red, 1 - red - blue, blue]
    cb, cr = (rgb[..., 2] - luma) / (2 * (1 - blue)), (rgb[..., 0] - luma) / (2 * (1 - red))
    step, white = 2 ** (bits - 8), 2**bits - 1
    planes = (
        [white * luma, white * cb + 128 * step, white * cr + 128 * step]
        if full
        else [step * (219 * luma + 16), step * (224 * cb + 128), step * (224 * cr + 128)]
    )
    return [np.rint(np.clip(plane, 0, white)).astype(np.uint8 if bits == 8 else np.uint16) for plane in planes]


def rgb_of(planes, matrix, full, bits=8):
    """R'G'B' 0-1 of Y'CbCr planes of 4:4:4, by the equations of H.273."""
    luma, cb, cr = (plane.astype(float) for plane in planes)
    step, white = 2 ** (bits - 8), 2**bits - 1
    if full:
        luma, cb, cr = luma / white, (cb - 128 * step) / white, (cr - 128 * step) / white
    else:
        luma, cb, cr = (luma / step - 16) / 219, (cb / step - 128) / 224, (cr / step - 128) / 224
    red, blue = WEIGHTS[matrix]
    r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
    return np.clip(np.stack([r, (luma - red * r - blue * b) / (1 - red - blue), b], -1), 0, 1)


def halved(planes):
    """4:2:0 of 4:4:4 planes whose chroma is constant over blocks of two."""
    return [planes[0], *(plane[::2, ::2] for plane in planes[1:])]


def rows_of(plane, kind):
    return np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // np.dtype(kind).itemsize)


def planes_in(frame, bits=8):
    """The planes of a decoded frame."""
    return [rows_of(plane, np.uint8 if bits == 8 else np.uint16)[:, : plane.width].copy() for plane in frame.planes]


def make_video(
    path,
    frames,
    form="yuv444p",
    codec="libx264",
    ticks=None,
    base=Fraction(1, 12800),
    matrix=2,
    full=None,
    primaries=2,
    transfer=2,
    aspect=1,
    sound=False,
    delay=0,
    subtitles=False,
    title=None,
    chapters=None,
    container=None,
    options=None,
):
    """Write a video without loss.

    Args:
        frames: for each frame a list of planes in ``form``.
        ticks: at which frames begin, in units of ``base``; by default ``RATE`` a second.
        matrix, full, primaries, transfer: what the video says of its colours; 2 and None: nothing.
        sound: whether a second of AAC is added, or with ``"empty"`` a stream that holds nothing; ``delay`` seconds after the
            sound the pictures begin.
        subtitles: whether a line of SubRip is added (Matroska).
    """
    frames = list(frames)
    height, width = frames[0][0].shape
    base = Fraction(1, RATE) if str(path).endswith(".avi") else base  # it holds no other times
    ticks = [round(number / (RATE * base)) for number in range(len(frames))] if ticks is None else ticks
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=RATE, options=options or LOSSLESS[codec])
        context = stream.codec_context
        context.width, context.height, context.pix_fmt, context.time_base = width, height, form, base
        context.colorspace, context.color_primaries, context.color_trc = matrix, primaries, transfer
        context.sample_aspect_ratio = Fraction(aspect)
        if full is not None:
            context.color_range = 2 if full else 1
        if title:
            file.metadata["title"] = title
        audio = file.add_stream("aac", rate=44100) if sound else None
        words = _subtitles(path.with_suffix(".srt")) if subtitles else None
        spoken = file.add_stream_from_template(words.streams[0]) if words else None
        if chapters:
            file.set_chapters(chapters)
        for tick, planes in zip(ticks, frames):
            frame = av.VideoFrame(width, height, form)
            for plane, values in zip(frame.planes, planes):
                rows_of(plane, values.dtype)[:, : values.shape[1]] = values
            frame.colorspace, frame.color_range = matrix, {None: 0, False: 1, True: 2}[full]
            frame.pts, frame.time_base = tick + round(delay / base), base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if words:
            for packet in words.demux():
                if packet.size:
                    packet.stream = spoken
                    file.mux(packet)
            words.close()
        if audio and sound != "empty":
            tone = (8000 * np.sin(np.arange(44100) * 0.06)).astype(np.int16)
            for start in range(0, 43 * 1024, 1024):
                samples = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], "s16", "mono")
                samples.sample_rate, samples.pts, samples.time_base = 44100, start, Fraction(1, 44100)
                file.mux(audio.encode(samples))
            file.mux(audio.encode(None))
    return path


def _subtitles(path):
    path.write_text("1\n00:00:00,100 --> 00:00:00,400\na line\n")
    return av.open(str(path))


def grey_frames(count, height=32, width=48):
    """4:2:0 planes of a grey that becomes lighter frame by frame, with a dark corner."""
    for number in range(count):
        luma = np.full((height, width), 40 + 3 * number, np.uint8)
        luma[:8, :16] = 16
        yield [luma, *(np.full((height // 2, width // 2), 128, np.uint8) for _ in range(2))]


def turn(path, quarter):
    """Have an MP4 ask for a turn, as a phone does."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in QUARTERS[quarter])
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def moments(path, kind="video"):
    """When the frames, or the packets of another kind, of a file begin, in seconds."""
    with av.open(str(path)) as file:
        stream = next(stream for stream in file.streams if stream.type == kind)
        if kind == "video":
            return [frame.pts * frame.time_base for frame in file.decode(stream)]
        return [packet.pts * packet.time_base for packet in file.demux(stream) if packet.size]


def packets(path, kind="audio"):
    """The bytes of the packets of one kind."""
    with av.open(str(path)) as file:
        stream = next((stream for stream in file.streams if stream.type == kind), None)
        return [bytes(packet) for packet in file.demux(stream) if packet.size] if stream else []
