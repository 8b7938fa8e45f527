"""Matrix products and convolutions in float16, where ``runtime.precision`` says so; everything else stays float32.

Source: mixed precision training (arXiv 1710.03740). Operands are rounded to float16, products summed in float32 by the
hardware this is for, and the sums, rounded to float16, come back as float32. Flows and the offsets of alignment are found
in float32 (``convolution_images.conv2d`` with ``exact``), as float16 would round them to a 32nd of a pixel and worse; so
are warping, normalisation and softmax.
"""
from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
from mindspore import Tensor
from mindspore.ops import constexpr

from mindrestore.runtime import precision


def product(multiply: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> Tensor:
    """Return ``multiply(left, right)``, a matrix product or convolution of float32, as float32."""
    return in_float16(multiply, left, right) if _chosen() else multiply(left, right)


def in_float16(multiply: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> Tensor:
    """As ``product``, of operands rounded to float16 whatever the precision."""
    return multiply(left.to(ms.float16), right.to(ms.float16)).to(ms.float32)


@constexpr(reuse_result=False)
def _chosen() -> bool:
    """Asked while a graph is compiled, whose own code would keep the first answer."""
    return precision.chosen() == "float16"
