"""The state of a training run in one file, from which it goes on exactly; and the state before it, should that be damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindrestore.checkpoints.native import load_arrays, save_arrays
from mindrestore.config.sections import Common
from mindrestore.errors import UserError
from mindrestore.training.average import Average
from mindrestore.training.optimizers import Update

SCHEDULE = "learning_rate"  # name of an optimiser's table of rates, one a step


def run_folder(config: Common) -> Path:
    """Return the output folder of a training run."""
    return Path(config.output or f"runs/{config.name}")


def state_path(config: Common) -> Path:
    """Return the path of the file that a training run is resumed from."""
    return run_folder(config) / "last_state.ckpt"


def previous_state(path: Path) -> Path:
    """Return the path of the state that was saved before the one at ``path``."""
    return path.with_name("previous_state.ckpt")


def is_saved(path: Path) -> bool:
    """Return whether a run saved its state at ``path``, or before."""
    return path.exists() or previous_state(path).exists()


class SavedState(NamedTuple):
    """A state as it is in its file.

    Attributes:
        path: of the file.
        arrays: by name.
        progress: as ``save_state`` was given it.
        fault: of the last state, where this is the one before: a sentence.
    """

    path: Path
    arrays: dict[str, np.ndarray]
    progress: dict[str, Any]
    fault: str | None = None


def save_state(
    path: Path, network: nn.Cell, updates: Sequence[Update], average: Average | None, *, progress: Mapping[str, Any]
) -> None:
    """Write weights, their average, the optimisers' moments and counters, and ``progress`` (JSON values) to ``path``.

    The file is written whole or not at all, and the state that was there is kept at ``previous_state(path)``. Learning rates
    are the configuration's, so a run may be resumed with more steps or another rate than it began with. What a step draws at
    random follows from the seed and the step's number, so there is no random state to save.
    """
    arrays = {name: p.numpy() for name, p in _parameters(network, updates, average).items()}
    save_arrays(path, arrays, progress, former=previous_state(path))


def read_state(path: Path) -> SavedState:
    """Read the state saved at ``path``, or the one before where that is damaged or missing.

    Raises ``UserError`` that says what is wrong with the last one, and with the one before if there is one.
    """
    try:
        return SavedState(path, *load_arrays(path))
    except UserError as error:
        fault = error
    previous = previous_state(path)
    if not previous.exists():
        raise fault
    try:
        return SavedState(previous, *load_arrays(previous), fault=str(fault))
    except UserError as error:
        raise UserError(
            f"{fault} Of the state saved before it: {error} Begin again in another folder, with "
            f"training.initial={path.with_name('best.ckpt')} if that can be read."
        ) from error


def restore_state(saved: SavedState, network: nn.Cell, updates: Sequence[Update], average: Average | None) -> dict[str, Any]:
    """Set weights, average and optimisers from ``saved`` and return its progress; raises ``UserError`` if they do not fit."""
    parameters, arrays = _parameters(network, updates, average), saved.arrays
    if {name: tuple(p.shape) for name, p in parameters.items()} != {name: a.shape for name, a in arrays.items()}:
        raise UserError(
            f"{saved.path}: belongs to a run with another network or optimiser; resume with that run's configuration."
        )
    for name, parameter in parameters.items():
        parameter.set_data(Tensor(arrays[name]))
    return saved.progress


def size_of_state(network: nn.Cell, updates: Sequence[Update], average: Average | None) -> int:
    """Return how many bytes a state takes, without names."""
    return sum(parameter.nbytes for parameter in _parameters(network, updates, average).values())


def digest_of_state(network: nn.Cell, updates: Sequence[Update], average: Average | None, progress: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 digest, 32 bytes, of a state: equal states, bit for bit, have equal digests."""
    digest = hashlib.sha256(repr(progress).encode())
    for name, parameter in _parameters(network, updates, average).items():
        digest.update(name.encode() + parameter.numpy().tobytes())
    return digest.digest()


def _parameters(network: nn.Cell, updates: Sequence[Update], average: Average | None) -> dict[str, Parameter]:
    """Return by name in the file every parameter that is saved."""
    parameters = {f"network/{parameter.name}": parameter for parameter in network.get_parameters()}
    weights = {id(parameter) for parameter in parameters.values()}
    for number, update in enumerate(updates):
        parameters.update(
            {
                f"optimizer{number}/{parameter.name}": parameter
                for parameter in update.optimizer.get_parameters()
                if id(parameter) not in weights and parameter.name != SCHEDULE
            }
        )
    if average:
        parameters.update({f"average/{parameter.name}": parameter for parameter in average.averages})
    return parameters
