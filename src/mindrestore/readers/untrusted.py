"""Files that may hold anything: whatever is wrong with one becomes one sentence, and none may take what it likes.

Parsers raise dozens of kinds of errors for damaged files, and believe the sizes that a file states. What reads a file that
a user gives calls its parser within ``reading``, and allocates no more than ``most_unfolded`` says.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike, existing

MOST_TEXT = 2**28  # bytes of a text file
SPARE_BYTES = 2**26
TIMES_ITS_SIZE = 100  # pictures and masks of many equal values are compressed so well


@contextlib.contextmanager
def reading(path: PathLike, kind: str, expected: str | None = None) -> Iterator[None]:
    """Raise ``UserError`` that names ``path`` for whatever is raised within, but for a ``UserError`` itself.

    For calls of a parser alone: a mistake of our own within would be taken for a fault of the file.

    Args:
        path: of the file that is read.
        kind: what it should be, such as ``"MATLAB file"``.
        expected: what to do or give instead; ``kind`` says enough by default.
    """
    advice = f"; expected {expected}" if expected else ""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: not a readable {kind} ({error.strerror or printable(error)}){advice}.") from error
    except MemoryError as error:
        raise UserError(f"{path}: not a readable {kind} (it asks for more memory than there is){advice}.") from error
    except RecursionError as error:
        raise UserError(f"{path}: not a readable {kind} (its values are nested too deeply){advice}.") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not a readable {kind} ({printable(reason)}){advice}.") from error


def most_unfolded(file_bytes: int) -> int:
    """Return how many bytes the contents of a compressed file of ``file_bytes`` may take."""
    return SPARE_BYTES + TIMES_ITS_SIZE * file_bytes


def text_of(path: PathLike, kind: str, most: int = MOST_TEXT) -> str:
    """Return the text in a file, which is UTF-8 with or without a byte-order mark; other line ends become line feeds.

    Raises ``UserError`` for a file that is absent, unreadable, no regular file, longer than ``most`` bytes or no UTF-8.
    """
    path = existing(path, kind)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give a {kind}.")
    with reading(path, kind, "text in UTF-8"):
        if path.stat().st_size > most:
            raise UserError(f"{path}: has {path.stat().st_size} bytes, too many for a {kind}; expected {most} at most.")
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")


def json_in(text: str, path: PathLike, kind: str) -> Any:
    """Return the JSON value that ``text``, read from ``path``, spells; ``UserError`` if it spells none."""
    with reading(path, kind):
        return json.loads(text)


def json_object(path: PathLike, kind: str) -> dict[str, Any]:
    """Return the JSON object in a file; ``UserError`` if there is another value, or none."""
    value = json_in(text_of(path, kind), Path(path), kind)
    if not isinstance(value, dict):
        raise UserError(f"{path}: not a readable {kind} (it holds a {type(value).__name__}); expected a JSON object.")
    return value
