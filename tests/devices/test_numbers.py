"""Training where the device convolves in float16: a loss scale keeps gradients from vanishing, overflow is noticed.

Gradients are those of the networks' device branch, of operators that compute as an Ascend's do (``cube_unit``), against the
same branch in float32.
"""

import re
from functools import partial
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from builders import TINY_SR
from cube_unit import LARGEST, OPERATORS, CubeUnit
from mindspore import Tensor, ops
from places import CONFIGS, ROOT

from mindrestore.checkpoints.loading import load_network, shipped
from mindrestore.checkpoints.native import load_arrays
from mindrestore.config import load_config, make_config
from mindrestore.data.rendered import render_clip
from mindrestore.data.snapshots import starting_estimate
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.runtime import cluster, device, precision
from mindrestore.sensing.masks import random_mask
from mindrestore.sensing.operator import SnapshotImaging
from mindrestore.training import loss_scale as loss_scales
from mindrestore.training.gradients import GRADIENTS
from mindrestore.training.loss_scale import LossScale
from mindrestore.training.losses import mse
from mindrestore.training.optimizers import Update
from mindrestore.training.step import TrainOneStep
from mindrestore.training.trainer import JOBS, train

SOURCES = ROOT / "src" / "mindrestore"
PRODUCTS = (
    "MatMul",
    "BatchMatMul",
    "matmul",
    "bmm",
    "mm",
    "addmm",
    "baddbmm",
    "dense",
    "einsum",
    "tensor_dot",
    "inner",
    "outer",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv3d_transpose",
    "deformable_conv2d",
    "Conv2D",
    "Conv3D",
    "Conv2DTranspose",
    "Conv3DTranspose",
    "Dense",
    "Conv2d",
    "Conv3d",
    "Conv2dTranspose",
    "Conv3dTranspose",
)
PUBLISHED_BATCH = 3 * 8 * 256 * 256
ADAM_EPSILON = 1e-8
MATTERS = ADAM_EPSILON / 100
"""Root mean square of a gradient below which a weight moves by less than a hundredth of the learning rate, in float32 too."""
VIDEO = dict(TINY_SR, upscale=1, pa_frames=0, nonblind_denoising=True, drop_path_rate=0.0)
TINY = {
    "revsci": dict(
        model={"blocks": 2, "channels": 16},
        data={"frames": 4, "size": 32},
        training={"batch_size": 1, "mode": "reversible"},
        evaluation={"kind": "captures"},
    ),
    "vrt": dict(
        model=VIDEO,
        data={"kind": "rendered", "frames": 2, "patch": 64, "clips": 5},
        training={"batch_size": 1, "flow_frozen_steps": 0},
        evaluation={"set": "demo", "sigma": 25},
    ),
    "spynet": dict(model={"name": "spynet"}, data={"patch": 32, "clips": 4}, training={"batch_size": 1}),
}


pytestmark = [pytest.mark.usefixtures("mode"), pytest.mark.parametrize("mode", ["pynative"], indirect=True)]


@pytest.fixture
def unit(mode, monkeypatch):
    """``unit("910")`` makes this machine's operators compute as that model's until the test ends."""
    return partial(CubeUnit, monkeypatch)


def compared(gradients, expected, names):
    """Return what tests ask about gradients of float16: which are zero and should not be, and how far they are off."""
    gradients, expected = ([np.asarray(each, np.float64) for each in both] for both in (gradients, expected))
    sizes = [np.linalg.norm(each) / np.sqrt(each.size) for each in expected]
    mattering = [index for index, size in enumerate(sizes) if size > MATTERS]
    norm = np.linalg.norm
    total = np.sqrt(sum(np.square(each).sum() for each in expected))
    return SimpleNamespace(
        zeros=[name for name, one, other in zip(names, gradients, expected) if other.any() and not one.any()],
        mattering_zeros=[names[index] for index in mattering if not gradients[index].any()],
        norms={names[index]: abs(norm(gradients[index]) / norm(expected[index]) - 1) for index in mattering},
        total=np.sqrt(sum(np.square(one - other).sum() for one, other in zip(gradients, expected))) / total,
    )


def settled(unit, scale, value_and_gradients, *batch):
    """Return loss and gradients of the first scale that nothing overflows with."""
    while True:
        precision.forget_overflow()
        loss, gradients = value_and_gradients(*batch)
        if not scale.must_repeat(precision.none_overflowed(gradients).asnumpy() == 1):
            return loss.asnumpy(), [gradient.asnumpy() for gradient in gradients]


def of_snapshots(mode, scale, size):
    """Return the function that takes the gradients of the RevSCI that ships, for a rendered clip, its arguments, their names.

    It has 8 blocks; what it leaves wrong is what a trained network does. The mean is over as many values as a published
    batch has, so that gradients are as small as its own.
    """
    network = load_network(shipped("sci"))[0]
    clip, mask = render_clip(0, frames=8, height=size, width=size), random_mask(8, size, size, rng=0)
    measurement = SnapshotImaging(mask).measure(clip)
    inputs = [each[None] for each in (measurement, mask, starting_estimate(measurement, mask))]

    def mean_of_published(clip, target):
        return mse(clip, target) * (clip.size / PUBLISHED_BATCH)

    gradients = GRADIENTS[mode](network, mean_of_published, loss_scale=scale)
    return gradients, list(map(Tensor, (clip[None], *inputs))), [parameter.name for parameter in network.trainable_params()]


@pytest.fixture
def float32_gradients(monkeypatch):
    """``float32_gradients(size)`` and their names: of the same device branch, on a device that computes in float32."""

    def found(*size):
        with monkeypatch.context() as patched:
            patched.setattr(device, "name", lambda: "gpu")
            gradients, batch, names = of_snapshots("pieces", None, *size)
            return [gradient.asnumpy() for gradient in gradients(*batch)[1]], names

    return found


# The imitation


def test_the_imitation_rounds_there_and_back_and_keeps_what_is_too_large(unit):
    made = unit("910")

    def product(left, right):
        return ops.MatMul()(left, right)

    small = Tensor([[1 / 3]], ms.float32)
    third = np.float32(np.float16(1 / 3))
    assert product(small, Tensor([[1.0]], ms.float32)).asnumpy() == third
    _, pull_back = ms.vjp(product, Tensor([[1.0]], ms.float32), Tensor([[1.0]], ms.float32))
    assert [one.asnumpy().item() for one in pull_back(Tensor([[1e-8]], ms.float32))] == [0, 0]  # below half of 2 ** -24
    assert not made.overflowed()
    assert [one.asnumpy().item() for one in pull_back(Tensor([[-1e6]], ms.float32))] == [-LARGEST] * 2
    assert made.overflowed() and not made.overflowed()
    assert product(Tensor([[300.0]], ms.float32), Tensor([[300.0]], ms.float32)).asnumpy() == LARGEST and made.overflowed()


def test_the_imitation_refuses_what_an_ascend_refuses(unit):
    unit("910B")
    x, weight = Tensor(np.ones((1, 2, 3, 4, 4), np.float32)), Tensor(np.ones((2, 2, 1, 3, 3), np.float32))
    with pytest.raises(TypeError, match="operands must be float16"):
        ops.Conv3D(2, (1, 3, 3))(x, weight)
    with pytest.raises(TypeError, match="operands must be float16"):
        ops.Conv3DTranspose(2, 2, (1, 3, 3))(x, weight)
    with pytest.raises(ValueError, match="group must be 1"):
        ops.Conv3D(2, (1, 3, 3), group=2)
    large = ops.Conv3D(2, (1, 3, 3))(1e4 * x.astype(ms.float16), weight.astype(ms.float16))
    assert np.isinf(large.asnumpy()).all()  # a 910B has infinities
    assert not precision.none_overflowed([large]).asnumpy() and precision.none_overflowed([x]).asnumpy()


def test_every_product_of_the_device_branch_is_imitated():
    """The branch for CPUs and the probe of one aside."""
    aside = {"convolution_frames.py", "convolution_probe.py"}
    found = {
        name
        for path in SOURCES.rglob("*.py")
        if path.name not in aside
        for name in re.findall(rf"\b(?:ops|nn|mint)\.({'|'.join(PRODUCTS)})\b", path.read_text(encoding="utf-8"))
    }
    assert found and found <= set(OPERATORS)
    assert not [
        path.name
        for path in SOURCES.rglob("*.py")
        if path.parent.name in ("ops", "revsci", "vrt", "training")
        and re.search(r"\w @ \w", re.sub(r'"""[\s\S]*?"""|#.*', "", path.read_text(encoding="utf-8")))
    ]


# Where a loss scale is needed


@pytest.mark.parametrize("kind", TINY)
@pytest.mark.parametrize(
    "name, chosen, scaled",
    [("ascend", "float32", True), ("gpu", "float32", False), ("cpu", "float32", False), ("gpu", "float16", True)],
)
def test_training_switches_it_on_by_itself(monkeypatch, kind, name, chosen, scaled):
    monkeypatch.setattr(device, "name", lambda: name)
    monkeypatch.setattr(precision, "chosen", lambda: chosen)
    config = make_config({"name": "tiny", **TINY[kind]})
    if kind == "spynet":
        monkeypatch.setattr("mindrestore.training.flow_job._validation", lambda *of: None)  # it renders for seconds
    job = JOBS[config.problem](config)
    assert isinstance(job.loss_scale, LossScale) if scaled else job.loss_scale is None
    assert job.gradients.keywords["loss_scale"] is job.loss_scale  # or scaled gradients would be taken for the gradients


# RevSCI


@pytest.mark.parametrize(
    "model, execution, size",
    [
        pytest.param("910", "whole", 24, marks=pytest.mark.long),
        ("910", "pieces", 24),
        ("910B", "pieces", 24),
        pytest.param("910", "whole", 256, marks=pytest.mark.long),
        pytest.param("910", "pieces", 256, marks=pytest.mark.long),
    ],
)
def test_gradients_of_revsci(unit, float32_gradients, model, execution, size):
    """The last bias is apart: its gradient is the mean of what is wrong, near zero, which rounding on the way there moves."""
    expected, names = float32_gradients(size)
    made = unit(model)
    gradients, batch, _ = of_snapshots(execution, None, size)
    without = compared([gradient.asnumpy() for gradient in gradients(*batch)[1]], expected, names)
    scale = LossScale()
    gradients, batch, _ = of_snapshots(execution, scale, size)
    found = compared(settled(made, scale, gradients, *batch)[1], expected, names)
    last = found.norms.pop("conv2.6.bias")
    print(
        f"without {len(without.zeros)} of {len(names)} zero; with a scale of {scale.value:g} {len(found.zeros)} zero, norms "
        f"off by {max(found.norms.values()):.2%} at most, the last bias's by {last:.2%}, all gradients by {found.total:.2%}"
    )
    assert len(without.mattering_zeros) > len(names) / 2 and len(names) == 80
    assert not found.zeros and max(found.norms.values()) < 0.02 and last < 0.2 and found.total < 0.02


# VRT and SpyNet


def of_job(unit, monkeypatch, config, first=None):
    """Return without a scale and with one how gradients of a configuration's first sample compare."""

    def job_on(name):
        monkeypatch.setattr(device, "name", lambda: name)
        job = JOBS[config.problem](config)
        batch = [Tensor(part[None]) for part in job.samples[0] if part is not None]
        return job, [parameter for update in job.updates for parameter in update.parameters], batch

    def of(job, parameters, batch, scale):
        gradients = job.gradients.func(*job.gradients.args, parameters, loss_scale=scale)
        if scale is None:
            return [gradient.asnumpy() for gradient in gradients(*batch)[1]]
        return settled(made, scale, gradients, *batch)[1]

    job, parameters, batch = job_on("gpu")
    names, expected = [parameter.name for parameter in parameters], of(job, parameters, batch, None)
    made = unit("910")
    job, parameters, batch = job_on("ascend")
    without = compared(of(job, parameters, batch, None), expected, names)
    if first:
        job.loss_scale.value = first  # to save repetitions
    return without, compared(of(job, parameters, batch, job.loss_scale), expected, names), len(names)


def test_gradients_of_vrt(unit, monkeypatch):
    without, found, count = of_job(unit, monkeypatch, make_config({"name": "tiny", **TINY["vrt"]}), first=2.0**17)
    assert len(without.mattering_zeros) > count / 4
    assert not found.zeros and found.total < 0.02
    assert np.mean([off < 0.02 for off in found.norms.values()]) > 0.9 and max(found.norms.values()) < 0.1


@pytest.mark.long
@pytest.mark.parametrize("config, task, vanished, off", [("small_denoise", "denoise", 0, 0.1), ("small_sr", "sr", 40, 0.2)])
def test_gradients_of_trained_vrt(unit, monkeypatch, config, task, vanished, off):
    """Of what ships: fine-tuning it. Most stages of the enlarger have learnt nothing and get next to no gradient; its flows,
    which a 910 rounds too, make the difference between the two.
    """
    settings = [
        f"training.initial={shipped(task)}",
        "data.frames=2",
        "training.batch_size=1",
        "training.frozen=[]",
        "training.flow_frozen_steps=0",
        "training.initial_flow=null",
    ]
    without, found, count = of_job(unit, monkeypatch, load_config(CONFIGS / "vrt" / f"{config}.yaml", settings))
    print(
        f"{config}: without {len(without.mattering_zeros)} of {count} zero, all off by {without.total:.2%}; with a scale "
        f"{len(found.mattering_zeros)} zero, norms off by {max(found.norms.values()):.2%} at most, "
        f"{np.mean([each < 0.02 for each in found.norms.values()]):.0%} of them by less than 2 %, all by {found.total:.2%}"
    )
    assert len(without.mattering_zeros) >= vanished and without.total > 3 * found.total
    assert not found.mattering_zeros and found.total < 0.02 and max(found.norms.values()) < off


@pytest.mark.long
def test_gradients_of_spynet(unit, monkeypatch):
    """Not small ones: what counts here is that a scale that is too large is found out."""
    config = make_config({"name": "tiny", **TINY["spynet"], "data": {"patch": 64, "clips": 4}})
    _, found, _ = of_job(unit, monkeypatch, config)
    assert not found.zeros and max(found.norms.values()) < 0.02 and found.total < 0.02


# Overflow


class Step:
    """A ``TrainOneStep`` of a tiny RevSCI; ``taken`` is what its optimiser was given, ``scales`` those that were tried."""

    def __init__(self, mode="pieces", first=2.0**20, factor=1.0):
        self.scale, self.taken, self.scales = LossScale(first), [], []
        network = create_model("revsci", blocks=1, channels=8)
        self.gradients = GRADIENTS[mode](network, lambda clip, target: 1e3 * mse(clip, target), loss_scale=self.scale)
        rng = np.random.default_rng(0)
        shapes = (1, 4, 16, 16), (1, 16, 16), (1, 4, 16, 16)  # clip, measurement, mask
        self.batch = [Tensor(part * rng.random(shape, np.float32)) for part, shape in zip((factor, 2, 1), shapes)]

        def noted(parameters):
            def value_and_gradients(*batch):
                self.scales.append(self.scale.value)
                return self.gradients(*batch)

            return value_and_gradients

        update = Update(self.taken.append, [None] * len(network.trainable_params()), 0)
        self.run = TrainOneStep(noted, [update], mean_over_ranks=mode == "pieces", loss_scale=self.scale, refuse=self.refuse)

    def __call__(self):
        return self.run(*self.batch)

    @staticmethod
    def refuse(step, what):
        raise UserError(f"step {step}: {what}")


@pytest.mark.parametrize("model", ["910", pytest.param("910B", marks=pytest.mark.long)])
@pytest.mark.parametrize("execution", ["whole", "pieces"])
def test_a_step_that_overflows_is_noticed_and_repeated(unit, model, execution):
    """On a 910 no gradient shows it: what is too large stays at 65504."""
    unit(model)
    step = Step(execution)
    step()
    assert len(step.scales) > 2 and step.scales == [2.0**20 / 2**index for index in range(len(step.scales))]
    assert len(step.taken) == 1 and all(np.isfinite(gradient.asnumpy()).all() for gradient in step.taken[0])
    step()
    assert step.scale.state == [step.scales[-1], 2]


def test_what_a_validation_overflows_is_not_a_steps(unit):
    made = unit("910")
    step = Step(first=1.0)
    made.stored(Tensor([1e6], ms.float32))
    step()
    assert step.scales == [1.0] and len(step.taken) == 1


def test_a_step_that_overflows_at_every_scale_is_refused(unit):
    unit("910")
    step = Step(first=4.0, factor=1e9)
    with pytest.raises(UserError, match="step 1: gradients overflow at every loss scale"):
        step()
    assert step.scales == [4.0, 2.0, 1.0] and not step.taken


@pytest.mark.parametrize("execution", ["whole", "pieces"])
def test_all_processes_repeat_what_overflowed_in_one(unit, monkeypatch, execution):
    """On a 910 what another one sends does not show it: another's flag is 0 until the scale is 4."""
    unit("910")
    step = Step(execution, first=16.0)

    def mean(tensors):
        *others, fine = tensors
        return [*others, (fine + float(step.scale.value <= 4)) / 2]

    monkeypatch.setattr(cluster, "mean", mean)
    step()
    assert step.scales == [16.0, 8.0, 4.0] and len(step.taken) == 1


def test_a_resumed_run_ends_as_one_that_never_stopped(unit, monkeypatch, tmp_path):
    unit("910")
    monkeypatch.setattr(loss_scales, "LossScale", partial(LossScale, first=2.0**12, window=3))

    def configure(run, steps=4):
        return make_config(
            {
                "name": "tiny",
                **TINY["revsci"],
                "model": {"blocks": 1, "channels": 8},
                "data": {"frames": 2, "size": 16, "clips": 6},
                "output": str(tmp_path / run),
            },
            [f"training.steps={steps}", "training.save_every=2"],
        )

    whole = train(configure("whole"))
    train(configure("run", steps=2))
    resumed = train(configure("run"), resume=True)
    states = [load_arrays(folder / "last_state.ckpt") for folder in (whole, resumed)]
    assert states[0][1]["loss_scale"] == states[1][1]["loss_scale"] and states[0][1]["loss_scale"][1] in (0, 1)
    assert states[0][0].keys() == states[1][0].keys()
    for name, array in states[0][0].items():
        np.testing.assert_array_equal(states[1][0][name], array, err_msg=name)
