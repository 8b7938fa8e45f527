"""Whether numbers have outgrown their type, on devices that have an infinity and on those that do not.

An Ascend 910 keeps a float16 that is too large at 65504, so that no result shows it, and notes in a register that it
happened; a 910B does so too under ``MS_ASCEND_CHECK_OVERFLOW_MODE=SATURATION_MODE``. MindSpore's ``amp.all_finite`` knows
which device it is: it reads and clears the register there, and looks at the numbers elsewhere. From MindSpore's source and
CANN's documents (``aclrtFloatOverflowMode``); tried here with an imitation only.
"""
import mindspore as ms
from mindspore import Tensor, amp

from mindrestore.runtime import device


def forget():
    """Forget what has overflowed so far, such as in a validation; must precede the computation that is asked about."""
    if device.name() == "ascend":
        amp.all_finite([Tensor([0.0], ms.float32)])  # asking clears


def none_in(tensors):
    """Return a float32 scalar tensor: 1 if nothing in ``tensors``, or on the way to them since ``forget``, has overflowed."""
    return amp.all_finite(list(tensors)).to(ms.float32)
