"""Clips and measurements restored by trained networks: arrays and streams of frames, and files as ``mindrestore restore`` does.

    video.py        a network over a stream of frames, tile by tile
    snapshots.py    a network over measurements
    exported.py     an exported file in the place of a network
    calls.py        networks of any make as functions of arrays
    tasks.py        the tasks by name
    networks.py     which network a task takes: what ships, a checkpoint, an exported file
    spans.py        which part of a clip
    cuts.py         where a scene ends and another begins
    noise.py        how noisy a clip is
    restorers.py    a task on a clip or measurements: restored frames from any frame on, scene by scene
    estimate.py     what a restoration would take
    finished.py     finished frames, held on disk until the clip is whole, so that a stopped run can go on
    progress.py     progress bars
    side_by_side.py input and output side by side
    request.py      what is asked for, where it goes, and what is refused beforehand
    run.py          all of it, in order
    batch.py        several clips in one call
    simulation.py   a clip into measurements, the way back
    masks.py        masks of snapshot cameras as files: made, described, calibrated

The functions that programs call are imported only when they are asked for, and MindSpore only when what needs it is called:
ONNX files do not.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {"Reconstructor": "snapshots", "restore_clip": "video", "restore_space_time": "video", "restore_video": "video"}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
