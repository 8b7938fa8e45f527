"""Multiply-adds: what is computed from settings against what a forward pass multiplies, and against layers by hand."""

import enlarger
import numpy as np
import pytest
from builders import EXPORTABLE, INTERPOLATING, TINY_VRT, WITHOUT_FLOWS
from mindspore import Tensor, ops

from mindrestore.evaluation.results import operations_line
from mindrestore.models import create_model
from mindrestore.models.vrt.operations import products
from mindrestore.runtime import execution


@pytest.fixture
def multiplied(monkeypatch):
    """The multiply-adds of all matrix products and convolutions of images from here on, in a list of numbers."""
    execution.use("pynative")
    counts = []
    call = {kind: kind.__call__ for kind in (ops.Conv2D, ops.MatMul, ops.BatchMatMul)}

    def convolution(self, x, weight):
        y = call[ops.Conv2D](self, x, weight)
        counts.append(y.size // y.shape[1] * weight.size)
        return y

    def matrices(kind):
        def product(self, left, right):
            y = call[kind](self, left, right)
            inner = left.shape[-2 if getattr(self, "transpose_a", False) else -1]
            counts.append(y.size * inner if inner > 1 else 0)  # of one column each it is a copy, see ``rows.spread``
            return y

        return product

    monkeypatch.setattr(ops.Conv2D, "__call__", convolution)
    monkeypatch.setattr(ops.MatMul, "__call__", matrices(ops.MatMul))
    monkeypatch.setattr(ops.BatchMatMul, "__call__", matrices(ops.BatchMatMul))
    yield counts
    execution.use("graph")


@pytest.mark.parametrize(
    "settings, frames",
    [
        (TINY_VRT, 2),
        pytest.param(dict(TINY_VRT, upscale=4, img_size=[4, 64, 64]), 4, marks=pytest.mark.long),
        pytest.param(INTERPOLATING, 4, marks=pytest.mark.long),
        pytest.param(WITHOUT_FLOWS, 4, marks=pytest.mark.long),
        pytest.param(EXPORTABLE["deblur"], 2, marks=pytest.mark.long),
    ],
)
def test_a_vrt_multiplies_as_often_as_is_said(settings, frames, multiplied):
    network = create_model("vrt", **settings).set_train(False)
    channels = 3 + network.abilities.takes_noise_level
    clip = np.random.default_rng(0).random((1, frames, channels, 64, 128), np.float32)
    network(Tensor(clip))
    said = network.multiply_adds(frames, 64, 128)
    assert sum(multiplied) == said


def test_a_network_of_a_user_multiplies_as_often_as_it_says(multiplied):
    network = enlarger.KIND.network(enlarger.EnlargerSettings(times=3, kernel=5))
    network(Tensor(np.zeros((1, 2, 3, 16, 24), np.float32)))
    assert sum(multiplied) == network.multiply_adds(2, 16, 24)


def test_layers_of_a_vrt_by_hand():
    network = create_model("vrt", **WITHOUT_FLOWS)
    assert products(network.conv_first) == 4 * 8 * 9  # RGB and noise level -> 8 channels, 3 x 3
    assert products(network.conv_last) == 8 * 3 * 9
    first, *_ = network.stage1.residual_group2.blocks
    # queries, keys and values, projection, and the three layers of a gated MLP of 2 x 8 channels
    assert products(first) == 8 * 24 + 8 * 8 + 3 * 8 * 16


@pytest.mark.parametrize("colour", [False, True])
def test_a_revsci_by_hand(colour):
    """16 channels instead of 64: every width is a quarter of the published one."""
    network = create_model("revsci", blocks=3, channels=16, coupling="two_way", colour=colour)
    sizes = {name: parameter.size for name, parameter in network.parameters_and_names() if name.endswith("weight")}
    full = [f"conv1.{n}.weight" for n in (0, 2, 4)] + [f"conv2.{n}.weight" for n in (2, 4, 6)]
    half = 3 * 2 * 2 * (8 * 8 * 27) + sizes["conv1.6.weight"] + sizes["conv2.0.weight"]  # blocks, steps, layers
    expected = 8 * 64 * 96 * sum(sizes[name] for name in full) + 8 * 32 * 48 * half
    assert network.multiply_adds(8, 64, 96) == expected
    if not colour:
        assert sizes["conv1.0.weight"] == 4 * 5**3 and sizes["conv2.6.weight"] == network.conv2[6].weight.size


def test_the_line_of_a_table():
    network = create_model("vrt", **WITHOUT_FLOWS)
    count = network.multiply_adds(2, 1024, 1024)
    assert (
        operations_line(network, "vrt", 2) == f"vrt: {count / 2e9:,.1f} G a frame of 1024 x 1024 as given, 2 frames at a time"
    )
    middle = create_model("vrt", **INTERPOLATING)
    count = middle.multiply_adds(4, 1024, 1024)
    assert f"vrt: {count / 1e9:,.1f} G a frame" in operations_line(middle, "vrt", 4)
