"""The native operator of what treats each token by itself: equal to MindSpore's own operators, forwards and backwards."""

import numpy as np
import pytest
from builders import assert_only_wanted, needs_compiler
from mindspore import Tensor

from mindrestore.executor.piecewise import Run, run_of
from mindrestore.models.vrt.layers import GatedMlp, GatedMlpOfTokens, LayerNorm, Linear, NormedLinear, ResidualLinear
from mindrestore.native.tokens import TokenStep

pytestmark = [pytest.mark.usefixtures("prepared"), needs_compiler]

SHAPES = {"one token": (1, 1), "one more than they": (49, 1), "many": (2, 3, 8, 17)}
WIDTHS = ((96, 33), (7, 70))


def pieces(inputs, outputs):
    rng = np.random.default_rng(0)
    cells = {
        "norm": LayerNorm(inputs),
        "linear": Linear(inputs, outputs, rng),
        "mlp": GatedMlp(inputs, 2 * inputs + 1, outputs, rng),
    }
    for cell in cells.values():
        for weight in cell.get_parameters():
            weight.set_data(Tensor(rng.standard_normal(weight.shape).astype(np.float32) / np.sqrt(inputs)))
    norm, linear, mlp = cells.values()
    return {
        "norm": NormedLinear(norm),
        "norm, linear": NormedLinear(norm, linear),
        "added, linear": ResidualLinear(linear),
        "added, norm, linear": ResidualLinear(linear, norm),
        "mlp": GatedMlpOfTokens(mlp),
    }


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("inputs, outputs", WIDTHS)
@pytest.mark.parametrize("name", pieces(1, 1))
def test_tokens_and_gradients_are_equal_to_mindspores(name, inputs, outputs, shape):
    piece = pieces(inputs, outputs)[name]
    rng = np.random.default_rng(1)
    outputs = inputs if name == "norm" else outputs
    widths = (outputs, inputs) if name.startswith("added") else (inputs,)
    tensors = [Tensor(rng.standard_normal((*shape, width), np.float32)) for width in widths]
    gradient = Tensor(rng.standard_normal((*shape, outputs), np.float32))
    wanted = (True,) * len(tensors), (True,) * len(piece.weights)
    native, plain = run_of(piece, tensors, 2**22), Run(piece, tensors, 2**22)
    assert isinstance(native, TokenStep)
    found, expected = ([run.forward(), *sum(run.backward(gradient, wanted), [])] for run in (native, plain))
    assert len(found) == len(expected) == 1 + len(tensors) + len(piece.names)
    for which, one, other in zip(("result", *"xy"[: len(tensors)], *piece.names), found, expected):
        one, other = one.asnumpy(), other.asnumpy()
        assert one.shape == other.shape, which
        assert np.abs(one - other).max() <= 1e-5 * max(np.abs(other).max(), 1e-3), which


def test_only_what_is_wanted_is_computed():
    piece = pieces(24, 9)["added, norm, linear"]
    rng = np.random.default_rng(1)
    tensors = [Tensor(rng.standard_normal((70, width), np.float32)) for width in (9, 24)]
    native = run_of(piece, tensors, 2**22)
    assert_only_wanted(native, native.forward(), inputs=2, weights=4)
