"""The exception that means: the user can mend this, and what helps to say how; and the one of a run that was stopped."""
from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST_SHOWN = 100  # characters of a text out of a file, in a message


class UserError(ValueError):
    """A mistake in what was asked for: a file, a key, a value, a shape.

    Its message is one sentence that says what is wrong, where, and what was expected. The command line prints it
    without a traceback and exits with status 2; a library caller catches it as a ``ValueError``.
    """


class Stopped(Exception):
    """A run saved what it had and ended, as a signal asked for; ``status`` is what the process is to end with."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Return the one of ``known`` that an unknown ``word`` was most likely meant to be, None if none is like it."""
    return next(iter(difflib.get_close_matches(str(word), list(known), 1, 0.4)), None)


def printable(text: object) -> str:
    """Return ``text``, a stranger's, fit for one line of a terminal: control characters escaped, long text cut."""
    text = str(text)
    cut = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def some_of(items: Iterable[object], most: int = 3) -> str:
    """Return the first few of ``items``, and how many more there are: ``"a, b, c and 7 more"``."""
    items = list(items)
    shown = ", ".join(printable(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"
