"""Matrix products in float16 for training in mixed precision; everything else stays float32.

Source: mixed precision training (arXiv 1710.03740). Products of float16 operands are summed in float32 by the hardware this
is for, and come back as float32. Convolutions are no products here: those of VRT find flows and offsets, which float16 would
round to a 32nd of a pixel and worse.
"""
import mindspore as ms
from mindspore.ops.primitive import constexpr

_on = False


def use(on):
    """Make ``product`` multiply in float16 from now on, or in float32; what is compiled already stays as it is."""
    global _on
    _on = on


def product(multiply, left, right):
    """Return ``multiply(left, right)``, in float32, of operands in float16 if that was asked for."""
    if not _is_on():
        return multiply(left, right)
    return multiply(left.astype(ms.float16), right.astype(ms.float16)).astype(ms.float32)


@constexpr(reuse_result=False)
def _is_on():
    """Asked while a graph is compiled, whose own code would keep the first answer."""
    return _on
