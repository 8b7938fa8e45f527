"""Which optimiser moves which parameters, and from which step on."""
from typing import List, NamedTuple

from mindspore import Parameter, nn

EPSILON = 1e-8  # Adam's, as PyTorch's


class Update(NamedTuple):
    """Parameters that one optimiser moves.

    Attributes:
        optimizer: ``nn.Adam``; its moments begin with its first step.
        parameters: that it moves.
        first: step from which on they move; they are frozen before.
    """

    optimizer: nn.Cell
    parameters: List[Parameter]
    first: int


def adam_updates(network, rates, betas):
    """Return the updates of a network that trains as a whole from the first step on."""
    parameters = network.trainable_params()
    return [Update(nn.Adam(parameters, rates, *betas, EPSILON), parameters, 0)]


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
    early_part = [parameter for parameter in parameters if not late(parameter.name)]
    late_part = [parameter for parameter in parameters if late(parameter.name)]
    updates = []
    for part, start, scale in ((early_part, 0, 1.0), (late_part, first, factor)):
        if part and start < len(rates):
            own_rates = [scale * rate for rate in rates[start:]]
            updates.append(Update(nn.Adam(part, own_rates, *betas, EPSILON), part, start))
    return updates
