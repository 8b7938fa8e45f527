"""Errors of commands: one sentence and an exit status instead of a traceback."""
from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from mindrestore.errors import Stopped, UserError
from mindrestore.runtime.release import sigterm_as_keyboard_interrupt


def status_of(run: Callable[..., Any], *arguments: Any) -> int:
    """Call ``run(*arguments)``; return the exit status: 0, 2 after a user's mistake, 130 after Ctrl-C or SIGTERM.

    Training, which saves first, tells the two apart: 130 and 143.
    """
    try:
        with sigterm_as_keyboard_interrupt():
            run(*arguments)
    except UserError as error:
        return _say(f"error: {error}", 2)
    except ImportError as error:
        if "libGL" not in str(error):
            raise
        return _say(f"error: OpenCV cannot be imported ({error}): this machine has no screen libraries; "
                    "run: pip install --force-reinstall --no-deps 'opencv-python-headless<5'", 2)
    except OSError as error:  # of a file that vanished, cannot be read, is no file: nothing that a traceback would explain
        return _say(f"error: {_of_system(error)}", 2)
    except MemoryError as error:
        return _say(f"error: there is not enough memory ({error}); give smaller tiles, clips or batches.", 2)
    except Stopped as stopped:
        return stopped.status
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    return 0


def _of_system(error: OSError) -> str:
    """Return what the system refused as a sentence that names the file."""
    reason = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {reason[:1].lower()}{reason[1:]}; check this path." if isinstance(
        error.filename, (str, bytes)) else f"the system refused an operation: {reason}."


def _say(message: str, status: int) -> int:
    """Print a message to standard error; return ``status``."""
    print(f"mindrestore: {message}", file=sys.stderr)
    return status
