"""The state of a training run in one file, from which it goes on exactly."""
from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mindspore import Parameter, Tensor, nn

from mindrestore.checkpoints.native import load_arrays, save_arrays
from mindrestore.config.sections import Common
from mindrestore.errors import UserError
from mindrestore.files import PathLike
from mindrestore.training.average import Average
from mindrestore.training.optimizers import Update

SCHEDULE = "learning_rate"  # name of an optimiser's table of rates, one a step


def run_folder(config: Common) -> Path:
    """Return the output folder of a training run."""
    return Path(config.output or f"runs/{config.name}")


def state_path(config: Common) -> Path:
    """Return the path of the file that a training run is resumed from."""
    return run_folder(config) / "last_state.ckpt"


def save_state(path: PathLike, network: nn.Cell, updates: Sequence[Update], average: Average | None, *,
               progress: Mapping[str, Any]) -> None:
    """Write weights, their average, the optimisers' moments and counters, and ``progress`` (JSON values) to ``path``.

    The file is written whole or not at all. Learning rates are the configuration's, so a run may be resumed with more steps
    or another rate than it began with. What a step draws at random follows from the seed and the step's number, so there is
    no random state to save.
    """
    save_arrays(path, {name: p.numpy() for name, p in _parameters(network, updates, average).items()}, progress)


def restore_state(path: PathLike, network: nn.Cell, updates: Sequence[Update], average: Average | None) -> dict[str, Any]:
    """Set weights, average and optimisers from ``path`` and return its progress; raises ``UserError`` if they do not fit."""
    arrays, progress = load_arrays(path)
    parameters = _parameters(network, updates, average)
    if {name: tuple(p.shape) for name, p in parameters.items()} != {name: a.shape for name, a in arrays.items()}:
        raise UserError(f"{path}: belongs to a run with another network or optimiser; resume with that run's configuration.")
    for name, parameter in parameters.items():
        parameter.set_data(Tensor(arrays[name]))
    return progress


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
        parameters.update({f"optimizer{number}/{parameter.name}": parameter for parameter in update.optimizer.get_parameters()
                      if id(parameter) not in weights and parameter.name != SCHEDULE})
    if average:
        parameters.update({f"average/{parameter.name}": parameter for parameter in average.averages})
    return parameters
