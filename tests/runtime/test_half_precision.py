"""float16: products and convolutions rounded to it, results near those of float32, a loss scale in training, exact resume."""

import json
from functools import partial
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from builders import TINY_SR
from mindspore import Tensor, nn

from mindrestore import cli
from mindrestore.checkpoints.loading import load_network, shipped
from mindrestore.checkpoints.native import Metadata, load_arrays
from mindrestore.config import make_config
from mindrestore.data.rendered import render_clip
from mindrestore.deploy import export_network
from mindrestore.errors import UserError
from mindrestore.metrics import psnr
from mindrestore.models import create_model
from mindrestore.models.vrt import alignment
from mindrestore.ops import convolution_frames, convolution_native
from mindrestore.ops.convolution_images import conv2d
from mindrestore.ops.deformable import deformable_conv2d_features
from mindrestore.ops.rows import linear
from mindrestore.restore import Reconstructor, restore_clip
from mindrestore.restore.exported import load_exported
from mindrestore.restore.networks import choose
from mindrestore.runtime import precision, session
from mindrestore.runtime.execution import compiled
from mindrestore.sensing.masks import random_mask
from mindrestore.sensing.operator import SnapshotImaging
from mindrestore.training import loss_scale as loss_scales
from mindrestore.training.loss_scale import MOST, LossScale
from mindrestore.training.optimizers import Update
from mindrestore.training.step import TrainOneStep
from mindrestore.training.trainer import train
from mindrestore.training.video_job import video_job

pytestmark = pytest.mark.usefixtures("prepared")

ALIGNED = dict(
    model={**TINY_SR, "upscale": 1, "depths": [2] * 7 + [1], "drop_path_rate": 0.0},
    evaluation={},
    training={"steps": 4, "batch_size": 1, "flow_frozen_steps": 0, "recompute": {"attention": [0, 6], "mlp": [1, 7]}},
)
DENOISER = {**TINY_SR, "upscale": 1, "pa_frames": 0, "nonblind_denoising": True, "depths": [1] * 8, "drop_path_rate": 0.0}


@pytest.fixture
def configure(tmp_path):
    def configured(*overrides, run="run", **sections):
        return make_config(
            {
                "name": "tiny",
                "model": DENOISER,
                "data": {"kind": "rendered", "frames": 2, "patch": 64, "clips": 5},
                "training": {
                    "steps": 4,
                    "batch_size": 1,
                    "learning_rate": 1e-3,
                    "schedule": {"kind": "constant"},
                    "log_every": 1,
                    "save_every": 2,
                    "validate_every": 100,
                },
                "evaluation": {"set": "demo", "clips": ["coins"], "frames": 2, "sigma": 25},
                "output": str(tmp_path / run),
                **sections,
            },
            overrides,
        )

    return configured


def rounded(array):
    return array.astype(np.float16).astype(np.float32)


def random(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def padded(x, weight):
    return conv2d(x, weight, padding=1)


def without_bias(function):
    none = Tensor(np.zeros(4, np.float32))

    def called(x, weight):
        return function(x, weight, none)

    return called


OPERATORS = {
    "linear": (linear, random(5, 7), random(3, 7)),
    "conv2d": (padded, random(1, 2, 6, 7), random(3, 2, 3, 3)),
    **{
        f"{name} {kernel}": (without_bias(function), random(1, *features, 6, 8), random(*weight))
        for name, module, features in (("frames", convolution_frames, (3, 4)), ("native", convolution_native, (4, 3)))
        for kernel, function, weight in (
            ("5x5x5", module.conv3d, (4, 4, 5, 5, 5)),
            ("3x3x3", module.conv3d, (4, 4, 3, 3, 3)),
            ("1x3x3", module.conv3d, (4, 4, 1, 3, 3)),
            ("doubled", module.conv3d_transpose, (4, 4, 1, 3, 3)),
        )
    },
}


@pytest.mark.parametrize("mode", ["graph", "pynative"], indirect=True)
@pytest.mark.parametrize("name", OPERATORS)
def test_products_are_of_float16_operands_and_come_back_as_float32(name, mode):
    """The same function before and after: what is compiled in one precision does not serve the other."""
    operator, x, weight = OPERATORS[name]

    def called(x, weight):
        return operator(x, weight)

    function = compiled(called)
    exact = function(Tensor(x), Tensor(weight)).asnumpy()
    expected = function(Tensor(rounded(x)), Tensor(rounded(weight))).asnumpy()
    tolerance = 2e-3 if "3x3x3" in name else 1e-3  # of the largest; the first of frames rounds what it makes of the operands
    precision.use("float16")
    y = function(Tensor(x), Tensor(weight))
    assert y.dtype == ms.float32
    np.testing.assert_allclose(y.asnumpy(), expected, atol=tolerance * np.abs(expected).max())
    assert np.abs(y.asnumpy() - exact).max() > 1e-5
    precision.use("float32")
    np.testing.assert_array_equal(function(Tensor(x), Tensor(weight)).asnumpy(), exact)


@pytest.mark.parametrize("mode", ["pynative"], indirect=True)
def test_flows_and_offsets_stay_float32(mode, monkeypatch):
    """Bit for bit: no product on the way to a flow, and none on the way to an offset, is rounded."""
    image, neighbour = (Tensor(np.random.default_rng(seed).random((1, 3, 32, 32), np.float32)) for seed in range(2))
    spynet = create_model("spynet")
    aligning = alignment.Alignment(8, neighbours=1, groups=2, scale=1, rng=np.random.default_rng(0))
    aligning.conv_offset[6].weight.set_data(Tensor(random(54, 8, 3, 3)))
    given, offsets = [Tensor(random(1, 16, 16, 8)), Tensor(random(1, 16, 16, 8)), Tensor(random(1, 2, 16, 16))], []

    def noted(x, offset, *rest, **named):
        offsets.append(offset.asnumpy())
        return deformable_conv2d_features(x, offset, *rest, **named)

    monkeypatch.setattr(alignment, "deformable_conv2d_features", noted)
    found = {}
    for chosen in precision.CHOICES:
        precision.use(chosen)
        aligned = aligning.align(aligning.offsets(aligning.warp(*given)), *given[1:]).asnumpy()
        found[chosen] = [flow.asnumpy() for flow in spynet(image, neighbour)] + offsets[-1:], aligned
    for one, other in zip(found["float16"][0], found["float32"][0]):
        np.testing.assert_array_equal(one, other)
    assert np.abs(found["float16"][1] - found["float32"][1]).max() > 1e-5  # what is sampled there is multiplied in float16


# Restoring


def measured(size):
    clip = render_clip(0, frames=8, height=size, width=size)
    mask = random_mask(8, size, size, rng=0)
    return clip, SnapshotImaging(mask).measure(clip), mask


@pytest.mark.parametrize("mode", ["graph", "pynative"], indirect=True)
def test_a_clip_is_reconstructed_as_well(mode):
    """By one ``Reconstructor``, whose pieces are compiled once for each precision."""
    clip, measurement, mask = measured(32)
    reconstruct = Reconstructor(load_network(shipped("sci"))[0])
    exact = reconstruct(measurement, mask)
    precision.use("float16")
    near = reconstruct(measurement, mask)
    precision.use("float32")
    np.testing.assert_array_equal(reconstruct(measurement, mask), exact)
    assert 1e-5 < np.abs(near - exact).max() < 0.01
    assert psnr(near, clip) == pytest.approx(psnr(exact, clip), abs=0.05)


@pytest.mark.parametrize("mode", ["pynative", pytest.param("graph", marks=pytest.mark.long)], indirect=True)
@pytest.mark.parametrize("task", [pytest.param("sr", marks=pytest.mark.long), "denoise"])
def test_a_video_is_restored_as_well(mode, task):
    clip = np.repeat(render_clip(1, frames=2, height=64, width=64)[:, None], 3, 1)
    given = clip[:, :, ::4, ::4] if task == "sr" else clip + 0.1 * random(*clip.shape)
    network = load_network(shipped(task))[0]
    restored = {}
    for chosen in precision.CHOICES:
        precision.use(chosen)
        restored[chosen] = restore_clip(
            network, given, tile=(2, 64, 64), overlap=(0, 0, 0), sigma=25 if task == "denoise" else None
        )
    assert 1e-5 < np.abs(restored["float16"] - restored["float32"]).max() < 0.02
    assert psnr(restored["float16"], clip, channel_axis=1) == pytest.approx(
        psnr(restored["float32"], clip, channel_axis=1), abs=0.05
    )


@pytest.mark.long
@pytest.mark.parametrize("config", [None, "small_sr", "small_denoise"])
def test_demonstration_scenes_score_as_well(config, tmp_path, monkeypatch, pytestconfig):
    monkeypatch.chdir(pytestconfig.rootpath)
    options = ["--config", f"configs/vrt/{config}.yaml"] if config else []
    scores = {}
    for chosen in precision.CHOICES:
        folder = tmp_path / chosen
        assert cli.main(["eval", *options, "--device", "cpu", "--precision", chosen, "--output", str(folder)]) == 0
        results = json.loads((folder / "results.json").read_text())
        assert results["precision"] == chosen
        scores[chosen] = {
            name: scene["network"]["psnr"]
            for name, scene in next(results[kind] for kind in ("scenes", "clips") if kind in results).items()
        }
    print(scores)
    assert scores["float16"] == pytest.approx(scores["float32"], abs=0.05) and scores["float16"] != scores["float32"]


# Saying so


def test_a_cpu_says_that_it_is_slower(capsys):
    session.start("cpu", precision="float16")
    assert precision.chosen() == "float16"
    assert capsys.readouterr().err == (
        "mindrestore: float16 on a CPU is slower than float32: numbers are rounded to it and computed in float32.\n"
    )
    session.start("cpu")
    assert precision.chosen() == "float32" and capsys.readouterr().err == ""


def test_the_setting_is_typed_and_has_a_former_name():
    assert make_config({"name": "one"}, ["runtime.precision=float16"]).runtime.precision == "float16"
    with pytest.raises(UserError, match="runtime.precision is 'float8'"):
        make_config({"name": "one"}, ["runtime.precision=float8"])
    for kind in ("vrt", "revsci", "spynet"):
        saved = {"name": "one", "model": {"name": kind}, "training": {"precision": "float16", "seed": 1}}
        config = make_config(saved)
        assert config.runtime.precision == "float16" and config.training.seed == 1


@pytest.mark.parametrize(
    "words", [["eval"], ["export"], ["train", "--config", "one.yaml"], ["restore", "in.mp4", "out.mp4", "--task", "sr"]]
)
def test_every_command_that_computes_has_the_option(words, capsys):
    assert cli.parser().parse_args([*words, "--precision", "float16"]).precision == "float16"
    with pytest.raises(SystemExit):
        cli.parser().parse_args([*words, "--precision", "float8"])
    assert "--precision" in capsys.readouterr().err


def test_a_restored_clip_is_not_made_of_halves_in_two_precisions(tmp_path, monkeypatch):
    from mindrestore.restore import run

    restorer = SimpleNamespace(sigma=None, cuts=())
    job = run.Job(restorer, [], rate=None, bits=8, grey=False, names=None, video=run.VideoSettings(), clip=None)
    source = tmp_path / "clip.mp4"
    source.touch()
    records = []
    for chosen in precision.CHOICES:
        precision.use(chosen)
        records.append(run._record(run.Request(source, tmp_path / "out.mp4", "sr"), job))
    assert records[0] != records[1]


# Exporting


@pytest.fixture
def tiny():
    """A network that is exported in a moment, and what there is to know of it."""
    network = create_model("revsci", blocks=1, channels=8)
    return network, Metadata("revsci", network.settings)


@pytest.mark.long
def test_an_exported_file_carries_its_precision(tmp_path, tiny):
    _, measurement, mask = measured(16)
    inputs = Tensor(measurement[None]), Tensor(mask)
    exact = tiny[0](*inputs).asnumpy()
    precision.use("float16")
    near = tiny[0](*inputs).asnumpy()
    summary = export_network(*tiny, tmp_path / "half.mindir", height=16, width=16)
    precision.use("float32")
    assert summary["precision"] == json.loads((tmp_path / "half.mindir.json").read_text())["precision"] == "float16"
    assert {port["type"] for port in (*summary["inputs"], *summary["outputs"])} == {"float32"}
    restored = nn.GraphCell(ms.load(str(tmp_path / "half.mindir")))(*inputs)
    assert restored.dtype == ms.float32
    assert np.abs(restored.asnumpy() - near).max() < 0.1 * np.abs(exact - near).max()
    assert load_exported(tmp_path / "half.mindir").network.precision == "float16"


def test_what_an_exported_file_cannot_be(tmp_path, tiny):
    export_network(*tiny, tmp_path / "one.mindir", frames=2, height=16, width=16)
    described = json.loads((tmp_path / "one.mindir.json").read_text())
    assert described.pop("precision") == "float32"
    (tmp_path / "one.mindir.json").write_text(json.dumps(described))  # as of a former version
    precision.use("float16")
    with pytest.raises(UserError, match="one.mindir: was exported in float32 and computes in that; leave --precision away"):
        choose("sci", models=[tmp_path / "one.mindir"])
    with pytest.raises(UserError, match="format onnx: is written in float32; leave --precision float16 away"):
        export_network(*tiny, tmp_path / "one.onnx", "onnx")


# Training


def test_the_scale_halves_at_an_overflow_and_doubles_after_a_while():
    scale = LossScale(first=8.0, window=3)
    assert not scale.must_repeat(finite=True) and scale.state == [8.0, 1]
    assert scale.must_repeat(finite=False) and scale.state == [4.0, 0]
    assert [scale.must_repeat(finite=True) for _ in range(3)] == [False] * 3 and scale.state == [8.0, 0]
    for expected in (4.0, 2.0, 1.0):
        assert scale.must_repeat(finite=False) and scale.value == expected
    assert not scale.must_repeat(finite=False)  # it is not the scale's fault
    other = LossScale()
    other.state = scale.state
    assert other.state == scale.state
    scale.state = [MOST, 2]
    scale.must_repeat(finite=True)
    assert scale.value == MOST


def test_a_step_that_overflows_is_repeated_with_a_smaller_scale():
    scale, seen, taken = LossScale(first=2.0**10), [], []

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
@pytest.mark.parametrize("network", [{}, pytest.param(ALIGNED, marks=pytest.mark.long)], ids=["denoiser", "aligned"])
def test_gradients_are_near_those_of_float32(configure, mode, network):
    """Also where flows are found, frames look at each other, and stages are computed again."""
    found = {}
    for chosen in precision.CHOICES:
        precision.use(chosen)
        job = video_job(configure(**network))
        if job.loss_scale:
            job.loss_scale.value = 2.0**16
        batch = [Tensor(part[None]) for part in job.samples[0] if part is not None]
        parameters = job.updates[0].parameters
        loss, gradients = job.gradients(parameters)(*batch)
        found[chosen] = loss.asnumpy(), [gradient.asnumpy() for gradient in gradients]
        names = [parameter.name for parameter in parameters]
    (loss, expected), (near, gradients) = found["float32"], found["float16"]
    assert near == pytest.approx(loss, rel=1e-2) and near != loss
    for name, one, other in zip(names, gradients, expected):
        assert np.linalg.norm(one - other) <= 0.1 * np.linalg.norm(other) + 1e-6, name
    total = np.sqrt(sum(np.square(other).sum() for other in expected))
    assert np.sqrt(sum(np.square(one - other).sum() for one, other in zip(gradients, expected))) < 0.01 * total


@pytest.mark.long
@pytest.mark.parametrize("mode", ["pynative"], indirect=True)
def test_a_resumed_run_ends_as_one_that_never_stopped(configure, mode, monkeypatch):
    """Stopped within the window of the loss scale, which counts on."""
    monkeypatch.setattr(loss_scales, "LossScale", partial(LossScale, first=2.0**10, window=2))
    monkeypatch.setattr("mindrestore.training.video_job.video_validation", lambda config, network: None)
    precision.use("float16")
    whole = train(configure("training.steps=2", run="whole"))
    train(configure("training.steps=1"))
    resumed = train(configure("training.steps=2"), resume=True)
    states = [load_arrays(folder / "last_state.ckpt") for folder in (whole, resumed)]
    assert states[0][1]["loss_scale"] == states[1][1]["loss_scale"] == [2.0**11, 0]
    assert states[0][0].keys() == states[1][0].keys()
    for name, array in states[0][0].items():
        np.testing.assert_array_equal(states[1][0][name], array, err_msg=name)
