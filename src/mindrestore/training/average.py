"""A running average of a network's weights, which often restores better than the weights themselves."""
import contextlib

from mindspore import Parameter, Tensor

from mindrestore.runtime.execution import compiled, put


class Average:
    """Exponential moving average of the trainable parameters: average = decay · average + (1 - decay) · weight.

    Args:
        network: whose weights are averaged; the average begins with those it has now.
        decay: between 0 and 1, such as 0.999.
    """

    def __init__(self, network, decay):
        self.weights = network.trainable_params()
        self.averages = [Parameter(Tensor(weight.numpy()), name=weight.name, requires_grad=False) for weight in self.weights]
        self._mix = compiled(_mix_function(decay))

    def update(self):
        """Take the weights of one more step in."""
        for average, weight in zip(self.averages, self.weights):
            average.set_data(self._mix(Tensor(average), Tensor(weight)))

    @contextlib.contextmanager
    def applied(self):
        """While the context lasts, the network has the averages for weights."""
        trained = [weight.numpy().copy() for weight in self.weights]
        for weight, average in zip(self.weights, self.averages):
            put(weight, average.numpy())
        try:
            yield
        finally:
            for weight, value in zip(self.weights, trained):
                put(weight, value)


def _mix_function(decay):
    def mix(average, weight):
        return decay * average + (1 - decay) * weight
    return mix
