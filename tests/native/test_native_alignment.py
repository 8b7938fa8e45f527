"""The native operator of alignment: equal to MindSpore's own operators, forwards and backwards."""

import numpy as np
import pytest
from builders import assert_only_wanted, needs_compiler
from mindspore import Tensor

from mindrestore.executor.piecewise import Run, run_of
from mindrestore.models.vrt.alignment import Alignment
from mindrestore.native.alignment import AlignedImages

pytestmark = [pytest.mark.usefixtures("prepared"), needs_compiler]

# channels, neighbours, groups, scale, (B, H, W), how far flows lead
VARIANTS = {
    "one neighbour": (12, 1, 4, 1, (4, 9, 14), 3),
    "two neighbours": (12, 2, 8, 2, (2, 8, 8), 1),
    "three neighbours, one image": (12, 3, 6, 8, (1, 5, 7), 20),
    "as published": (120, 1, 12, 1, (1, 8, 20), 5),
}


def of_images(channels, neighbours, groups, scale, size, reach):
    rng = np.random.default_rng(0)
    images, height, width = size
    alignment = Alignment(channels, neighbours=neighbours, groups=groups, scale=scale, rng=rng)
    offsets, flows = (images, 27 * groups, height, width), (images, 2, height, width)
    shapes = [offsets] + neighbours * [(*size, channels)] + neighbours * [flows]
    scales = [1] + neighbours * [1] + neighbours * [reach]
    inputs = [Tensor(factor * rng.standard_normal(shape, np.float32)) for shape, factor in zip(shapes, scales)]
    return alignment.align, inputs, Tensor(rng.standard_normal((*size, channels), np.float32))


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_images_and_gradients_are_equal_to_mindspores(variant):
    piece, inputs, gradient = of_images(*variant)
    operator = run_of(piece, inputs, 2**22)
    assert isinstance(operator, AlignedImages)
    wanted = (True,) * len(inputs), (True, True)
    found, expected = (
        [run.forward(), *sum(run.backward(gradient, wanted), [])] for run in (operator, Run(piece, inputs, 2**22))
    )
    neighbours_and_flows = (f"{what} {index}" for what in ("neighbour", "flow") for index in range(variant[1]))
    names = ("result", "offsets", *neighbours_and_flows, "weight", "bias")
    assert len(names) == len(found) == len(expected)
    for name, one, other in zip(names, found, expected):
        one, other = one.asnumpy(), other.asnumpy()
        assert one.shape == other.shape and np.abs(other).max() > 0, name
        assert np.abs(one - other).max() <= 1e-5 * np.abs(other).max(), name


def test_only_what_is_wanted_is_computed():
    piece, inputs, gradient = of_images(*VARIANTS["two neighbours"])
    operator = run_of(piece, inputs, 2**22)
    assert_only_wanted(operator, gradient, inputs=5, weights=2)
