"""Matrix products in float16 for training in mixed precision; everything else stays float32.

Source: mixed precision training (arXiv 1710.03740). Products of float16 operands are summed in float32 by the hardware this
is for, and come back as float32. They are those of linear layers and of attention. Convolutions, the deformable one too, and
warping stay as they are: float16 would round flows and offsets to a 32nd of a pixel and worse.
"""
import contextlib

import mindspore as ms
from mindspore.ops import constexpr

_on = False


@contextlib.contextmanager
def used():
    """While the context lasts, ``product`` multiplies in float16, and what is compiled within it does so ever after."""
    global _on
    former, _on = _on, True
    try:
        yield
    finally:
        _on = former


def product(multiply, left, right):
    """Return ``multiply(left, right)`` as float32; within ``used`` of operands rounded to float16."""
    if not _is_on():
        return multiply(left, right)
    return multiply(left.to(ms.float16), right.to(ms.float16)).to(ms.float32)


@constexpr(reuse_result=False)
def _is_on():
    """Asked while a graph is compiled, whose own code would keep the first answer."""
    return _on
