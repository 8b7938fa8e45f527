"""The exception that means: the user can mend this, and what helps to say how; and the one of a run that was stopped."""
import difflib


class UserError(ValueError):
    """A mistake in what was asked for: a file, a key, a value, a shape.

    Its message is one sentence that says what is wrong, where, and what was expected. The command line prints it
    without a traceback and exits with status 2; a library caller catches it as a ``ValueError``.
    """


class Stopped(Exception):
    """A run saved what it had and ended, as a signal asked for; ``status`` is what the process is to end with."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


def nearest(word, known):
    """Return the one of ``known`` that an unknown ``word`` was most likely meant to be, None if none is like it."""
    return next(iter(difflib.get_close_matches(str(word), list(known), 1, 0.4)), None)
