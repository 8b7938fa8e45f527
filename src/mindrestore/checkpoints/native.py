"""Our own checkpoints: MindSpore's .ckpt with a text entry from which the network can be built again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mindrestore.checkpoints import mindspore_file
from mindrestore.checkpoints.sources import is_mindspore_file
from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike
from mindrestore.version import __version__

if TYPE_CHECKING:
    from mindspore import nn

FORMAT = 1
METADATA_ENTRY = "mindrestore"
RANDOM_MASK = "random"


@dataclass(frozen=True)
class Metadata:
    """What a network checkpoint says about itself.

    ``kind`` and ``settings`` are what ``mindrestore.models.create_model`` takes. ``mask`` is the fingerprint of the
    mask trained with, ``"random"`` where it changed from clip to clip, or None where it is unknown. ``version`` is the
    mindrestore that wrote it. ``training`` is what the trainer recorded, such as the step.
    """

    kind: str
    settings: dict
    mask: str | None = None
    version: str = __version__
    training: dict = field(default_factory=dict)
    format: int = FORMAT


def save_network(
    path: PathLike,
    network: nn.Cell,
    kind: str,
    settings: Mapping[str, Any],
    mask: str | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write ``network`` to ``path`` (.ckpt) with what is needed to build it again, whole or not at all.

    ``kind``, ``settings``, ``mask`` and ``extra`` become the fields of ``Metadata``, the last as ``training``; they
    must be JSON values. Raises ``UserError`` if the path cannot be written or does not end in .ckpt.
    """
    metadata = Metadata(kind, dict(settings), mask, training=dict(extra or {}))
    arrays = {parameter.name: parameter.numpy() for parameter in network.get_parameters()}
    save_arrays(path, arrays, vars(metadata))


def read_metadata(path: PathLike) -> Metadata:
    """Return the ``Metadata`` of the network checkpoint at ``path``. Raises ``UserError`` as ``load_network`` does."""
    return metadata_in(path, load_arrays(path)[1])


def save_arrays(
    path: PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any], former: PathLike | None = None
) -> None:
    """Write ``arrays`` (name -> NumPy array, none empty) and ``metadata``, a dict of JSON values, to ``path`` (.ckpt).

    The file is written whole or not at all, with a checksum; what ``path`` held is then called ``former``, if that is given.
    Raises ``UserError`` if it cannot be written.
    """
    mindspore_file.write(path, arrays, {METADATA_ENTRY: json.dumps(metadata)}, former)


def load_arrays(path: PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the (arrays, metadata) that ``save_arrays`` wrote to ``path``, bit for bit.

    Raises ``UserError`` if the file is absent, no checkpoint, cut short, damaged or not mindrestore's.
    """
    path = Path(path)
    if not is_mindspore_file(path):
        raise UserError(f"{path}: is not mindrestore's own; make it so with `mindrestore convert {path} new.ckpt`.")
    arrays = mindspore_file.read(path)
    record = arrays.pop(METADATA_ENTRY, None)
    if not isinstance(record, str):
        raise UserError(
            f"{path}: lacks mindrestore's record of its network, so it was cut short or written by another program; "
            f"expected a checkpoint that mindrestore wrote."
        )
    try:
        metadata = json.loads(record)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its record of its network is damaged ({printable(error)}).") from error
    return arrays, metadata


def metadata_in(path: PathLike, record: Any) -> Metadata:
    """Return the ``Metadata`` in the ``record`` that ``load_arrays`` read from ``path``; ``UserError`` if it is damaged."""
    record = record if isinstance(record, dict) else {}
    if record.get("format") != FORMAT:
        raise UserError(
            f"{path}: holds no network in format {FORMAT}, which mindrestore {__version__} reads, but "
            f"{printable(record.get('format', 'something else'))}."
        )
    values = {name: record.get(name) for name in Metadata.__dataclass_fields__}
    types = {"kind": str, "settings": dict, "mask": (str, type(None)), "version": str, "training": dict}
    for name, expected in types.items():
        if not isinstance(values[name], expected):
            raise UserError(f"{path}: its record of its network is damaged: {name} is {printable(values[name])}.")
    return Metadata(**values)
