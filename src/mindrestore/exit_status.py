"""Errors of commands: one sentence and an exit status instead of a traceback."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

from mindrestore.errors import Stopped, UserError
from mindrestore.files import FULL, cannot_be_written
from mindrestore.runtime.release import sigterm_as_keyboard_interrupt

WITHOUT_MINDSPORE = (
    "this needs MindSpore, which is not installed; run: pip install mindspore, or restore with what was exported where it is: "
    "--model FILE.onnx"
)


def print_in_any_encoding() -> None:
    """Have a letter that the terminal's encoding lacks printed as its escape, such as ``\\u2026``, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        of_bytes = stream is not None and stream.errors == "surrogateescape" and "utf" in stream.encoding.lower()
        if hasattr(stream, "reconfigure") and not of_bytes:
            stream.reconfigure(errors="backslashreplace")


def status_of(run: Callable[..., Any], *arguments: Any) -> int:
    """Call ``run(*arguments)``; return the exit status: what it returns, 0 for None, 2 after a user's mistake, 130 after Ctrl-C
    or SIGTERM, 141 where nobody reads what is printed any more.

    Training, which saves first, tells the two apart: 130 and 143.
    """
    try:
        with sigterm_as_keyboard_interrupt():
            status = run(*arguments) or 0
            if sys.stdout is not None:
                sys.stdout.flush()  # here, and not when Python ends, a reader that has left is noticed
            return status
    except BrokenPipeError:  # what read the output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except UserError as error:
        return _say(f"error: {error}", 2)
    except ModuleNotFoundError as error:
        if error.name != "mindspore":
            raise
        return _say(f"error: {WITHOUT_MINDSPORE}", 2)
    except OSError as error:  # a full disk, a file that vanished, cannot be read, is no file: a traceback explains none of it
        return _say(f"error: {_of_system(error)}", 2)
    except MemoryError as error:
        return _say(f"error: there is not enough memory ({error}); give smaller tiles, clips or batches.", 2)
    except Stopped as stopped:
        return stopped.status
    except KeyboardInterrupt:
        return _say("interrupted", 130)


def _of_system(error: OSError) -> str:
    """Return what the system refused as a sentence that names the file."""
    if error.errno in FULL:
        return str(cannot_be_written(error.filename or "what this command prints", error))
    reason = error.strerror or str(error)
    return (
        f"{os.fsdecode(error.filename)}: {reason[:1].lower()}{reason[1:]}; check this path."
        if isinstance(error.filename, (str, bytes))
        else f"the system refused an operation: {reason}."
    )


def _say(message: str, status: int) -> int:
    """Print a message to standard error; return ``status``."""
    with contextlib.suppress(OSError):  # where standard error goes to a file, its disk may be full
        print(f"mindrestore: {message}", file=sys.stderr)
    return status
