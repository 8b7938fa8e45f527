"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """A mistake in what was asked for: a file, a key, a value, a shape.

    Its message is one sentence that says what is wrong, where, and what was expected. The command line prints it
    without a traceback and exits with status 2; a library caller catches it as a ``ValueError``.
    """
