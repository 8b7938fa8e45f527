"""Frames a second and the time left, on stderr, moved on by every tile."""
import sys

from tqdm import tqdm

BAR = "{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total} frames, {rate_noinv_fmt}, {remaining} left"


class FrameBar:
    """A progress bar over ``total`` frames of which ``done`` are there already; a context manager."""

    def __init__(self, name, total, done=0):
        self._total, self._done = total, done
        self._bar = tqdm(total=total, initial=done, desc=name, unit=" frames", bar_format=BAR, file=sys.stderr, leave=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()

    def tell(self, tiles, of):
        """Say that so many tiles are done of those that the frames left take."""
        self._bar.update(self._done + (self._total - self._done) * tiles / of - self._bar.n)
