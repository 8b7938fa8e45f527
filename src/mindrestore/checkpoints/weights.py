"""Arrays by name into the parameters of a network: all of them, or those of another network that fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mindrestore.checkpoints.sources import Arrays, Source, described, prefixes, read_arrays
from mindrestore.errors import UserError, printable, some_of
from mindrestore.files import PathLike

if TYPE_CHECKING:
    from mindspore import Parameter, nn


def load_published_weights(network: nn.Cell, source: Source) -> nn.Cell:
    """Set every parameter of ``network`` from ``source`` and return the network.

    ``source`` is anything ``read_arrays`` takes: the path of a PyTorch file, .npz, .safetensors or .ckpt, or a dict of
    name -> array. Names and shapes must be those of the network's parameters, every one and no other. A network may
    have a method ``published_buffers(name)`` that is true for names of published entries that it computes itself;
    these are passed over. Raises ``UserError`` that lists what is missing, unexpected and misshapen; the network is
    then unchanged.
    """
    set_weights(network, read_arrays(source), described(source))
    return network


def set_weights(network: nn.Cell, arrays: Arrays, where: PathLike) -> None:
    """Set every parameter of ``network`` from ``arrays`` (name -> NumPy array); ``where`` names them in an error.

    Raises ``UserError`` as ``load_published_weights`` does, and for weights that are not finite.
    """
    parameters = {parameter.name: parameter for parameter in network.get_parameters()}
    computed = getattr(network, "published_buffers", lambda name: False)
    missing = [name for name in parameters if name not in arrays]
    unexpected = [name for name in arrays if name not in parameters and not computed(name)]
    misfits = [_misfit(parameters[name], array) for name, array in arrays.items() if name in parameters]
    misshapen = [misfit for misfit in misfits if misfit]
    kinds = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    _refuse_not_finite({name: arrays[name] for name in parameters if name in arrays}, where)
    faults = [f"{len(names)} {kind} ({some_of(names)})" for kind, names in kinds.items() if names]
    if faults:
        prefix = next((each for each in prefixes(unexpected) if all(each + name in arrays for name in missing)), None)
        advice = f"; {stripped(prefix)}" if prefix and missing else ""
        raise UserError(
            f"{where}: the weights do not fit the network's {len(parameters)} parameters: {', '.join(faults)}{advice}."
        )
    for name, parameter in parameters.items():
        _set(parameter, arrays[name])


def _set(parameter: Parameter, array: np.ndarray) -> None:
    from mindspore import Tensor

    parameter.set_data(Tensor(np.asarray(array, order="C"), parameter.dtype))


def stripped(prefix: str) -> str:
    """Return what to do with names that have ``prefix`` in front of a network's own."""
    return f"save what begins with {printable(prefix)} by itself, without {printable(prefix)} in front of its names"


def _refuse_not_finite(arrays: Arrays, where: PathLike) -> None:
    """Raise ``UserError`` that counts the ``arrays`` with numbers that are not finite, if there are any."""
    bad = [name for name, array in arrays.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]
    if bad:
        raise UserError(
            f"{where}: {len(bad)} of {len(arrays)} weights hold NaN or infinity ({some_of(bad)}), as a training "
            "that diverged leaves them; give an earlier checkpoint."
        )


def _misfit(parameter: Parameter, array: np.ndarray) -> str | None:
    """Return how ``array`` differs in shape or kind of number from ``parameter``, None if it fits."""
    if tuple(parameter.shape) != array.shape:
        return f"{parameter.name} is {array.shape}, expected {tuple(parameter.shape)}"
    if array.dtype.kind == "c":
        return f"{parameter.name} is {array.dtype}, expected real numbers"
    return None


class Taken(NamedTuple):
    """What ``start_from`` did.

    Attributes:
        sentence: says how many parameters were set, and names those that were not.
        names: of the parameters that were set.
    """

    sentence: str
    names: frozenset[str]


def start_from(network: nn.Cell, source: Source, prefix: str = "") -> Taken:
    """Set those parameters of ``network`` that ``source`` has in their shape.

    Args:
        network: whose parameters are set.
        source: as for ``load_published_weights``: a published file, our own checkpoint, or a dict of arrays.
        prefix: put before the source's names, for the weights of a part such as ``"spynet."``; names that have it
            already stay.

    Returns:
        ``Taken``.

    Raises:
        UserError: no parameter fits.
    """
    arrays = {
        name if name.startswith(prefix) else prefix + name: array
        for name, array in read_arrays(source).items()
        if isinstance(array, np.ndarray)
    }
    parameters = {parameter.name: parameter for parameter in network.get_parameters() if parameter.name.startswith(prefix)}
    fits = [name for name, parameter in parameters.items() if name in arrays and arrays[name].shape == tuple(parameter.shape)]
    misshapen = [
        f"{name} {arrays[name].shape} instead of {tuple(parameter.shape)}"
        for name, parameter in parameters.items()
        if name in arrays and name not in fits
    ]
    missing = [name for name in parameters if name not in arrays]
    if not fits:
        raise UserError(f"{described(source)}: none of its weights fits the network; give a checkpoint of a similar one.")
    _refuse_not_finite({name: arrays[name] for name in fits}, described(source))
    for name in fits:
        _set(parameters[name], arrays[name])
    unset = {"differ in shape": misshapen, "are missing": missing}
    notes = [f"{len(names)} {reason} ({some_of(names)})" for reason, names in unset.items() if names]
    return Taken(
        f"{described(source)}: {len(fits)} of {len(parameters)} parameters taken"
        + (f"; {' and '.join(notes)} and keep their first values." if notes else "."),
        frozenset(fits),
    )
