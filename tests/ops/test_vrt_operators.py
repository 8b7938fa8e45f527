"""Operators of VRT: warping, deformable convolution, activations, windows; golden numbers, gradients, properties."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from places import GOLDEN

from mindrestore.ops import windows
from mindrestore.ops.activations import gelu, sigmoid, tanh
from mindrestore.ops.deformable import deformable_conv2d_features
from mindrestore.ops.warp import warp, warp_nearest4

pytestmark = pytest.mark.usefixtures("prepared")

OPERATORS = np.load(GOLDEN / "operators.npz")


def golden(*names):
    return [Tensor(OPERATORS[name]) for name in names]


def close(found, name, atol):
    np.testing.assert_allclose(found.asnumpy(), OPERATORS[name], rtol=1e-4, atol=atol, err_msg=name)


@pytest.fixture(params=["eager", "compiled"])
def run(request):
    """``run(function, *arguments)`` -> its value and the gradients of the value's mean square, eagerly or compiled."""

    def run(function, *arguments):
        def pulled(*arguments):
            value, pull = ms.vjp(function, *arguments)
            return value, pull(value * (2 / value.size))

        ready = ms.jit(pulled) if request.param == "compiled" else pulled
        return ready(*arguments)

    return run


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_golden_warp(padding, run):
    x, flow = golden("input", "flow")

    def padded(x, flow):
        return warp(x, flow, padding)

    y, (of_x, of_flow) = run(padded, x, flow.transpose(0, 3, 1, 2))
    close(y, f"warp_bilinear_{padding}", atol=1e-5)
    close(of_x, f"warp_{padding}_grad_input", atol=1e-7)
    close(of_flow.transpose(0, 2, 3, 1), f"warp_{padding}_grad_flow", atol=1e-7)


def test_golden_nearest_warp_has_no_gradient_to_the_flow(run):
    x, flow = golden("input", "flow")
    y, (of_x, of_flow) = run(warp_nearest4, x, flow.transpose(0, 3, 1, 2))
    close(y, "warp_nearest4_zeros", atol=0)
    assert np.abs(of_x.asnumpy()).max() > 0
    np.testing.assert_array_equal(of_flow.asnumpy(), 0)


def channels_first(x, offset, mask, weight, bias):
    return deformable_conv2d_features(x.permute(0, 2, 3, 1), offset, mask, weight, bias).permute(0, 3, 1, 2)


@pytest.mark.parametrize("groups", [1, 2])
def test_golden_deformable_convolution(groups, run):
    names = [f"deform_g{groups}_{name}" for name in ("offset_yx", "mask", "weight", "bias")]
    y, gradients = run(channels_first, *golden("input", *names))
    close(y, f"deform_g{groups}_output", atol=1e-5)
    for name, gradient in zip(("input", "offset", "mask", "weight"), gradients):
        close(gradient, f"deform_g{groups}_grad_{name}", atol=1e-7)


# Activations: the published networks' numbers are those of the exact functions


@pytest.mark.parametrize(
    "function, exact, slope",
    [
        (gelu, lambda x: x * normal(x), lambda x: normal(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)),
        (tanh, np.tanh, lambda x: 1 - np.tanh(x) ** 2),
        (sigmoid, lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
    ],
    ids=["gelu", "tanh", "sigmoid"],
)
def test_activations_are_exact(function, exact, slope):
    x = np.linspace(-12, 12, 4801, dtype=np.float32)
    y, pull = ms.vjp(function, Tensor(x))
    exact_x = x.astype(np.float64)
    np.testing.assert_allclose(y.asnumpy(), exact(exact_x), rtol=0, atol=1e-6)
    np.testing.assert_allclose(pull(ms.ops.ones_like(y))[0].asnumpy(), slope(exact_x), rtol=0, atol=2e-6)


def normal(x):
    return np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in x])


# Windows


@pytest.mark.parametrize("size, window", [((4, 8, 8), (2, 4, 4)), ((3, 9, 12), (2, 4, 4)), ((1, 8, 6), (2, 4, 8))])
@pytest.mark.parametrize("shifted", [False, True])
def test_windows_and_back_is_the_identity(size, window, shifted):
    rows = np.random.default_rng(0).random((2 * math.prod(size), 5), np.float32)
    cut = windows.windows(2, size, window, shifted)
    tokens = windows.to_windows(Tensor(rows), cut.order, cut.real is not None).asnumpy()
    np.testing.assert_array_equal(tokens[cut.inverse.asnumpy()], rows)
    padding = np.delete(tokens, cut.inverse.asnumpy(), 0)
    np.testing.assert_array_equal(padding, 0)
    assert (cut.real is None) == (len(padding) == 0)


def test_windows_that_fill_the_map_do_not_shift():
    assert windows.fitted((6, 8, 16), (6, 8, 8), True) == ((6, 8, 8), (0, 0, 4))
    assert windows.fitted((2, 8, 8), (6, 8, 8), True) == ((2, 8, 8), (0, 0, 0))


def test_masked_are_tokens_that_only_the_shift_brought_together():
    cut = windows.windows(1, (2, 8, 8), (2, 4, 4), True)
    at = np.stack(np.unravel_index(cut.order.asnumpy().reshape(-1, 32), (2, 8, 8)), -1)  # (windows, tokens, 3)
    apart = np.abs(at[:, :, None] - at[:, None, :]).max(-1) >= 4
    masks = cut.masks.asnumpy()[cut.kinds.asnumpy()]
    np.testing.assert_array_equal(masks, np.where(apart, windows.MASKED, 0))
