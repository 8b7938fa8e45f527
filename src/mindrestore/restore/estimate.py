"""What a restoration would take, from one tile that is timed: frames, tiles, time, memory and disk."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import psutil
from tqdm import tqdm

from mindrestore.media.writing import kind_of
from mindrestore.restore.finished import MOST_BYTES, MOST_PICTURES
from mindrestore.restore.restorers import SnapshotRestorer, VideoRestorer

GB, MB = 1e9, 1e6


def estimate(restorer: VideoRestorer | SnapshotRestorer, target: Path) -> list[str]:
    """Compute one tile of each network twice, the first time with compiling, and return lines about the whole run.

    Args:
        restorer: ``mindrestore.restore.restorers.VideoRestorer`` or ``SnapshotRestorer``, which has looked.
        target: path of the result; nothing is written there.
    """
    runs = restorer.time_tiles()
    seconds = sum(run.first + run.again * (run.count - 1) for run in runs)
    tiles = " and ".join(f"{run.count} {run.name}" for run in runs)
    each = " and ".join(f"{run.again:.2g} s" for run in runs)
    frame = restorer.height * restorer.width * 3
    held = 4 * frame * restorer.depth  # of frames that are not whole yet
    free = psutil.virtual_memory().available
    on_disk, place = restorer.count * frame, _existing_parent(target)
    waiting = min(restorer.count, MOST_PICTURES) * frame
    is_video = kind_of(target) == "video"
    kept = min(waiting, MOST_BYTES) if is_video else on_disk
    return [
        f"Frames: {restorer.count} of {restorer.width} x {restorer.height}.",
        f"Tiles: {tiles}, {each} each after the first.",
        f"Time: about {tqdm.format_interval(seconds)}, {restorer.count / max(seconds, 1e-9):.3g} frames a second, on this "
        "machine as busy as it is now.",
        f"Memory: about {_amount(psutil.Process().memory_info().rss + held)} at most, {_amount(free)} are free.",
        f"Disk: at most {_amount(kept)} while it runs{', besides the video' if is_video else ''}, "
        f"{_amount(shutil.disk_usage(place).free)} are free in {place}.",
        "Nothing was written.",
    ]


def _amount(count: float) -> str:
    """Bytes, to be read."""
    return f"{count / GB:.1f} GB" if count >= GB else f"{math.ceil(count / MB)} MB"


def _existing_parent(path: Path) -> Path:
    return next(folder for folder in path.absolute().parents if folder.exists())
