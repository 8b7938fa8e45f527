"""The same clip by several methods, playing on a page under a divider.

All methods are bands, one below another, of one H.264 video, so that whatever a browser shows is one frame of them all.
"""

from __future__ import annotations

import html
import io
from collections.abc import Mapping

import cv2
import numpy as np

from mindrestore.data.video_file import Times
from mindrestore.media.page import data_address, divided
from mindrestore.media.pixels import in_colour, to_image
from mindrestore.media.video_writer import CODECS, VideoSettings, VideoWriter, errors_of, has_encoder

FRAMES_A_SECOND = 10
MOST_FRAMES = 300
MOST_BYTES = 6 * 2**20
MOST_PIXELS = 1280 * 720  # of a method's frame; larger ones are made smaller
BLOCK = 16  # pixels: what H.264 codes at once, so that no band leaks into another
CRF = 14  # finer than usual, as errors are looked for


class Player:
    """Collects the frames of a clip as a video in memory, of ``MOST_FRAMES`` and about ``MOST_BYTES`` at most.

    Args:
        rate: frames a second.

    Attributes:
        count: frames in the video.
        given: frames given, of which those behind the first ``count`` are left out.
    """

    def __init__(self, rate: float = FRAMES_A_SECOND) -> None:
        self.rate, self.count, self.given = rate, 0, 0
        self._content, self._writer = io.BytesIO(), None
        self._headings: list[str] = []
        self._size, self._shrunk = (0, 0), False
        self._full = not has_encoder(CODECS["h264"])

    def add(self, images: Mapping[str, np.ndarray]) -> None:
        """Add the next frame: images (H, W) or (3, H, W), 0–1, all of one size, by heading, the same headings each time."""
        self.given += 1
        if self._full:
            return
        bands = [in_colour(to_image(image)) for image in images.values()]
        with errors_of("the video of a report"):
            if self._writer is None:
                self._begin(list(images), *bands[0].shape[:2])
            self._writer.write(np.concatenate([self._band(band) for band in bands]))
        self.count += 1
        self._full = self.count == MOST_FRAMES or self._content.tell() > MOST_BYTES

    def section(self, judged: str, of: int | None = None) -> str:
        """Return the part of a page that plays the clip, ``judged`` on the right at first; nothing where no frame was added.

        ``of``: frames of the clip, by default those given. Afterwards no frame can be added.
        """
        if self._writer is None:
            return ""
        self._full = True
        with errors_of("the video of a report"):
            self._writer.close()
        height, width = self._size
        canvases = (
            f'<canvas data-name="{html.escape(heading)}" width="{width}" height="{height}"></canvas>'
            for heading in self._headings
        )
        return (
            f'<div class="player" data-rate="{self.rate:g}" style="--shape:{width / height:.4f}">'
            f"{divided(self._headings, judged, canvases)}"
            f'<div class="controls"><button type="button">play</button><input class="scrub" type="range" min="0" '
            f'max="{self.count - 1}" value="0" aria-label="frame"><output>1 / {self.count}</output></div>'
            f'<video muted loop playsinline src="{data_address("video/mp4", self._content.getvalue())}"></video>'
            f"<p>{self._described(self.given if of is None else of)}</p></div>"
        )

    def _described(self, total: int) -> str:
        part = "" if self.count == total else f"; the first {self.count} of {total} frames"
        smaller = f", made smaller, {self._size[1]} × {self._size[0]} pixels" if self._shrunk else ""
        return f"{self.rate:g} frames a second, in H.264{smaller}{part}. Pictures below are exact."

    def _begin(self, headings: list[str], height: int, width: int) -> None:
        scale = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
        self._headings, self._shrunk = headings, scale < 1
        self._size = (max(1, round(height * scale)), max(1, round(width * scale)))
        stored = tuple(-(-side // BLOCK) * BLOCK for side in self._size)
        times = Times.steady(self.rate)
        self._writer = VideoWriter(
            self._content, "mp4", VideoSettings(crf=CRF), times, height=stored[0] * len(headings), width=stored[1]
        )

    def _band(self, image: np.ndarray) -> np.ndarray:
        """An image as a band: made smaller where it is too large, filled up to whole blocks by its edges."""
        height, width = self._size
        if self._shrunk:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return np.pad(image, [(0, -height % BLOCK), (0, -width % BLOCK), (0, 0)], mode="edge")
