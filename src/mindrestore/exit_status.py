"""What every command does about errors: one sentence and a status instead of a traceback."""
import contextlib
import signal
import sys

from mindrestore.errors import Stopped, UserError


def status_of(run, *arguments):
    """Call ``run(*arguments)``; return the exit status: what it returns, 0 for None, 2 after a user's mistake, 130 after Ctrl-C
    or SIGTERM.

    Training, which saves first, tells the two apart: 130 and 143.
    """
    try:
        with _terminated_as_interrupted():
            return run(*arguments) or 0
    except UserError as error:
        return _say(f"error: {error}", 2)
    except Stopped as stopped:
        return stopped.status
    except KeyboardInterrupt:
        return _say("interrupted", 130)


@contextlib.contextmanager
def _terminated_as_interrupted():
    """While the context lasts SIGTERM raises ``KeyboardInterrupt``: MindSpore 2.10, once it has compiled, makes SIGINT that."""
    def interrupt(number, frame):
        raise KeyboardInterrupt
    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _say(what, status):
    print(f"mindrestore: {what}", file=sys.stderr)
    return status
