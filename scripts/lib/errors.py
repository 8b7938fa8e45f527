"""Print the lines of a log that say what went wrong: ``python errors.py LOG``.

These are the last exception with the place it was raised at, MindSpore's lines of levels ERROR and CRITICAL, and sentences of
mindrestore; where there are none, the last lines of the log. Standard library only.
"""

import re
import sys
from pathlib import Path

MOST = 16
LOGGED = re.compile(r"\[(DEBUG|INFO|WARNING|ERROR|CRITICAL)\] ")
GRAVE = re.compile(r"\[(ERROR|CRITICAL)\] |mindrestore: error: |(Fatal Python error|Segmentation fault|terminate called)")
TRACE = "Traceback (most recent call last):"


def main():
    for line in telling(Path(sys.argv[1]).read_text(encoding="utf-8", errors="replace").splitlines()):
        print(line)


def telling(lines):
    """Return at most ``MOST`` of the ``lines``, in order."""
    lines = [line.rpartition("\r")[2].rstrip() for line in lines]
    lines = [line for line in lines if line and not re.match(r"\[(DEBUG|INFO|WARNING)\] ", line)]
    grave = [place for place, line in enumerate(lines) if GRAVE.match(line)][-MOST // 2 :]
    last = max((place for place, line in enumerate(lines) if line == TRACE), default=None)
    places = sorted({*grave, *([] if last is None else raised(lines, last))})
    return [lines[place] for place in places] or lines[-MOST:]


def raised(lines, start):
    """Return the places of an exception that begins at ``start``: its last frame, and what it says."""
    end = next((place for place in range(start + 1, len(lines)) if not lines[place].startswith(" ")), len(lines) - 1)
    frames = [place for place in range(start + 1, end) if lines[place].startswith("  File ")]
    words = next(
        (place for place in range(end + 1, len(lines)) if lines[place].startswith("----") or LOGGED.match(lines[place])),
        len(lines),
    )
    return list(range(frames[-1] if frames else start, end)) + list(range(end, min(words, end + 8)))


if __name__ == "__main__":
    main()
