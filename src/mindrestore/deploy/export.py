"""Write a network as a file that runs without this package: MINDIR and ONNX anywhere, AIR on Ascend.

A MINDIR or ONNX file is read back and compared with the network before it takes its place. Beside it stands a JSON file, of its
name with .json behind it, that says what the file is and what it takes. A file of free size is called like this; thanks to
``set_inputs`` it is compiled once for all sizes:

    graph = nn.GraphCell(ms.load("revsci.mindir"))
    graph.set_inputs(Tensor(shape=[1, None, None], dtype=ms.float32), Tensor(shape=[8, None, None], dtype=ms.float32))
    clip = graph(measurement, mask)  # (1, H, W), (8, H, W) -> (1, 8, H, W)

One of fixed size needs no ``set_inputs``: ``restored = nn.GraphCell(ms.load("vrt.mindir"))(clip)``. An ONNX file takes any
number of clips a call, and needs no MindSpore:

    restored = onnxruntime.InferenceSession("vrt.onnx").run(None, {"clip": clip})[0]
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor, nn

from mindrestore.checkpoints.native import Metadata
from mindrestore.deploy.onnx_graph import Graph
from mindrestore.errors import UserError
from mindrestore.executor import Piecewise
from mindrestore.files import PathLike, check_writable, digest_of, replacing, told_of_full_disks, write_text
from mindrestore.models import kind_of, names
from mindrestore.models.kind import NetworkKind
from mindrestore.models.piece import made_of_pieces
from mindrestore.models.signature import Port, Signature, description_of
from mindrestore.readers.untrusted import json_object
from mindrestore.runtime import device, mindir, onnx_file, precision
from mindrestore.version import __version__

FORMATS = ("mindir", "air", "onnx")
TOLERANCES = {"float32": 1e-4, "float16": 4e-3}
"""By precision: largest difference allowed between the file and the network; white is 1. A value halfway between two of float16
may be rounded to either; a step of 8 bits is 4e-3."""
TRIALS = 8  # inputs of one size that are tried
TRIAL_SIZES = ((32, 48), (21, 14))  # (height, width) at which a file of free size is compared


def export_network(
    network: nn.Cell,
    metadata: Metadata,
    path: PathLike,
    file_format: str = "mindir",
    frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    batch: int | None = None,
) -> dict[str, Any]:
    """Export ``network`` to ``path``, and a description of the file to ``path`` with .json behind it.

    Inputs of the exported RevSCI, in order: measurement (B, H, W), mask (T, H, W) and, with ``start="gap_tv"``,
    estimate (B, T, H, W), in colour (B, 3, T, H, W). Output: clip, shaped like the estimate, not clamped.
    Input of the exported VRT: clip (B, T, C, H, W), C with the noise level where the network takes one; output: restored
    (B, T, 3, s H, s W), T = 1 for interpolation, not clamped.

    Args:
        network: with the weights to export.
        metadata: ``mindrestore.checkpoints.native.Metadata`` of the network.
        path: of the file; without a suffix it gets that of the format.
        file_format: ``"mindir"``, ``"air"`` or ``"onnx"``. AIR is written on Ascend only and cannot be read back by
            MindSpore, so it is not compared (untested: no Ascend was at hand). ONNX needs the package onnx, and is
            compared where onnxruntime is installed.
        frames: T, frames of a clip; RevSCI 8 by default, VRT as many as it was trained on.
        height, width: of measurement or clip. RevSCI: both None leaves them free, one file for every size, odd ones
            included. VRT has a fixed size, by default the one it was trained on.
        batch: B, measurements or clips a call; by default 1, of an ONNX file any number.

    Returns:
        The content of the JSON file as a dict. ``"compared"`` holds the largest difference between the file and the
        network on random inputs of the sizes tried, None where the file could not be run.

    Raises:
        UserError: a value that is not allowed, a path that cannot be written, in the place of its description another JSON
            file, AIR elsewhere than on Ascend, ONNX in float16, or a file that computes something else than the network. Then
            no file is left behind.
    """
    path = _checked_path(path, _checked_format(file_format))
    if metadata.kind not in names():
        raise UserError(f"{path}: the {metadata.kind} network has no exporter.")
    kind = kind_of(metadata.kind)
    _check_sizes(frames, height, width, batch)
    default_frames, *default_size = kind.default_size(network)
    frames = default_frames if frames is None else frames
    height, width = default_size if height is None else (height, width)
    free = height is None
    if path.suffix == ".air" and free:
        raise UserError(f"{path}: an AIR file has a fixed size; give height and width.")
    if batch is None and path.suffix != ".onnx":
        batch = 1
    signature = kind.signature(network, frames, height, width, batch=batch)
    check_writable(path, sum(parameter.nbytes for parameter in network.get_parameters()))
    _check_description(description_of(path))
    with _exported(network, kind, signature, free=free, suffix=path.suffix) as exported:
        compared = None
        run = _opened(exported, signature.inputs, path.suffix)
        if run:
            whole = Piecewise(network) if made_of_pieces(network) else network  # which compiles less than a whole graph
            compared = _compare(run, whole, signature.inputs, TRIAL_SIZES if free else ((height, width),) * 2)
            if not compared["largest_difference"] < TOLERANCES[precision.chosen()]:
                raise UserError(
                    f"{path}: not written, because what was exported differs from the network by "
                    f"{compared['largest_difference']:.2g} where {TOLERANCES[precision.chosen()]:g} is allowed; "
                    "check its weights for values that are not finite, or try another device."
                )
        summary = dict(
            file=path.name,
            format=path.suffix[1:],
            sha256=digest_of(exported),
            kind=metadata.kind,
            settings=dict(metadata.settings),
            mask=metadata.mask,
            version=__version__,
            trained_with_version=metadata.version,
            exported_on=device.name(),
            precision=precision.chosen(),
            **signature.record(),
            compared=compared,
        )
        with replacing(path) as scratch:
            shutil.copyfile(exported, scratch)
            write_text(description_of(path), json.dumps(summary, indent=2) + "\n")
    return summary


@contextlib.contextmanager
def _exported(network: nn.Cell, kind: NetworkKind, signature: Signature, *, free: bool, suffix: str) -> Iterator[Path]:
    """Export ``network`` to a file in a temporary folder, and yield its path; free: whether height and width are."""
    with tempfile.TemporaryDirectory(prefix="mindrestore-") as folder:
        file = Path(folder, f"network{suffix}")
        check_writable(file, sum(parameter.nbytes for parameter in network.get_parameters()))
        with told_of_full_disks(file):
            if suffix == ".onnx":
                graph = kind.onnx(network, signature, Graph)
                graph.write(file, "; ".join(f"{port.name}: {port.meaning}" for port in (*signature.inputs, *signature.outputs)))
            else:
                mindir.write(kind.any_size(network) if free else network, [port.shape for port in signature.inputs], file)
        yield file


def _opened(file: Path, ports: Sequence[Port], suffix: str) -> Callable[..., np.ndarray] | None:
    """Return the file as a function from arrays to an array; None if nothing on this machine can run it."""
    if suffix == ".mindir":
        return mindir.read(file, [port.shape for port in ports])
    if suffix == ".onnx":
        with contextlib.suppress(ImportError):
            return onnx_file.read(file, {port.name: port.shape for port in ports})
    return None


def _compare(
    run: Callable[..., np.ndarray], network: Callable[..., Tensor], ports: Sequence[Port], sizes: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """Compare file and network on random inputs, more of them a call the second time where their number is free; return the
    sizes and the largest difference as JSON values.

    A VRT takes pixels at rounded places: where one lies halfway, rounding in the last digit decides, and both results are
    right. So other inputs are tried after some that differ; a wrong file differs on all.
    """
    rng = np.random.default_rng(0)
    differences = []
    for number, (height, width) in enumerate(sizes, 1):
        least = float("inf")
        for _ in range(TRIALS):
            inputs = [rng.uniform(*port.range, port.of_size(height, width, number)).astype(np.float32) for port in ports]
            least = min(least, _largest_difference(run(*inputs), network(*map(Tensor, inputs)).numpy()))
            if least < TOLERANCES[precision.chosen()]:
                break
        differences.append(least)
    return dict(sizes=[list(size) for size in dict.fromkeys(sizes)], largest_difference=float(np.max(differences)))


def _largest_difference(clip: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference between two clips, infinity for other shapes or numbers that are not finite."""
    if clip.shape != expected.shape:
        return float("inf")
    difference = float(np.abs(clip - expected).max())
    return difference if np.isfinite(difference) else float("inf")


def _checked_format(file_format: str) -> str:
    lowered = str(file_format).lower()
    if lowered not in FORMATS:
        raise UserError(f"format {file_format!r}: unknown, choose one of {', '.join(FORMATS)}.")
    if lowered == "air" and device.name() != "ascend":
        raise UserError(
            f"format air: MindSpore writes AIR files on Ascend only and this is {device.name()}; "
            "choose mindir, which runs on every device, or export on an Ascend machine."
        )
    if lowered == "onnx" and precision.chosen() != "float32":
        raise UserError("format onnx: is written in float32; leave --precision float16 away, or choose mindir.")
    return lowered


def _checked_path(path: PathLike, file_format: str) -> Path:
    path = Path(path)
    if not path.suffix:
        path = path.with_suffix(f".{file_format}")
    if path.suffix != f".{file_format}":
        raise UserError(f"{path}: ends in {path.suffix}; a file of format {file_format} must end in .{file_format}.")
    check_writable(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the path of a file.")
    return path


def _check_description(path: Path) -> None:
    """Raise ``UserError`` where a description cannot be written, or would replace a file that is none."""
    check_writable(path)
    if not path.exists():
        return
    with contextlib.suppress(UserError):
        if {"kind", "inputs", "outputs"} <= json_object(path, "description of an exported network").keys():
            return
    raise UserError(f"{path}: is in the way and describes no exported network; move it elsewhere, or give another name.")


def _check_sizes(frames: int | None, height: int | None, width: int | None, batch: int | None) -> None:
    if (height is None) != (width is None):
        alone = "height" if width is None else "width"
        raise UserError(f"{alone} is given alone; give height and width, or neither for a file of any size.")
    for name, value in (("frames", frames), ("height", height), ("width", width), ("batch", batch)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise UserError(f"{name} is {value!r}; it must be a whole number of at least 1.")
