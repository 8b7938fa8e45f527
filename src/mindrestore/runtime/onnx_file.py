"""Graphs in ONNX files, run by ONNX Runtime. Nothing here needs MindSpore."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import psutil

from mindrestore.errors import UserError
from mindrestore.runtime import process, release

Shape = Sequence[int | None]  # of an input; None is a free size
LINUX = sys.platform.startswith("linux")
ERRORS = 3  # severity from which ONNX Runtime writes to the terminal


def start(choice: str = "auto", threads: int | None = None) -> None:
    """Prepare a run of ONNX files alone, as ``mindrestore.runtime.session.start`` prepares one of networks.

    Raises:
        UserError: another device than the CPU.
    """
    if choice not in ("auto", "cpu"):
        raise UserError(f"--device {choice}: an ONNX file is run on the CPU; leave --device away, or give a .mindir file.")
    process.keep_freed_memory()
    if threads is not None:
        release.limit_cores(threads)


def read(path: str | Path, inputs: Mapping[str, Shape]) -> Callable[..., np.ndarray]:
    """Return the graph in a file as a function from arrays, in the order of ``inputs``, to an array.

    inputs: shapes by name. It computes on the cores that the process may use.

    Raises:
        ImportError: ONNX Runtime is not installed.
        ValueError: the file cannot be loaded, or has other inputs; says why in a line.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(psutil.Process().cpu_affinity()) if LINUX else 0
    options.log_severity_level = ERRORS
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # one of a dozen kinds of its own, by the way in which the file is damaged
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
    found = {port.name: [size if isinstance(size, int) else None for size in port.shape] for port in session.get_inputs()}
    expected = {name: list(shape) for name, shape in inputs.items()}
    if found != expected:
        raise ValueError(f"it takes {found}, not {expected}")
    return lambda *arrays: session.run(None, dict(zip(inputs, arrays)))[0]
