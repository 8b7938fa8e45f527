"""Matrix products and convolutions in float16 if ``runtime.precision`` says so; everything else is float32.

Source: mixed precision training (arXiv 1710.03740). Operands are rounded to float16, GPU and Ascend sum products in float32,
and the sums, rounded to float16, are converted to float32. Flows and the offsets of alignment are computed in float32
(``convolution_images.conv2d`` with ``exact``), as float16 would round them to a 32nd of a pixel or worse; so are warping,
normalisation and softmax.
"""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
from mindspore import Tensor
from mindspore.ops import constexpr

from mindrestore.runtime import precision


def product(multiply: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> Tensor:
    """Return ``multiply(left, right)``, a matrix product or convolution of float32, as float32."""
    return in_float16(multiply, left, right) if _is_half() else multiply(left, right)


def in_float16(multiply: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> Tensor:
    """As ``product``, with operands rounded to float16 whatever the precision."""
    return multiply(left.to(ms.float16), right.to(ms.float16)).to(ms.float32)


@constexpr(reuse_result=False)
def _is_half() -> bool:
    """Ask for the precision while a graph is compiled, as compiled code would cache the first answer."""
    return precision.chosen() == "float16"
