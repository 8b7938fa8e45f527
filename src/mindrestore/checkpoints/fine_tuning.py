"""Start from the weights of another network: what fits is taken, the rest is named."""
from typing import FrozenSet, NamedTuple

import mindspore
import numpy as np

from mindrestore.checkpoints.sources import described, read_arrays
from mindrestore.checkpoints.wording import some_of
from mindrestore.errors import UserError


class Taken(NamedTuple):
    """What ``start_from`` did.

    Attributes:
        sentence: says how many parameters were taken, and names those that were not.
        names: of those that were.
    """

    sentence: str
    names: FrozenSet[str]


def start_from(network, source, prefix=""):
    """Set those parameters of ``network`` that ``source`` has in their shape.

    Args:
        network: any of ours.
        source: as for ``load_published_weights``: a published file, our own checkpoint, or a dict of arrays.
        prefix: put before the source's names, for the weights of a part such as ``"spynet."``; names that have it
            already stay.

    Returns:
        ``Taken``.

    Raises:
        UserError: no parameter fits.
    """
    arrays = {name if name.startswith(prefix) else prefix + name: array for name, array in read_arrays(source).items()
              if isinstance(array, np.ndarray)}
    parameters = {parameter.name: parameter for parameter in network.get_parameters() if parameter.name.startswith(prefix)}
    fits = [name for name, parameter in parameters.items() if name in arrays and arrays[name].shape == tuple(parameter.shape)]
    misshapen = [f"{name} {arrays[name].shape} instead of {tuple(parameter.shape)}" for name, parameter in parameters.items()
                 if name in arrays and name not in fits]
    missing = [name for name in parameters if name not in arrays]
    if not fits:
        raise UserError(f"{described(source)}: none of its weights fits the network; give a checkpoint of a similar one.")
    for name in fits:
        parameters[name].set_data(mindspore.Tensor(np.asarray(arrays[name], order="C"), parameters[name].dtype))
    left = {"differ in shape": misshapen, "are missing": missing}
    kept = [f"{len(names)} {what} ({some_of(names)})" for what, names in left.items() if names]
    return Taken(f"{described(source)}: {len(fits)} of {len(parameters)} parameters taken" + (
        f"; {' and '.join(kept)} and keep their first values." if kept else "."), frozenset(fits))
