"""A running average of a network's weights, which often restores better than the weights themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from mindspore import Parameter, Tensor, nn

from mindrestore.runtime.execution import assign_in_place, compiled


class Average:
    """Exponential moving average of the trainable parameters: average = decay · average + (1 - decay) · weight.

    Args:
        network: its trainable parameters are averaged, beginning with their present values.
        decay: between 0 and 1, such as 0.999.
    """

    @classmethod
    def wanted(cls, network: nn.Cell, decay: float | None) -> Average | None:
        """Return the average that a configuration asks for: of ``decay``, or none where that is ``None``."""
        return None if decay is None else cls(network, decay)

    def __init__(self, network: nn.Cell, decay: float) -> None:
        self.weights = network.trainable_params()
        self.averages = [Parameter(Tensor(weight.numpy()), name=weight.name, requires_grad=False) for weight in self.weights]
        self._mix = compiled(_mix_function(decay))

    def update(self) -> None:
        """Mix in the present weights, once a step."""
        for average, weight in zip(self.averages, self.weights):
            average.set_data(self._mix(Tensor(average), Tensor(weight)))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """While the context lasts, the network's weights are the averages."""
        trained = [weight.numpy().copy() for weight in self.weights]
        for weight, average in zip(self.weights, self.averages):
            assign_in_place(weight, average.numpy())
        try:
            yield
        finally:
            for weight, value in zip(self.weights, trained):
                assign_in_place(weight, value)


def _mix_function(decay: float) -> Callable[[Tensor, Tensor], Tensor]:
    def mix(average: Tensor, weight: Tensor) -> Tensor:
        return decay * average + (1 - decay) * weight

    return mix
