"""Errors of commands: one sentence and an exit status instead of a traceback."""
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from mindrestore.errors import Stopped, UserError
from mindrestore.runtime.release import sigterm_as_keyboard_interrupt


def status_of(run: Callable[..., Any], *arguments: Any) -> int:
    """Call ``run(*arguments)``; return the exit status: what it returns, 0 for None, 2 after a user's mistake, 130 after Ctrl-C
    or SIGTERM.

    Training, which saves first, tells the two apart: 130 and 143.
    """
    try:
        with sigterm_as_keyboard_interrupt():
            return run(*arguments) or 0
    except UserError as error:
        return _say(f"error: {error}", 2)
    except Stopped as stopped:
        return stopped.status
    except KeyboardInterrupt:
        return _say("interrupted", 130)


def _say(message: str, status: int) -> int:
    """Print a message to standard error; return ``status``."""
    print(f"mindrestore: {message}", file=sys.stderr)
    return status
