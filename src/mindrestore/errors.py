"""``UserError``, for mistakes that the user can mend, and helpers for its messages; ``Stopped``, for runs ended by a signal;
``say_once``, for what is no mistake and must not pass in silence.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable

LONGEST_SHOWN = 100  # characters of a text out of a file, in a message

_said: set[str] = set()


class UserError(ValueError):
    """A mistake of the user: in a file, a key, a value, a shape.

    Its message is one sentence that says what is wrong, where, and what was expected. The command line prints it
    without a traceback and exits with status 2; a library caller catches it as a ``ValueError``.
    """


class Stopped(Exception):
    """A run ended at a signal, after saving its state. ``status``: exit status of the process."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Return the word of ``known`` that is most similar to ``word``, None if none is."""
    return next(iter(difflib.get_close_matches(str(word), list(known), 1, 0.4)), None)


def printable(text: object) -> str:
    """Return untrusted ``text`` fit for one line of a terminal: control characters escaped, cut at ``LONGEST_SHOWN``."""
    text = str(text)
    cut = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def shown(value: object) -> str:
    """Return an untrusted ``value`` as Python spells it, fit for one line of a terminal as ``printable`` is."""
    try:
        return printable(repr(value))
    except (ValueError, RecursionError):  # a number of more digits than Python spells, or a value that contains itself
        return f"a {type(value).__name__}"


def some_of(items: Iterable[object], most: int = 3) -> str:
    """Return the first few of ``items``, and how many more there are: ``"a, b, c and 7 more"``."""
    items = list(items)
    shown = ", ".join(printable(item) for item in items[:most])
    return shown if len(items) <= most else f"{shown} and {len(items) - most} more"


def say_once(sentence: str) -> None:
    """Print a ``sentence`` about what was assumed to standard error, once a process."""
    if sentence not in _said:
        _said.add(sentence)
        print(f"mindrestore: {sentence}", file=sys.stderr)
