"""The native operator of reversible steps: equal to MindSpore's own operators, forwards and backwards."""

import numpy as np
import pytest
from builders import assert_only_wanted, needs_compiler
from mindspore import Parameter, Tensor

from mindrestore.executor.piecewise import Run, run_of
from mindrestore.models.revsci.layers import Step
from mindrestore.native.coupling import CouplingStep
from mindrestore.ops import convolution_frames

pytestmark = [pytest.mark.usefixtures("prepared"), needs_compiler]

SIZES = {  # (clips, frames, channels, height, width)
    "as published": (1, 8, 32, 16, 48),
    "odd everything": (2, 5, 9, 7, 35),
    "one frame, one row": (1, 1, 4, 1, 3),
    "two frames, one column": (1, 2, 16, 6, 1),
    "wider than a panel": (1, 3, 2, 5, 70),
    "wider than what is filtered at once": (1, 2, 64, 3, 73),
    "wider than what is summed at once": (1, 3, 3, 4, 267),
}


def of_size(size):
    rng = np.random.default_rng(0)
    channels = size[2]
    shapes = 2 * [(channels, channels, 3, 3, 3), (channels,)]
    weights = [
        Parameter(Tensor(rng.uniform(-1, 1, shape).astype(np.float32) / np.sqrt(channels * 27)), name=f"weight{index}")
        for index, shape in enumerate(shapes)
    ]
    step = Step(convolution_frames.conv3d, convolution_frames.CHANNEL_AXIS, *weights)
    return (step, *(Tensor(rng.standard_normal(size, np.float32)) for _ in range(3)))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_step_and_its_gradients_are_equal_to_mindspores(size):
    step, target, source, gradient = of_size(size)
    native, plain = run_of(step, (target, source), 2**22), Run(step, (target, source), 2**22)
    assert isinstance(native, CouplingStep)
    wanted = (True, True), (True,) * 4
    found, expected = ([run.forward(), *sum(run.backward(gradient, wanted), [])] for run in (native, plain))
    names = ("result", "target", "source", *step.names)
    assert len(names) == len(found) == len(expected)
    for name, one, other in zip(names, found, expected):
        one, other = one.asnumpy(), other.asnumpy()
        assert one.shape == other.shape and np.abs(other).max() > 0, name
        assert np.abs(one - other).max() <= 5e-6 * np.abs(other).max(), name
    again = run_of(step, (found[0], source), 2**22).backward_undoing(gradient, wanted)
    np.testing.assert_allclose(again[0].asnumpy(), target.asnumpy(), atol=2e-6)
    for one, other in zip(sum(again[1:], []), found[1:]):
        np.testing.assert_array_equal(one.asnumpy(), other.asnumpy())


def test_only_what_is_wanted_is_computed():
    step, target, source, gradient = of_size(SIZES["odd everything"])
    native = run_of(step, (target, source), 2**22)
    assert_only_wanted(native, gradient, inputs=2, weights=4)
