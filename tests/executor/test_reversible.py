"""Reversible training: the gradients of plain training, in memory that does not grow with depth."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from golden.golden_weights import golden_array
from mindspore import Tensor

from mindrestore.executor import Piecewise, tape as tapes
from mindrestore.executor.piecewise import Run
from mindrestore.models import create_model
from mindrestore.runtime import execution
from mindrestore.training.gradients import piecewise_gradients, whole_gradients
from mindrestore.training.losses import charbonnier, mse


def batch(network, frames=3, height=8, width=12, samples=2):
    """Return random (clips, measurements, masks[, estimates]) as the network takes them."""
    rng = np.random.default_rng(0)
    colour = (3,) if network.colour else ()
    clips, estimates = (rng.random((samples, *colour, frames, height, width), dtype=np.float32) for _ in range(2))
    masks = (rng.random((samples, frames, height, width)) < 0.5).astype(np.float32)
    measurements = frames / 2 * rng.random((samples, height, width), dtype=np.float32)
    arrays = [clips, measurements, masks] + ([estimates] if network.corrects_estimate else [])
    return [Tensor(array) for array in arrays]


def assert_equal_gradients(network, reversible, loss=mse):
    """Reversible as the present mode and layout run it, plain operator by operator."""
    arrays = batch(network)
    found_loss, found = reversible(*arrays)
    former, execution._mode = execution._mode, "pynative"
    expected_loss, expected = whole_gradients(network, loss)(*arrays)
    execution._mode = former
    np.testing.assert_allclose(found_loss.asnumpy(), expected_loss.asnumpy(), rtol=1e-5)
    parameters = network.trainable_params()
    assert len(found) == len(expected) == len(parameters)
    for parameter, one, other in zip(parameters, found, expected):
        one, other = one.asnumpy(), other.asnumpy()
        assert one.shape == parameter.shape
        assert np.linalg.norm(one - other) <= 1e-4 * np.linalg.norm(other), parameter.name
        assert other.any() or parameter.name.startswith("fuse_r"), parameter.name


SETTINGS = {
    "two_way": dict(),
    "multi_group_2": dict(coupling="multi_group", groups=2),
    "multi_group_4": dict(coupling="multi_group", groups=4),
    "colour": dict(colour=True),
    "gap_tv": dict(start="gap_tv"),
    "colour_multi_group_4_gap_tv": dict(colour=True, coupling="multi_group", groups=4, start="gap_tv"),
}


@pytest.mark.parametrize("mode", ["pynative"], indirect=True)
@pytest.mark.parametrize(
    "name, layout",
    [
        *((name, "native") for name in SETTINGS),
        ("two_way", "frames"),
        ("multi_group_4", "frames"),
    ],
    indirect=["layout"],
)
def test_gradients_are_those_of_plain_training(name, layout, mode):
    network = create_model("revsci", blocks=3, channels=16, **SETTINGS[name])
    loss = charbonnier if "gap_tv" in name else mse
    assert_equal_gradients(network, piecewise_gradients(network, loss), loss)


@pytest.mark.parametrize(
    "name, layout, blocks",
    [
        ("two_way", "native", 50),
        ("colour_multi_group_4_gap_tv", "frames", 2),
    ],
    indirect=["layout"],
)
def test_gradients_of_compiled_pieces(name, layout, blocks):
    network = create_model("revsci", blocks=blocks, channels=16, **SETTINGS[name])
    reversible = piecewise_gradients(network, mse)
    assert_equal_gradients(network, reversible)
    for parameter in network.get_parameters():  # what is compiled follows the weights
        parameter.set_data(Tensor(golden_array(parameter.name, parameter.shape) / 2))
    assert_equal_gradients(network, reversible)


PEAK = """
import re, sys
from pathlib import Path
import numpy as np
from mindspore import Tensor
from mindrestore.models import create_model
from mindrestore.runtime import session
from mindrestore.training.gradients import GRADIENTS
from mindrestore.training.losses import mse

def peak():
    return int(re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]) / 1024

mode, blocks = sys.argv[1:]
session.start("cpu")
network = create_model("revsci", blocks=int(blocks), channels=16)
rng = np.random.default_rng(0)
shapes = (1, 4, 96, 96), (1, 96, 96), (4, 96, 96)
arrays = [Tensor(rng.random(shape, dtype=np.float32)) for shape in shapes]
start = peak()
loss, gradients = GRADIENTS[mode](network, mse)(*arrays)
assert all(np.isfinite(gradient.asnumpy()).all() for gradient in gradients)
print(peak() - start)
"""


def peaks(python, *runs):
    """Peaks of real processes above their starts, in MB.

    Not ``ru_maxrss``, which a process inherits from the one that starts it.
    """

    def peak(run):
        process = python(PEAK, *run)
        assert process.returncode == 0, process.stderr[-2000:]
        return float(process.stdout)

    with ThreadPoolExecutor(2) as two_at_a_time:
        return two_at_a_time.map(peak, runs)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system tells no process its own peak")
def test_memory_is_flat_in_depth(python):
    deep, shallow = peaks(python, ("pieces", 50), ("pieces", 10))
    assert abs(deep - shallow) < 0.1 * shallow


@pytest.mark.long
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system tells no process its own peak")
def test_the_measure_of_memory_sees_what_plain_training_keeps(python):
    deep, shallow = peaks(python, ("whole", 8), ("whole", 4))
    assert deep > 1.2 * shallow


@pytest.mark.parametrize("mode", ["pynative"], indirect=True)
@pytest.mark.parametrize("layout, colour", [("frames", False), ("frames", True), ("native", True)], indirect=["layout"])
def test_bands_of_rows_change_neither_clip_nor_gradients(layout, colour, mode):
    network = create_model("revsci", blocks=1, channels=16, colour=colour)
    clips, measurements, masks = batch(network, height=44)
    numbers = network.head.cost(network.input(measurements, masks)) * 8
    whole, banded = (tapes.Tape(network, network.trainable_params(), numbers=each) for each in (None, numbers))
    inputs = [network.input(measurements, masks)]
    assert [len(Run(network.head, inputs, each.numbers).parts) for each in (whole, banded)] == [1, 5]
    clip = Piecewise(network)(measurements, masks).asnumpy()
    np.testing.assert_allclose(Piecewise(network, numbers)(measurements, masks).asnumpy(), clip, rtol=0, atol=1e-6)
    expected, found = (
        each.value_and_gradients(lambda result: mse(result, clips), measurements, masks)[1] for each in (whole, banded)
    )
    for one, other in zip(found, expected):
        assert np.linalg.norm(one.asnumpy() - other.asnumpy()) <= 1e-5 * np.linalg.norm(other.asnumpy())
