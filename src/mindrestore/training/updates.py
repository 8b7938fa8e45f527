"""Which optimiser moves which parameters, and from which step on."""
from typing import List, NamedTuple

from mindspore import nn

EPSILON = 1e-8  # Adam's, as PyTorch's


class Update(NamedTuple):
    """Parameters that one optimiser moves.

    Attributes:
        optimizer: ``nn.Adam``; its moments begin with its first step.
        indices: of its parameters among the network's trainable ones.
        first: step from which on they move; they are frozen before.
    """

    optimizer: nn.Cell
    indices: List[int]
    first: int


def adam_updates(network, rates, betas):
    """Return the updates of a network that trains as a whole from the first step on."""
    parameters = network.trainable_params()
    return [Update(nn.Adam(parameters, rates, *betas, EPSILON), list(range(len(parameters))), 0)]


def adam_updates_with_late_part(network, rates, betas, late, first, factor):
    """Return the updates of a network of which a part is frozen at first.

    Args:
        network: its trainable parameters are trained.
        rates: learning rate of each step.
        betas: of Adam.
        late: ``late(name)`` tells whether a parameter belongs to the part.
        first: step from which on the part is trained.
        factor: of its learning rate.
    """
    parameters = network.trainable_params()
    early_part = [index for index, parameter in enumerate(parameters) if not late(parameter.name)]
    late_part = [index for index, parameter in enumerate(parameters) if late(parameter.name)]
    updates = []
    for indices, start, scale in ((early_part, 0, 1.0), (late_part, first, factor)):
        if indices and start < len(rates):
            own_rates = [scale * rate for rate in rates[start:]]
            optimizer = nn.Adam([parameters[index] for index in indices], own_rates, *betas, EPSILON)
            updates.append(Update(optimizer, indices, start))
    return updates
