"""An imitation of the unit that multiplies and convolves on an Ascend, for operators that run one by one on a CPU.

What it does is from documents: a 910 takes operands rounded to float16 whatever it is given, sums products in float32 and
gives float16 back, on the way back to gradients as well; a number too large stays at 65504, what is none becomes 0, and a
register notes it. A 910B does so with what is float16 already, has infinities, and leaves float32 alone. Conv3d and
Conv3DTranspose take float16 only, in one group. That sums of gradients of weights are rounded too is the worst case.
"""

import mindspore as ms
import numpy as np
from mindspore import Tensor, amp, nn, ops

from mindrestore.runtime import device

LARGEST = 65504.0
OPERATORS = ("MatMul", "BatchMatMul", "Conv2D", "Conv3D", "Conv3DTranspose")  # made of settings, then called with two tensors
FLOAT16_ONLY = ("Conv3D", "Conv3DTranspose")


class CubeUnit:
    """Takes the place of MindSpore's operators while ``monkeypatch`` lasts.

    Args:
        model: "910" or "910B".
    """

    def __init__(self, monkeypatch, model):
        self.saturates = model == "910"
        self._noted = False
        self._rounded = _Rounded(self)
        self._all_finite = amp.all_finite
        for name in OPERATORS:
            monkeypatch.setattr(ops, name, self._making(name, getattr(ops, name)))
        monkeypatch.setattr(amp, "all_finite", self.all_finite)
        monkeypatch.setattr(device, "name", lambda: "ascend")

    def stored(self, x):
        """Return x as float16 holds it, in its own type, and note whether it is too large for it."""
        given = x.asnumpy()
        with np.errstate(over="ignore"):
            half = given.astype(np.float16)
        if not np.isfinite(half).all():
            self._noted = True
            half = np.nan_to_num(half, nan=0.0, posinf=LARGEST, neginf=-LARGEST) if self.saturates else half
        return Tensor(half.astype(given.dtype))

    def overflowed(self):
        """Read the register, and clear it."""
        noted, self._noted = self._noted, False
        return noted

    def all_finite(self, tensors):
        """As ``mindspore.amp.all_finite`` on this model: a 910 asks its register alone."""
        return Tensor(not self.overflowed()) if self.saturates else self._all_finite(tensors)

    def _making(self, name, operator):
        def make(*settings, **named):
            if name in FLOAT16_ONLY and named.get("group", 1) != 1:
                raise ValueError(f"For {name} on Ascend, group must be 1.")
            return self._computing(name, operator(*settings, **named))

        return make

    def _computing(self, name, multiply):
        def compute(left, right):
            if name in FLOAT16_ONLY and (left.dtype, right.dtype) != (ms.float16, ms.float16):
                raise TypeError(f"For {name} on Ascend, operands must be float16, got {left.dtype} and {right.dtype}.")
            if not self.saturates and left.dtype == ms.float32:
                return multiply(left, right)
            left, right, given = left.astype(ms.float32), right.astype(ms.float32), left.dtype
            return self._rounded(multiply(self._rounded(left), self._rounded(right))).astype(given)

        return compute


class _Rounded(nn.Cell):
    """Rounds on the way there and on the way back."""

    def __init__(self, unit):
        super().__init__(auto_prefix=False)
        self.unit = unit

    def construct(self, x):
        return self.unit.stored(x)

    def bprop(self, x, out, dout):
        return (self.unit.stored(dout),)
