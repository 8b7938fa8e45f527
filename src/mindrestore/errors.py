"""The one exception that means: the user can mend this; and what helps to say how."""
import difflib


class UserError(ValueError):
    """A mistake in what was asked for: a file, a key, a value, a shape.

    Its message is one sentence that says what is wrong, where, and what was expected. The command line prints it
    without a traceback and exits with status 2; a library caller catches it as a ``ValueError``.
    """


def nearest(word, known):
    """Return the one of ``known`` that an unknown ``word`` was most likely meant to be, None if none is like it."""
    return next(iter(difflib.get_close_matches(str(word), list(known), 1, 0.4)), None)
