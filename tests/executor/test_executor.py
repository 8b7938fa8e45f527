"""Execution piece by piece: parts, halos, what a tape keeps and what it has again."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, ParameterTuple, Tensor, nn, ops

from mindrestore.executor import Piecewise, Tape
from mindrestore.executor.piecewise import parts, portion
from mindrestore.models.piece import Added, Itemwise, Piece, Rearrangement, Section
from mindrestore.runtime import device

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.mark.parametrize("count", [1, 8, 17, 35, 128, 540])
@pytest.mark.parametrize("most", [1, 8, 9, 64, 10**6])
@pytest.mark.parametrize("halo", [0, 2, 3])
def test_parts_cover_every_item_once_with_halo(count, most, halo):
    at_once = portion(count, most, halo)
    found = parts(count, at_once, halo)
    assert [item for part in found for item in range(part.first, part.last)] == list(range(count))
    for part in found:
        assert 0 <= part.start <= part.start + at_once <= count
        assert part.start == 0 or part.start <= part.first - halo
        assert part.start + at_once == count or part.start + at_once >= part.last + halo
    assert at_once <= max(most, 4 * halo) and (at_once == count or len(found) > 1)


class Scaled(Itemwise):
    def compute(self, w, shared, constants, x):
        return w["factor"] * x


class Curved(Added):
    def change(self, w, shared, constants, source):
        return w["factor"] * ops.sin(source)


class Halves(Rearrangement):
    def compute(self, w, x):
        return ops.split(x, x.shape[1] // 2, 1)

    def adjoint(self, shapes, first, second):
        none = ops.zeros((shapes[0][0], shapes[0][1] // 2))
        return (ops.cat([none if each is None else each for each in (first, second)], 1),)


class Coupled(nn.Cell):
    """Two halves that are added to in turns; ``takes`` says what of the halves comes out."""

    def __init__(self, steps, takes="both"):
        super().__init__()
        self.factors = [Parameter(Tensor(np.float32(0.1 + 0.01 * index)), name=f"factor{index}") for index in range(steps + 1)]
        self.scaled, self.halves = Scaled(factor=self.factors[0]), Halves()
        self.both = Both()
        self.steps = nn.CellList([Curved(factor=factor) for factor in self.factors[1:]])
        self.takes = takes

    def construct(self, x):
        first, second = self.halves(self.scaled(x))
        for step in self.steps:
            first, second = second, step(first, second)
        return self.both(first, second) if self.takes == "both" else first if self.takes == "first" else second


class Both(Piece):
    def compute(self, w, first, second):
        return ops.cat((first, second), 1)


def expected_gradients(network, x, takes):
    def loss(*factors):
        first, second = ops.split(factors[0] * x, x.shape[1] // 2, 1)
        for factor in factors[1:]:
            first, second = second, first + factor * ops.sin(second)
        return {
            "both": (first * first).sum() + (second * second).sum(),
            "first": (first * first).sum(),
            "second": (second * second).sum(),
        }[takes]

    return ms.grad(loss, tuple(range(len(network.factors))))(*map(Tensor, network.factors))


@pytest.mark.parametrize("takes", ["both", "first", "second"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_of_what_is_added_to_nothing_is_kept(takes, steps):
    network, x = Coupled(steps, takes), Tensor(np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32))
    tape = Tape(network, network.factors)
    _, found = tape.value_and_gradients(lambda result: (result * result).sum(), x)
    for one, other in zip(found, expected_gradients(network, x, takes)):
        np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), rtol=1e-5, atol=1e-6)
    with tape.taking_over():
        result = network(x)
    held = [record for entry in tape.entries for record in (entry.inputs or ()) if getattr(record, "tensor", None) is not None]
    assert len({id(record) for record in held}) <= 3 and result.tensor is not None


def test_what_was_added_to_is_not_there_any_more():
    network, x = Coupled(1), Tensor(np.ones((1, 4), np.float32))
    with Tape(network, network.factors).taking_over():
        first, second = network.halves(network.scaled(x))
        network.steps[0](first, second)
        with pytest.raises(ValueError, match="Curved: an input was added to by an earlier piece"):
            network.steps[0](first, second)


class Curve(Section):
    size = "group"

    def __init__(self, factors):
        super().__init__()
        self.factors = ParameterTuple(factors)
        self.bent = nn.CellList([Bent(factor=factor) for factor in factors])

    def construct(self, x, y):
        for bent in self.bent:
            x = bent(x, y)
        return x


class Bent(Itemwise):
    def compute(self, w, shared, constants, x, y):
        return w["factor"] * ops.sin(x) + y


class TwoCurves(nn.Cell):
    def __init__(self):
        super().__init__()
        self.factors = [Parameter(Tensor(np.float32(0.5 + 0.1 * index)), name=f"factor{index}") for index in range(6)]
        self.first, self.second = Curve(self.factors[:3]), Curve(self.factors[3:])

    def construct(self, x):
        return self.second(self.first(x, x), x)


@pytest.mark.parametrize("chosen", [range(6), range(3, 6), range(2)], ids=["all", "second", "first"])
def test_of_a_section_nothing_is_kept_but_what_goes_in(chosen):
    network, x = TwoCurves(), Tensor(np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32))
    parameters = [network.factors[index] for index in chosen]
    found, whole = (
        [
            gradient.asnumpy()
            for gradient in Tape(network, parameters, size=size).value_and_gradients(lambda result: (result * result).sum(), x)[
                1
            ]
        ]
        for size in ("group", None)
    )
    np.testing.assert_array_equal(found, whole)
    assert all(abs(gradient) > 0.1 for gradient in whole)
    tape = Tape(network, parameters, size="group")
    with tape.taking_over():
        network(x)
    assert [entry.piece for entry in tape.entries] == [network.first, network.second][-2 if 0 in chosen else -1 :]


@pytest.mark.parametrize("kind, values", [("cpu", 2**23), ("gpu", 2**28), ("ascend", 2**28)])
def test_parts_are_larger_where_a_launch_costs_more_than_a_cache_saves(monkeypatch, kind, values):
    monkeypatch.setattr(device, "name", lambda: kind)
    network = nn.Dense(1, 1)
    assert Piecewise(network).numbers == values and Tape(network, []).numbers == values // 2
    assert Piecewise(network, 5).numbers == Tape(network, [], numbers=5).numbers == 5
