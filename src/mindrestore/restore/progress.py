"""Progress on stderr, moved on by every tile: of tiles, or of frames a second and the time left."""
from __future__ import annotations

import sys
from collections.abc import Callable

from tqdm import tqdm

BAR = "{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total} frames, {rate_noinv_fmt}, {remaining} left"


class FrameBar:
    """A progress bar over ``total`` frames of which ``done`` are there already; a context manager."""

    def __init__(self, name: str, total: int, done: int = 0) -> None:
        self._total, self._done = total, done
        self._bar = tqdm(total=total, initial=done, desc=name, unit=" frames", bar_format=BAR, file=sys.stderr, leave=False)

    def __enter__(self) -> FrameBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def tell(self, tiles: int, of: int) -> None:
        """Say that so many tiles are done of those that the frames left take."""
        self._bar.update(self._done + (self._total - self._done) * tiles / of - self._bar.n)


def tile_bar(progress: str | Callable[[int, int | None], None], total: int | None) -> tqdm | _Told:
    """Return what ``update()`` is called on after every tile, and ``close()`` at the end.

    Args:
        progress: a name shows a bar with that name; a function is called with the number of tiles done and ``total``.
        total: tiles, None if nobody knows.
    """
    return _Told(progress, total) if callable(progress) else tqdm(
        total=total, unit="tile", desc=progress, file=sys.stderr, leave=False)


class _Told:
    """In the place of a progress bar: a function that is told how many tiles are done, and of how many."""

    def __init__(self, tell: Callable[[int, int | None], None], total: int | None) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def update(self) -> None:
        self._done += 1
        self._tell(self._done, self._total)

    def close(self) -> None:
        """Nothing is open."""
