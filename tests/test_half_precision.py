"""Mixed precision: products in float16, a loss scale that finds its size, gradients near those of float32, exact resume."""
from functools import partial

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from test_video_training import MODEL

from mindrestore.checkpoints.native import load_arrays
from mindrestore.config import make_config
from mindrestore.errors import UserError
from mindrestore.ops import half_precision
from mindrestore.ops.rows import linear
from mindrestore.runtime.execution import compiled
from mindrestore.training.loss_scale import MOST, LossScale
from mindrestore.training.step import TrainOneStep
from mindrestore.training.trainer import train
from mindrestore.training.updates import Update
from mindrestore.training.video_job import video_job

pytestmark = pytest.mark.usefixtures("prepared")

ALIGNED = dict(model={**MODEL, "upscale": 1, "depths": [2] * 7 + [1], "drop_path_rate": 0.0}, evaluation={},
               training={"steps": 4, "batch_size": 1, "flow_frozen_steps": 0,
                         "recompute": {"attention": [0, 6], "mlp": [1, 7]}})
DENOISER = {**MODEL, "upscale": 1, "pa_frames": 0, "nonblind_denoising": True, "depths": [1] * 8, "drop_path_rate": 0.0}


@pytest.fixture
def configure(tmp_path):
    def configured(*overrides, run="run", **sections):
        return make_config({**{
            "name": "tiny", "model": DENOISER, "data": {"kind": "rendered", "frames": 2, "patch": 64, "clips": 5},
            "training": {"steps": 4, "batch_size": 1, "learning_rate": 1e-3, "schedule": {"kind": "constant"}, "log_every": 1,
                         "save_every": 2, "validate_every": 100},
            "evaluation": {"set": "demo", "clips": ["coins"], "frames": 2, "sigma": 25},
            "output": str(tmp_path / run)}, **sections}, overrides)
    return configured


@pytest.mark.parametrize("mode", ["graph", "pynative"], indirect=True)
def test_products_are_of_float16_operands_and_come_back_as_float32(mode):
    x, weight = (np.random.default_rng(0).standard_normal(shape, np.float32) for shape in ((5, 7), (3, 7)))
    rounded = x.astype(np.float16).astype(np.float64) @ weight.astype(np.float16).T.astype(np.float64)

    def lowered(x, weight):
        return linear(x, weight)
    with half_precision.used():
        y = compiled(lowered)(Tensor(x), Tensor(weight))
    assert y.dtype == ms.float32
    np.testing.assert_allclose(y.asnumpy(), rounded, rtol=2e-3, atol=2e-3)
    assert np.abs(y.asnumpy() - x @ weight.T).max() > 1e-5

    def exact(x, weight):
        return linear(x, weight)
    np.testing.assert_allclose(compiled(exact)(Tensor(x), Tensor(weight)).asnumpy(), x @ weight.T, rtol=1e-5, atol=1e-6)


def test_the_scale_halves_at_an_overflow_and_doubles_after_a_while():
    scale = LossScale(first=8.0, window=3)
    assert not scale.must_repeat(fine=True) and scale.state == [8.0, 1]
    assert scale.must_repeat(fine=False) and scale.state == [4.0, 0]
    assert [scale.must_repeat(fine=True) for _ in range(3)] == [False] * 3 and scale.state == [8.0, 0]
    for expected in (4.0, 2.0, 1.0):
        assert scale.must_repeat(fine=False) and scale.value == expected
    assert not scale.must_repeat(fine=False)  # it is not the scale's fault
    other = LossScale()
    other.state = scale.state
    assert other.state == scale.state
    scale.state = [MOST, 2]
    scale.must_repeat(fine=True)
    assert scale.value == MOST


def test_a_step_that_overflows_is_repeated_with_a_smaller_scale():
    scale, seen, taken = LossScale(first=2.0 ** 10), [], []

    def gradients(parameters):
        def value_and_gradients(x):
            seen.append(scale.value)
            return x.mean(), (Tensor([np.inf if scale.value > 200 else 3.0], ms.float32),)
        return value_and_gradients
    step = TrainOneStep(gradients, [Update(taken.append, [None], 0)], loss_scale=scale)
    assert step(Tensor([2.0, 4.0])).asnumpy() == 3
    assert seen == [1024, 512, 256, 128] and len(taken) == 1 and taken[0][0].asnumpy() == 3


def test_a_step_that_overflows_at_every_scale_changes_nothing():
    taken, refused = [], []

    def refuse(step, what):
        refused.append((step, what))
        raise UserError(what)

    def gradients(parameters):
        return lambda x: (x.mean(), (Tensor([1.0, np.nan], ms.float32),))
    step = TrainOneStep(gradients, [Update(taken.append, [None], 0)], step=6, loss_scale=LossScale(first=4.0), refuse=refuse)
    with pytest.raises(UserError, match="gradients overflow at every loss scale"):
        step(Tensor([2.0, 4.0]))
    assert not taken and refused[0][0] == 7


@pytest.mark.parametrize("mode", ["pynative", pytest.param("graph", marks=pytest.mark.long)], indirect=True)
@pytest.mark.parametrize("network", [{}, ALIGNED], ids=["denoiser", "aligned"])
def test_gradients_are_near_those_of_float32(configure, mode, network):
    """Also where flows are found, frames look at each other, and stages are computed again."""
    found = {}
    for precision in ("float32", "float16"):
        job = video_job(configure(f"training.precision={precision}", **network))
        batch = [Tensor(part[None]) for part in job.samples[0] if part is not None]
        parameters = job.updates[0].parameters
        loss, gradients = job.gradients(parameters)(*batch)
        found[precision] = loss.asnumpy(), [gradient.asnumpy() for gradient in gradients]
        names = [parameter.name for parameter in parameters]
    (loss, expected), (near, gradients) = found["float32"], found["float16"]
    assert near == pytest.approx(loss, rel=1e-2) and near != loss
    for name, one, other in zip(names, gradients, expected):
        assert np.linalg.norm(one - other) <= 0.1 * np.linalg.norm(other) + 1e-6, name
    total = np.sqrt(sum(np.square(other).sum() for other in expected))
    assert np.sqrt(sum(np.square(one - other).sum() for one, other in zip(gradients, expected))) < 0.01 * total


@pytest.mark.parametrize("mode", ["pynative"], indirect=True)
def test_a_resumed_run_ends_as_one_that_never_stopped(configure, mode, monkeypatch):
    monkeypatch.setattr("mindrestore.training.video_job.LossScale", partial(LossScale, window=3))
    half = "training.precision=float16"
    whole = train(configure(half, run="whole"))
    train(configure(half, "training.steps=2"))
    resumed = train(configure(half), resume=True)
    states = [load_arrays(folder / "last_state.ckpt") for folder in (whole, resumed)]
    assert states[0][1]["loss_scale"] == states[1][1]["loss_scale"] and states[0][1]["loss_scale"][0] != 2.0 ** 16
    assert states[0][0].keys() == states[1][0].keys()
    for name, array in states[0][0].items():
        np.testing.assert_array_equal(states[1][0][name], array, err_msg=name)
