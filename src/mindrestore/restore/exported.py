"""Run what ``mindrestore export`` wrote, a MINDIR or an ONNX file, in the place of the network it was made from.

An ONNX file needs no MindSpore.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mindrestore.checkpoints.loading import Loaded
from mindrestore.checkpoints.native import Metadata
from mindrestore.data.snapshots import starting_estimate
from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike, digest_of, existing
from mindrestore.models import kind_of
from mindrestore.models.kind import SnapshotAbilities, VideoAbilities
from mindrestore.models.signature import description_of
from mindrestore.ops.reflection import reflected
from mindrestore.readers.untrusted import json_object
from mindrestore.runtime import mindir, onnx_file

Graph = Callable[..., np.ndarray]  # from arrays to an array


SUFFIXES = (".mindir", ".onnx")


def is_onnx(path: PathLike) -> bool:
    """Tell whether a file's name says that it is an ONNX file."""
    return Path(path).suffix.lower() == ".onnx"


def load_exported(path: PathLike) -> Loaded:
    """Load an exported file and the JSON file beside it.

    Args:
        path: of the .mindir or .onnx file.

    Returns:
        ``Loaded``, its network an ``ExportedVideo`` or ``ExportedSnapshot``.

    Raises:
        UserError: either file is missing or not what was exported, the network is of a kind that is not known here, or what
            runs the file is not installed. MindSpore may die of a damaged .mindir, and is given none but the file whose
            SHA-256 was noted as it was written.
    """
    path = existing(path, "exported network")
    if path.is_dir() or path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: is no file that ends in {' or '.join(SUFFIXES)}; give one that `mindrestore export` wrote.")
    record_path = description_of(path)
    if not record_path.exists():
        raise UserError(
            f"{path}: {record_path.name}, which describes it, is not beside it; give a file that `mindrestore export` wrote, "
            "and keep the two together."
        )
    record = json_object(record_path, "description of an exported network")
    try:
        kind, ports = kind_of(record["kind"]), {str(port["name"]): _shape(port["shape"]) for port in record["inputs"]}
        shapes = list(ports.values())
        settings, network = kind.settings.of(record["settings"]), EXPORTED[kind.problem]
        metadata = Metadata(kind.name, record["settings"], record.get("mask"))
        precision = PRECISIONS[record.get("precision", "float32")]
        if [len(shape) for shape in shapes] not in RANKS[kind.problem]:
            raise ValueError(f"inputs of shapes {shapes}")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = printable(" ".join(str(error).split()))
        raise UserError(
            f"{record_path}: does not describe an exported network ({type(error).__name__}: {reason}); export it again."
        ) from error
    if record.get("sha256") != digest_of(path):
        raise UserError(
            f"{path}: is not the file that {record_path.name} beside it was written for, as one of them is damaged, exchanged "
            "or of a former version; export it again."
        )
    graph = _graph_of(path, ports)
    return Loaded(network(graph, settings.abilities, shapes, path, precision=precision), True, str(path), metadata)


def _graph_of(path: Path, ports: dict[str, Sequence[int | None]]) -> Graph:
    """Return the graph in a file as a function of arrays, which raises ``UserError`` where it cannot be computed; ports: shapes
    of its inputs by name.
    """
    onnx = is_onnx(path)
    program = "ONNX Runtime" if onnx else "MindSpore"
    try:
        graph = onnx_file.read(path, ports) if onnx else mindir.read(path, list(ports.values()))
    except ImportError as error:
        if error.name != "onnxruntime":
            raise
        raise UserError(f"{path}: ONNX Runtime, which runs it, is not installed; run: pip install onnxruntime") from None
    except ValueError as error:
        reason = printable(str(error))
        raise UserError(
            f"{path}: {program} cannot load it ({reason}); expected a {path.suffix.lower()} file, export it again."
        ) from error

    def computed(*arrays: np.ndarray) -> np.ndarray:
        try:
            return graph(*arrays)
        except Exception as error:  # of a dozen kinds, for want of memory too
            reason = printable(" ".join(str(error).split()) or type(error).__name__)
            raise UserError(
                f"{path}: {program} cannot compute it ({reason}); export it again, for smaller tiles if memory is short."
            ) from error

    return computed


def _of_shape(array: np.ndarray, shape: Sequence[int], path: Path) -> np.ndarray:
    """Return ``array``, what a graph gave; ``UserError`` if it has another shape than is expected of it."""
    if array.shape != tuple(shape):
        raise UserError(f"{path}: gives {list(array.shape)} where {list(shape)} is expected; export it again.")
    return array


def _shape(lengths: object) -> list[int | None]:
    """The shape of an input, None for an axis of any length; ``ValueError`` if it is none."""
    if not isinstance(lengths, list) or not all(length is None or type(length) is int and length > 0 for length in lengths):
        raise ValueError(f"{lengths} is no shape")
    return lengths


class ExportedVideo:
    """A file of a network that restores videos: of fixed size, so that anything smaller is reflected up to it and cut off.

    Attributes:
        abilities: of the network it was made from.
        tile: (frames, height, width) that it takes, for ``restore_video``.
        precision: ``"float32"`` or ``"float16"``, in which it multiplies and convolves whatever ``runtime.precision`` says.
    """

    takes_arrays = True  # see ``mindrestore.restore.calls``

    def __init__(
        self,
        graph: Graph,
        abilities: VideoAbilities,
        shapes: Sequence[Sequence[int | None]],
        path: Path,
        precision: str = "float32",
    ) -> None:
        self._graph, self._path, self.abilities, self.precision = graph, path, abilities, precision
        batch, frames, _, height, width = shapes[0]
        if batch not in (None, 1):
            raise UserError(f"{path}: takes {batch} clips a call; export it with a batch of 1.")
        self.tile = (frames, height, width)

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        """(1, D, C, H, W) -> (1, D', 3, sH, sW), D, H and W at most those of ``tile``; as the network itself."""
        x, (_, frames, _, height, width) = clip, clip.shape
        for axis, length in zip((1, 3, 4), self.tile):
            if length > x.shape[axis]:
                x = np.take(x, reflected(x.shape[axis], length), axis)
        able, scale = self.abilities, self.abilities.scale
        made, (height_given, width_given) = (1 if able.interpolates else x.shape[1]), x.shape[3:]
        shape = (1, made, able.out_channels, scale * height_given, scale * width_given)
        restored = _of_shape(self._graph(np.ascontiguousarray(x)), shape, self._path)
        return restored[:, :frames, :, : scale * height, : scale * width]


class ExportedSnapshot:
    """A file of a network that reconstructs snapshots, called as ``mindrestore.restore.Reconstructor`` is; ``precision`` as
    of ``ExportedVideo``.
    """

    def __init__(
        self,
        graph: Graph,
        abilities: SnapshotAbilities,
        shapes: Sequence[Sequence[int | None]],
        path: Path,
        precision: str = "float32",
    ) -> None:
        self._graph, self._path, self.abilities, self.precision = graph, path, abilities, precision
        self._mask_shape = shapes[1]
        self._estimates = len(shapes) == 3

    def __call__(self, measurement: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(H, W), (T, H, W) -> (T, H, W), colour (3, T, H, W), clamped to 0–1."""
        if any(expected is not None and expected != size for expected, size in zip(self._mask_shape, mask.shape)):
            expected = " x ".join("any" if size is None else str(size) for size in self._mask_shape)
            raise UserError(
                f"{self._path}: takes masks of {expected} (frames, height, width), not "
                f"{' x '.join(map(str, mask.shape))}; export it for this size."
            )
        inputs = [measurement, mask]
        if self._estimates:
            inputs.append(starting_estimate(measurement, mask, self.abilities.colour))
        batch = [inputs[0][None], inputs[1], *(x[None] for x in inputs[2:])]
        frames, size = mask.shape[0], measurement.shape
        shape = (1, 3, frames, *size) if self.abilities.colour else (1, frames, *size)
        clip = _of_shape(self._graph(*(np.ascontiguousarray(x, np.float32) for x in batch)), shape, self._path)
        return np.clip(clip[0], 0, 1)


EXPORTED = {"video": ExportedVideo, "snapshot": ExportedSnapshot}
"""By problem: what runs an exported file."""
RANKS = {"video": [[5]], "snapshot": [[3, 3], [3, 3, 4], [3, 3, 5]]}
"""By problem: numbers of axes that inputs have."""
PRECISIONS = {name: name for name in ("float32", "float16")}
