"""What a video that is written takes over of another, its *source*: sound, subtitles, attachments, chapters, titles.

Packets are copied as they are, without decoding; a stream that the container cannot hold is left out, and that is said.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av

from mindrestore.data.video_file import CLOCKS, opened, pictures_of

UNTIMED = ("avi",)  # hold one rate, and begin all streams at once
COPIED = ("audio", "subtitle", "attachment")
CHAPTER_TRACKS = ("data (bin_data)", "data (unknown)")  # in which MP4 keeps titles of chapters, which are copied as such
OURS = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id", "rotate"}
"""Metadata that speaks of a file itself, keys in lower case; all other is copied."""


class Carried:
    """What is copied from the source beside its pictures: sound, subtitles, attachments, chapters, titles.

    Args:
        source: path of a video.
        file: the container that is written; its streams are added here.
        container: its format's name.
        span: as of ``VideoSettings``.

    Attributes:
        notes: sentences that say what was copied and what was left out; known after ``finish``.
    """

    def __init__(
        self, source: Path, file: av.container.OutputContainer, container: str, span: tuple[Fraction, Fraction] | None = None
    ) -> None:
        self._source, self._file, self._streams, self._next, self._lost = opened(source), file, {}, None, 0
        self._names, self._full, self._of_part = {}, set(), span is not None  # by stream its name; those with something in them
        clock = self._source.start_time if self._source.format.name in CLOCKS else 0
        self._start, self._until = Fraction(clock or 0, av.time_base), None
        if span:
            self._start, self._until = self._start + span[0], span[1] - span[0]
        file.metadata.update(_titles(self._source.metadata))
        pictures = pictures_of(self._source)
        file.streams.video[0].metadata.update(_titles(pictures.metadata))
        self._counted, self._left_out, self._others = [], [], []
        chapters = [] if span else self._source.chapters()
        for stream in self._source.streams:
            name = _described(stream)
            if stream.index == pictures.index or (chapters or span) and name in CHAPTER_TRACKS:
                continue
            if stream.type not in COPIED:
                self._others.append(name)
            elif not _is_held(stream, container):
                self._left_out.append(name)
            else:
                added = self._streams[stream.index] = file.add_stream_from_template(stream)
                added.metadata.update(_titles(stream.metadata))
                added.disposition = stream.disposition.value
                self._names[stream.index] = name
                if stream.type == "attachment":  # which comes without packets
                    self._full.add(stream.index)
        if chapters and container not in UNTIMED:
            file.set_chapters(chapters)
        if chapters:
            counted = f"{len(chapters)} chapter{'s' if len(chapters) > 1 else ''}"
            (self._left_out if container in UNTIMED else self._counted).append(counted)
        self._elsewhere = "" if container == "matroska" else "; .mkv holds most"
        self.notes = []
        streams = [self._source.streams[index] for index in self._streams]
        self._packets = self._source.demux(*streams) if streams else iter(())

    def copy_until(self, moment: Fraction | None) -> None:
        """Copy the packets up to a moment, in seconds; all that are left for None."""
        while True:
            packet = self._next = self._next or self._read()
            if (
                packet is None
                or moment is not None
                and packet.pts is not None
                and (packet.pts * packet.time_base - self._start > moment)
            ):
                return
            self._next = None
            if self._lies_outside(packet):
                continue
            shift = round(self._start / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            index = packet.stream_index
            packet.stream = self._streams[index]
            try:
                self._file.mux(packet)
                self._full.add(index)
            except av.error.FFmpegError as error:
                if isinstance(error, OSError):
                    raise  # the disk's; all else is the muxer's, which refuses this packet of a damaged source
                self._lost += 1

    def _lies_outside(self, packet: av.Packet) -> bool:
        """Whether a packet begins before or after the part that is copied."""
        if self._until is None or packet.pts is None:
            return False
        return not 0 <= packet.pts * packet.time_base - self._start < self._until

    def finish(self) -> None:
        """Copy what is left, and note what there was and what could not be copied."""
        self.copy_until(None)
        copied = [name for index, name in self._names.items() if index in self._full] + self._counted
        empty = [name for index, name in self._names.items() if index not in self._full]
        if copied:
            self.notes.append(f"Copied from the input: {', '.join(copied)}.")
        if empty:
            self.notes.append(f"Empty in {'this part of ' if self._of_part else ''}the input: {', '.join(empty)}.")
        if self._left_out:
            self.notes.append(
                f"Not copied, because this kind of file cannot hold it: {', '.join(self._left_out)}{self._elsewhere}."
            )
        if self._others:
            self.notes.append(f"Not copied: {', '.join(self._others)}.")
        if self._lost:
            self.notes.append(f"{self._lost} packets of what was to be copied are damaged and left out.")

    def close(self) -> None:
        self._source.close()

    def _read(self) -> av.Packet | None:
        """The next packet, None after the last one, or where the source cannot be read on."""
        try:
            return next((packet for packet in self._packets if packet.size), None)
        except av.error.FFmpegError:
            self._lost += 1
            return None


def _is_held(stream: av.stream.Stream, container: str) -> bool:
    """Try whether a container takes a stream as it is."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _described(stream: av.stream.Stream) -> str:
    name = stream.codec_context.name if stream.codec_context else "unknown"
    return f"{'subtitles' if stream.type == 'subtitle' else stream.type} ({name})"


def _titles(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key.lower() not in OURS}
