"""The native operator of chains of convolutions: equal to MindSpore's own operators, forwards and backwards."""

import numpy as np
import pytest
from builders import assert_only_wanted, needs_compiler
from mindspore import Parameter, Tensor, nn

from mindrestore.executor.piecewise import Piecewise, Run
from mindrestore.models.revsci.layers import convolutions as of_clips
from mindrestore.models.vrt.layers import Conv, convolutions as of_images
from mindrestore.ops import convolution_frames
from mindrestore.ops.activations import LeakyReLU
from mindrestore.ops.convolution import Conv3d, Conv3dTranspose

pytestmark = [pytest.mark.usefixtures("prepared"), needs_compiler]

IMAGES = {"one pixel": (1, 1, 1), "a coarse level": (3, 8, 8), "odd sizes": (2, 7, 35), "wider than panels": (1, 5, 97)}
CLIPS = {"one frame": (1, 1, 2, 4), "odd frames": (2, 5, 6, 10), "wide": (1, 3, 4, 70)}


def cells(*widths, kernel=3):
    rng = np.random.default_rng(0)
    return [Conv(inputs, outputs, rng, (kernel, kernel)) for inputs, outputs in zip(widths, widths[1:])]


def enlarging():
    """With pixel shuffle by 2 and by 3."""
    return [cell for widths in ((4, 6), (6, 24), (6, 54), (6, 6), (6, 3)) for cell in cells(*widths)]


def over_time():
    """One that halves height and width, one that doubles them, with kernels of 5, 3 and 1 along one axis or more; and one with
    channels enough to be filtered.
    """
    rng = np.random.default_rng(0)
    using = convolution_frames
    head = nn.SequentialCell(
        Conv3d(3, 5, (5, 5, 5), rng, using=using),
        LeakyReLU(),
        Conv3d(5, 13, (1, 1, 1), rng, using=using),
        LeakyReLU(),
        Conv3d(13, 6, (3, 3, 3), rng, stride=2, using=using),
        LeakyReLU(),
    )
    filtered = nn.SequentialCell(
        Conv3d(9, 30, (3, 3, 3), rng, using=using), LeakyReLU(), Conv3d(30, 8, (3, 3, 3), rng, using=using)
    )
    tail = nn.SequentialCell(Conv3dTranspose(3, 14, rng, using=using), LeakyReLU(), Conv3d(14, 1, (3, 3, 3), rng, using=using))
    doubling = nn.SequentialCell(Conv3dTranspose(3, 5, rng, using=using), LeakyReLU())
    chains = (("head", head), ("filtered", filtered), ("tail", tail), ("doubling", doubling))
    return {name: of_clips(cells, using.CHANNEL_AXIS) for name, cells in chains}


CHAINS = {
    "offsets": lambda: of_images(cells(5, 24, 3, 27), (0.1, 0.1, 1.0), exact=True),
    "enlarged": lambda: of_images(enlarging(), (0.01, 0.1, 0.1, 1.0, 1.0), (1, 2, 3, 1, 1)),
    "flow": lambda: of_images(cells(3, 16, 2, kernel=7), (0.0, 1.0)),
    "a shuffle last": lambda: of_images(cells(4, 6, 24), (0.1, 1.0), (1, 2)),
    "a doubling last": lambda: over_time()["doubling"],
    "filtered over rows": lambda: of_images(cells(9, 30, 8), (0.1, 1.0)),
    **{name: lambda name=name: over_time()[name] for name in ("head", "filtered", "tail")},
}


def clip(piece, *shape):
    return Tensor(np.random.default_rng(1).standard_normal(shape, np.float32))


@pytest.mark.parametrize(
    "name, sizes",
    [
        *((name, size) for name in ("offsets", "enlarged", "flow", "filtered over rows") for size in IMAGES.values()),
        *((name, size) for name in ("head", "filtered", "tail", "a doubling last") for size in CLIPS.values()),
        *(("a shuffle last", size) for size in IMAGES.values()),
        ("filtered", (1, 4, 3, 391)),  # wider than what is filtered at once
        ("filtered over rows", (1, 3, 901)),  # likewise
    ],
)
def test_a_chain_and_its_gradients_are_equal_to_mindspores(name, sizes):
    piece = CHAINS[name]()
    *front, height, width = sizes
    found, expected = results_of(piece, (*front, piece.widths[0][0], height, width), 2**24)
    for which, one, other in zip(("result", "x", *piece.names), found, expected):
        scale = max(np.abs(other).max(), np.abs(one).max())
        assert one.shape == other.shape and scale > 0, which
        assert np.abs(one - other).max() <= 2e-5 * scale, which


def results_of(piece, shape, numbers):
    """Return (result, gradients of x and of the weights) natively, and by MindSpore."""
    x, wanted, results = clip(piece, *shape), ((True,), (True,) * len(piece.weights)), []
    native = piece.operator
    assert native is not None
    for operator in (native, None):
        piece.operator = operator
        run = Run(piece, (x,), numbers)
        result = run.forward()
        (of_x,), of_weights = run.backward(Tensor(np.cos(result.numpy() * 9)), wanted)
        results.append([each.numpy() for each in (result, of_x, *of_weights)])
    piece.operator = native
    return results


@pytest.mark.parametrize(
    "name, shape",
    [
        ("enlarged", (2, 4, 40, 6)),
        ("flow", (1, 3, 64, 5)),
        ("head", (1, 2, 3, 48, 6)),
        ("tail", (1, 2, 3, 24, 5)),
        ("filtered", (1, 3, 9, 25, 5)),
        ("filtered over rows", (2, 9, 25, 40)),
    ],
)
def test_rows_at_a_time_are_the_whole(name, shape):
    """With what a row depends on around them: the halo follows from kernels and changes of size."""
    piece = CHAINS[name]()
    assert len(Run(piece, (clip(piece, *shape),), 1).parts) > 1
    for one, other in zip(*(results_of(piece, shape, numbers)[0] for numbers in (1, 2**24))):
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())


def test_forwards_more_rows_are_computed_at_a_time():
    piece = CHAINS["head"]()
    x = clip(piece, 1, 2, 3, 96, 6)
    numbers = 16 * piece.cost(x)  # of 48 rows, all forwards
    network = Piecewise(piece, numbers)
    assert len(Run(piece, (x,), numbers).parts) > 1
    calls, forward = [], piece.operator.forward
    piece.operator.forward = lambda *tensors: calls.append(tensors) or forward(*tensors)
    np.testing.assert_allclose(network(x).numpy(), Run(piece, (x,), 2**24).forward().numpy(), atol=1e-5)
    assert len(calls) == 2  # one of the network, one of the run


def test_the_halo_is_no_larger_than_it_must_be():
    halos = {name: make().halo for name, make in CHAINS.items()}
    assert halos == {
        "offsets": 3,
        "enlarged": 3,
        "flow": 6,
        "a shuffle last": 2,
        "a doubling last": 1,
        "filtered over rows": 2,
        "head": 2,
        "filtered": 2,
        "tail": 1,
    }


def test_only_what_is_wanted_is_computed():
    piece = CHAINS["enlarged"]()
    x = clip(piece, 1, 4, 6, 7)
    run = Run(piece, (x,), 2**24)
    assert_only_wanted(run, run.forward(), inputs=1, weights=len(piece.weights))


@pytest.mark.parametrize("name", ["head", "filtered"])
def test_equal_from_run_to_run(name):
    piece = CHAINS[name]()
    first, second = (results_of(piece, (1, 4, piece.widths[0][0], 16, 20), 2**24)[0] for _ in range(2))
    for one, other in zip(first, second):
        np.testing.assert_array_equal(one, other)


def test_weights_are_read_anew_at_each_call():
    piece = CHAINS["flow"]()
    x = clip(piece, 1, 3, 8, 8)
    before = Run(piece, (x,), 2**24).forward().numpy()
    bias = piece.weights[-1]
    assert isinstance(bias, Parameter)
    bias.set_data(Tensor(bias.numpy() + 1))
    np.testing.assert_allclose(Run(piece, (x,), 2**24).forward().numpy(), before + 1, atol=1e-5)
