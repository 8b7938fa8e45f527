"""What the measurements of ``devices.py`` have to say where there is no figure."""

import os
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINES = 12  # of an error that are kept
WIDTH = 300


class Skipped(Exception):
    """The case cannot be measured here, for a reason that is no failure."""


def lines_of(error):
    """Return the first lines of an error that say something, and where in this repository it came from."""
    text = [line.rstrip()[:WIDTH] for line in f"{type(error).__name__}: {error}".splitlines() if line.strip(" -")]
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if Path(frame.filename).is_relative_to(ROOT)), frames[-1])
    return [*text[:LINES], f"at {os.path.relpath(place.filename, ROOT)}:{place.lineno}, {place.name}"]
