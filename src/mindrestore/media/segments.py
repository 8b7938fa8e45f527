"""A long video written a segment at a time, so that of its frames few wait, and joined without coding anything again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from mindrestore.data.video_file import Times, opened, pictures_of
from mindrestore.errors import UserError
from mindrestore.files import PathLike, replacing, synced
from mindrestore.media.carried import UNTIMED, Carried
from mindrestore.media.video_writer import (
    CONTAINERS,
    VideoSettings,
    check_written,
    errors_of,
    times_kept,
    write_video,
)

Shown = Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]]


class SegmentedVideo:
    """A video of which whole segments are kept as files until there are all.

    Args:
        path: of the video.
        folder: that holds the segments, called ``NAME-FIRST-STOP.SUFFIX`` by the numbers of their frames.
        rate, settings: as of ``mindrestore.media.video_writer.write_video``.
        shown: makes the images that are written of those that are given; None: they are the same.
    """

    def __init__(self, path: PathLike, folder: Path, rate: float, settings: VideoSettings, shown: Shown | None = None) -> None:
        self.path, self._folder, self._rate, self._settings = Path(path), folder, rate, settings
        self._shown = shown or (lambda images: images)

    @property
    def count(self) -> int:
        """Frames in segments, from the first on."""
        return max((stop for _, stop, _ in self._segments()), default=0)

    def keep(self, count: int) -> None:
        """Delete the segments that hold frames behind the first ``count``."""
        for _, stop, path in self._segments():
            if stop > count:
                path.unlink()

    def add(self, images: Iterator[np.ndarray], count: int) -> None:
        """Write the next ``count`` images as a segment; ``UserError`` as of ``write_video``."""
        first = self.count
        times = self._settings.times
        settings = replace(self._settings, times=times and times.part(first, count), source=None, span=None)
        write_video(
            self._folder / f"{self.path.stem}-{first:08d}-{first + count:08d}{self.path.suffix}",
            self._shown(images),
            self._rate,
            settings,
        )

    def write_whole(self, images: Iterator[np.ndarray]) -> list[str]:
        """Write the video of all images, where there are no segments; as ``write_video`` does."""
        return write_video(self.path, self._shown(images), self._rate, self._settings)

    def join(self) -> list[str]:
        """Write the video of the segments.

        Returns:
            Sentences, as ``write_video`` does.

        Raises:
            UserError: as of ``write_video``, or the segments were coded by different builds.
        """
        container = CONTAINERS[self.path.suffix.lower()]
        times, notes = times_kept(self.path, self._settings, self._rate)
        paths = [path for _, _, path in self._segments()]
        heads = [_head(path) for path in paths]
        for path, head in zip(paths, heads):
            if head != heads[0]:
                raise UserError(
                    f"{path}: was coded by another build of PyAV than the segments before it; delete its folder "
                    "and begin again."
                )
        size, _ = heads[0]
        with replacing(self.path) as scratch:
            with errors_of(self.path):
                notes += self._write_joined(scratch, container, paths, times)
                synced(scratch)
            check_written(self.path, scratch, self.count, size)
        return notes

    def _write_joined(self, scratch: Path, container: str, paths: Sequence[Path], times: Times) -> list[str]:
        """Copy the packets of all segments; a frame's time goes by its number, as containers round times."""
        orders = [_display_order(path, container) for path in paths]
        delay = max(place - number for order in orders for place, number in enumerate(order))
        options = {"movflags": "+faststart"} if container in ("mp4", "mov") else {}
        with av.open(f"file:{scratch}", "w", format=container, container_options=options) as file, opened(paths[0]) as first:
            stream = file.add_stream_from_template(pictures_of(first))
            stream.time_base = times.base
            stream.codec_context.framerate = times.rate.limit_denominator(10**6)
            carried = None
            if self._settings.source:
                carried = Carried(self._settings.source, file, container, self._settings.span)
            file.start_encoding()
            begun = 0
            for path, order in zip(paths, orders):
                with opened(path) as segment:
                    packets = (packet for packet in segment.demux(pictures_of(segment)) if packet.size)
                    for place, packet in enumerate(packets):
                        decoded = begun + place - delay
                        packet.time_base, packet.stream = times.base, stream
                        packet.pts, packet.duration = times.begin(begun + order[place]), times.length(begun + order[place])
                        packet.dts = times.begin(decoded) if decoded >= 0 else times.begin(0) + decoded * times.length(0)
                        if carried:
                            carried.copy_until(packet.dts * times.base)
                        file.mux(packet)
                begun += len(order)
            if carried:
                carried.finish()
                carried.close()
            return carried.notes if carried else []

    def _segments(self) -> list[tuple[int, int, Path]]:
        """(first frame, one past the last, file) of each, in order."""
        name = re.compile(rf"{re.escape(self.path.stem)}-(\d+)-(\d+){re.escape(self.path.suffix)}")
        found = ((name.fullmatch(path.name), path) for path in self._folder.iterdir())
        return sorted((int(match[1]), int(match[2]), path) for match, path in found if match)


def _head(path: Path) -> tuple[tuple[int, int], bytes | None]:
    """((height, width), what a decoder must be given first) of a segment."""
    with opened(path) as segment:
        pictures = pictures_of(segment)
        return (pictures.height, pictures.width), pictures.codec_context.extradata


def _display_order(path: Path, container: str) -> list[int]:
    """For each packet of a segment, as they are stored, which frame of it it is."""
    with opened(path) as segment:
        moments = [packet.pts for packet in segment.demux(pictures_of(segment)) if packet.size]
    if container in UNTIMED:
        return list(range(len(moments)))
    numbers = {moment: number for number, moment in enumerate(sorted(moments))}
    return [numbers[moment] for moment in moments]
