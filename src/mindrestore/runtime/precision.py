"""Which number type this process multiplies and convolves in, and whether numbers overflowed it. Never asked by a model.

An Ascend 910 saturates: a float16 that is too large becomes 65504, so that no result shows the overflow, which is noted in a
register; a 910B does so too under ``MS_ASCEND_CHECK_OVERFLOW_MODE=SATURATION_MODE``. There MindSpore's ``amp.all_finite`` reads
and clears the register; elsewhere it looks at the numbers. From MindSpore's source and CANN's documents
(``aclrtFloatOverflowMode``); tried here with an imitation only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mindrestore.runtime import device

if TYPE_CHECKING:
    from mindspore import Tensor

CHOICES = ("float32", "float16")
_chosen = "float32"


def use(choice: str) -> None:
    """Multiply and convolve in ``choice``, one of ``CHOICES``, from now on; what is compiled already stays as it is."""
    global _chosen
    _chosen = choice


def chosen() -> str:
    """Return ``"float32"`` or ``"float16"``."""
    return _chosen


def forget_overflow() -> None:
    """Forget earlier overflows, such as of a validation. Call it before what ``none_overflowed`` is to judge."""
    if device.name() == "ascend":
        import mindspore as ms
        from mindspore import Tensor, amp

        amp.all_finite([Tensor([0.0], ms.float32)])  # asking clears


def none_overflowed(tensors: Iterable[Tensor]) -> Tensor:
    """Return a float32 scalar tensor: 1 if nothing in ``tensors``, or computed since ``forget_overflow``, overflowed."""
    import mindspore as ms
    from mindspore import amp

    return amp.all_finite(list(tensors)).to(ms.float32)
