"""Inside a compiled function: the same for each of a thousand tensors.

MindSpore unrolls a loop, or a comprehension, into calls within each other and refuses 1000 of them. ``HyperMap`` it takes.
"""
from mindspore import ops

_each = ops.HyperMap()
_flat, _squares, _scaled = map(ops.MultitypeFuncGraph, ("flat", "squares", "scaled"))


def flat(tensors):
    """Return them as 1-D tensors."""
    return _each(_flat, tensors)


def global_norm(tensors):
    """Return the root of the sum of all squares, a scalar tensor."""
    return ops.sqrt(ops.AddN()(_each(_squares, tensors)))


def scaled(factor, tensors):
    """Return them multiplied by ``factor``, a scalar tensor."""
    return _each(ops.partial(_scaled, factor), tensors)


@_flat.register("Tensor")
def _flattened(tensor):
    return tensor.reshape(-1)


@_squares.register("Tensor")
def _sum_of_squares(tensor):
    return (tensor * tensor).sum()


@_scaled.register("Tensor", "Tensor")
def _multiplied(factor, tensor):
    return tensor * factor
