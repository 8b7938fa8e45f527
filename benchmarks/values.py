"""Values that are the same in every process."""
import math

import numpy as np


def weights(shapes):
    """Return name -> random values, the same for the same names and shapes."""
    rng = np.random.default_rng(1)
    bounds = {name: 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.05 for name, shape in shapes.items()}
    return {name: rng.uniform(-bounds[name], bounds[name], shapes[name]).astype(np.float32) for name in sorted(shapes)}


def norm(arrays):
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))
