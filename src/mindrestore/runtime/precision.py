"""Which number type this process multiplies and convolves in, and whether numbers have outgrown it. Never asked by a model.

An Ascend 910 keeps a float16 that is too large at 65504, so that no result shows it, and notes in a register that it
happened; a 910B does so too under ``MS_ASCEND_CHECK_OVERFLOW_MODE=SATURATION_MODE``. MindSpore's ``amp.all_finite`` knows
which device it is: it reads and clears the register there, and looks at the numbers elsewhere. From MindSpore's source and
CANN's documents (``aclrtFloatOverflowMode``); tried here with an imitation only.
"""
from typing import Iterable

import mindspore as ms
from mindspore import Tensor, amp

from mindrestore.runtime import device

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
    """Forget what has overflowed so far, such as in a validation; must precede the computation that is asked about."""
    if device.name() == "ascend":
        amp.all_finite([Tensor([0.0], ms.float32)])  # asking clears


def none_overflowed(tensors: Iterable[Tensor]) -> Tensor:
    """Return a float32 scalar tensor: 1 if nothing in ``tensors``, or computed since ``forget_overflow``, overflowed."""
    return amp.all_finite(list(tensors)).to(ms.float32)
