"""Operators of VRT: warping, deformable convolution, activations, windows; golden numbers, gradients, properties."""
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from mindrestore.ops.deformable import deformable_conv2d
from mindrestore.ops.warp import warp, warp_nearest4

pytestmark = pytest.mark.usefixtures("prepared")

GOLDEN = np.load(Path(__file__).parent / "golden" / "operators.npz")


def golden(*names):
    return [Tensor(GOLDEN[name]) for name in names]


def close(found, name, atol):
    np.testing.assert_allclose(found.asnumpy(), GOLDEN[name], rtol=1e-4, atol=atol, err_msg=name)


@pytest.fixture(params=["eager", "compiled"])
def run(request):
    """``run(function, *arguments)`` -> its value and the gradients of the value's mean square, eagerly or compiled."""
    def run(function, *arguments):
        def pulled(*arguments):
            value, pull = ms.vjp(function, *arguments)
            return value, pull(value * (2 / value.size))
        return (ms.jit(pulled) if request.param == "compiled" else pulled)(*arguments)
    return run


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_golden_warp(padding, run):
    x, flow = golden("input", "flow")
    y, (of_x, of_flow) = run(lambda x, flow: warp(x, flow, padding), x, flow.transpose(0, 3, 1, 2))
    close(y, f"warp_bilinear_{padding}", atol=1e-5)
    close(of_x, f"warp_{padding}_grad_input", atol=1e-7)
    close(of_flow.transpose(0, 2, 3, 1), f"warp_{padding}_grad_flow", atol=1e-7)


def test_golden_nearest_warp_has_no_gradient_to_the_flow(run):
    x, flow = golden("input", "flow")
    y, (of_x, of_flow) = run(warp_nearest4, x, flow.transpose(0, 3, 1, 2))
    close(y, "warp_nearest4_zeros", atol=0)
    assert np.abs(of_x.asnumpy()).max() > 0
    np.testing.assert_array_equal(of_flow.asnumpy(), 0)


@pytest.mark.parametrize("groups", [1, 2])
def test_golden_deformable_convolution(groups, run):
    names = [f"deform_g{groups}_{name}" for name in ("offset_yx", "mask", "weight", "bias")]
    y, gradients = run(deformable_conv2d, *golden("input", *names))
    close(y, f"deform_g{groups}_output", atol=1e-5)
    for name, gradient in zip(("input", "offset", "mask", "weight"), gradients):
        close(gradient, f"deform_g{groups}_grad_{name}", atol=1e-7)
