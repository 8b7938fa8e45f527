"""The native operator of warped images: equal to MindSpore's own operators, forwards and backwards."""

import numpy as np
import pytest
from builders import assert_only_wanted, needs_compiler
from mindspore import Tensor

from mindrestore.executor.piecewise import Run, run_of
from mindrestore.models.vrt.alignment import WarpedNeighbours
from mindrestore.models.vrt.spynet import WarpedNeighbour
from mindrestore.native.warp import JoinedWarps

pytestmark = [pytest.mark.usefixtures("prepared"), needs_compiler]


def tensors(*shapes, scale=1.0):
    rng = np.random.default_rng(0)
    return [Tensor((scale * rng.standard_normal(shape)).astype(np.float32)) for shape in shapes]


def neighbours(count, images, height, width):
    """Flows that leave the image at times."""
    return (
        WarpedNeighbours(count),
        tensors(*[(images, height, width, 5)] * (1 + count)),
        tensors(*[(images, 2, height, width)] * count, scale=4.0),
    )


def meeting(images, height, width):
    return WarpedNeighbour(), tensors(*[(images, 3, height, width)] * 2), tensors((images, 2, height, width), scale=4.0)


CASES = {
    "one neighbour": lambda: neighbours(1, 3, 8, 11),
    "two neighbours": lambda: neighbours(2, 1, 6, 5),
    "one pixel": lambda: neighbours(1, 2, 1, 1),
    "a level of flows": lambda: meeting(2, 9, 12),
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_warped_images_and_gradients_are_equal_to_mindspores(make):
    piece, images, flows = make()
    inputs, wanted = [*images, *flows], ((True,) * (len(images) + len(flows)), ())
    native, plain = run_of(piece, inputs, 2**22), Run(piece, inputs, 2**22)
    assert isinstance(native, JoinedWarps)
    results = [run.forward() for run in (native, plain)]
    gradient = Tensor(np.cos(results[1].numpy() * 9))
    assert np.abs(results[1].numpy()).max() > 0
    found, expected = ([result, *run.backward(gradient, wanted)[0]] for result, run in zip(results, (native, plain)))
    assert len(found) == len(expected) == 1 + len(inputs)
    for place, (one, other) in enumerate(zip(found, expected)):
        one, other = one.numpy(), other.numpy()
        assert one.shape == other.shape, place
        np.testing.assert_allclose(one, other, atol=2e-5, err_msg=str(place))


def test_only_what_is_wanted_is_computed():
    piece, images, flows = neighbours(2, 2, 6, 7)
    native = run_of(piece, [*images, *flows], 2**22)
    assert_only_wanted(native, native.forward(), inputs=5, weights=0)


@pytest.mark.parametrize("far", [np.nan, np.inf, -np.inf, 1e30])
def test_flows_that_lead_nowhere_end_the_process_in_no_case(far):
    piece, images, flows = neighbours(1, 1, 4, 4)
    flow = np.full(flows[0].shape, far, np.float32)
    warped = run_of(piece, [*images, Tensor(flow)], 2**22).forward().numpy()
    np.testing.assert_array_equal(warped[:, 5:10], images[0].numpy().transpose(0, 3, 1, 2))
