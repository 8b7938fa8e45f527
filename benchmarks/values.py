"""Values that are the same in every process."""

import math

import numpy as np


def weights(shapes):
    """Return name -> random values, the same for the same names and shapes."""
    rng = np.random.default_rng(1)
    bounds = {name: 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.05 for name, shape in shapes.items()}
    return {name: rng.uniform(-bounds[name], bounds[name], shapes[name]).astype(np.float32) for name in sorted(shapes)}


def fill_mindspore(cell):
    """Give the parameters of a MindSpore cell their ``weights``."""
    import mindspore as ms

    parameters = {parameter.name: parameter for parameter in cell.get_parameters()}
    for name, value in weights({name: parameter.shape for name, parameter in parameters.items()}).items():
        parameters[name].set_data(ms.Tensor(value))


def fill_torch(module):
    """Give the parameters of a PyTorch module their ``weights``."""
    import torch

    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights(shapes).items()})


def norm(arrays):
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))
