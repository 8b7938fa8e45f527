"""Progress on stderr: of tiles, or of frames that are safe, with their rate and the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from tqdm import tqdm

BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} frames {unit}{postfix}"
SELDOM = 0.2  # seconds between two changes of the rate that is shown


class FrameBar:
    """A progress bar over ``total`` frames of which ``done`` are safe already; a context manager.

    The bar itself counts only frames that Ctrl-C keeps. Rate and time left go by tiles, of which some are ahead of that.
    """

    def __init__(self, name: str, total: int, done: int = 0, state: str = "safe") -> None:
        self._left, self._began, self._shown = total - done, time.monotonic(), -SELDOM
        self._bar = tqdm(total=total, initial=done, desc=name, unit=state, bar_format=BAR, file=sys.stderr, leave=False)

    def __enter__(self) -> FrameBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def tell(self, done: float, of: float) -> None:
        """Say how much is computed of what the frames left take."""
        spent, share = time.monotonic() - self._began, done / of
        rate = f"{share * self._left / spent:.3g} frames/s" if spent else ""
        self._bar.set_postfix_str(f"{rate}, {tqdm.format_interval(spent / share - spent)} left", refresh=False)
        if spent - self._shown >= SELDOM or done == of:
            self._shown = spent
            self._bar.refresh()

    def safe(self) -> None:
        """Say that one frame more is kept."""
        self._bar.update()

    def over(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The frames, each counted as it is given."""
        for frame in frames:
            self._bar.update()
            yield frame


def tile_bar(progress: str | Callable[[int, int | None], None], total: int | None) -> tqdm | _Told:
    """Return what ``update()`` is called on after every tile, and ``close()`` at the end.

    Args:
        progress: a name shows a bar with that name; a function is called with the number of tiles done and ``total``.
        total: tiles, None if nobody knows.
    """
    return (
        _Told(progress, total)
        if callable(progress)
        else tqdm(total=total, unit="tile", desc=progress, file=sys.stderr, leave=False)
    )


class _Told:
    """In the place of a progress bar: a function that is told how many tiles are done, and of how many."""

    def __init__(self, tell: Callable[[int, int | None], None], total: int | None) -> None:
        self._tell, self._total, self._done = tell, total, 0

    def update(self) -> None:
        self._done += 1
        self._tell(self._done, self._total)

    def close(self) -> None:
        """Nothing is open."""
