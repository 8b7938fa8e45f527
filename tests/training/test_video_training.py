"""Training of VRT through ``train(config)``: a tiny network on rendered clips, resumed exactly, fine-tuned."""

import gzip
import json

import numpy as np
import pytest
import yaml
from builders import TINY_SR, flow_weights, lines_of
from mindspore import Tensor
from places import CONFIGS, GOLDEN
from torch_pickles import storage, tensor, zip_file

from mindrestore.checkpoints.loading import load_network
from mindrestore.checkpoints.native import load_arrays
from mindrestore.checkpoints.weights import start_from
from mindrestore.config import make_config
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.models.vrt.training import DroppingSamples, is_late
from mindrestore.runtime import device
from mindrestore.training.gradients import ERRS_ON_A_GPU, executed
from mindrestore.training.losses import charbonnier
from mindrestore.training.trainer import keep_copy, train
from mindrestore.training.video_job import video_job

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.mark.parametrize("kind, execution", [("cpu", "pieces"), ("gpu", "pieces"), ("ascend", "whole")])
def test_a_step_is_executed_as_suits_the_device(monkeypatch, capsys, kind, execution):
    """On one H200 losses of one graph were wrong now and then, those of pieces never."""
    network = create_model(**TINY_SR)
    monkeypatch.setattr(device, "name", lambda: kind)
    assert executed("auto", network) == execution and not capsys.readouterr().err
    assert executed("whole", network) == "whole" and (ERRS_ON_A_GPU in capsys.readouterr().err) == (kind == "gpu")


@pytest.fixture
def configure(tmp_path):
    def configured(*overrides, **model):
        return make_config(
            {
                "name": "tiny",
                "model": {**TINY_SR, **model},
                "data": {"kind": "rendered", "frames": 2, "patch": 64, "clips": 5},
                "training": {
                    "steps": 3,
                    "batch_size": 2,
                    "flow_frozen_steps": 1,
                    "log_every": 1,
                    "save_every": 2,
                    "initial_flow": flow_weights(tmp_path),
                },
                "output": str(tmp_path / "run"),
            },
            overrides,
        )

    return configured


def test_charbonnier_is_its_formula():
    one, other = np.random.default_rng(0).random((2, 3, 4), np.float32)
    assert charbonnier(Tensor(one), Tensor(other)).asnumpy() == pytest.approx(np.sqrt((one - other) ** 2 + 1e-9).mean())


def test_what_is_frozen_first_is_spynet_and_alignment():
    names = {parameter.name for parameter in create_model(**TINY_SR).trainable_params()}
    late = {name for name in names if is_late(name)}
    assert {name.split(".")[0] for name in late} == {"spynet", *(f"stage{number}" for number in range(1, 8))}
    assert all("pa_deform" in name or name.startswith("spynet") for name in late)
    assert "stage1.pa_fuse.fc11.weight" in names - late and "stage1.pa_deform.conv_offset.0.weight" in late


def test_depth_is_dropped_at_each_blocks_rate():
    class Samples:
        columns, seed = ("gt", "lq"), 0

        def __getitem__(self, number):
            return "gt", "lq"

    samples = DroppingSamples(Samples(), [0.0, 0.25])
    kept = np.array([samples[number][2] for number in range(2000)])
    assert samples.columns == ("gt", "lq", "multipliers") and kept.shape == (2000, 4)
    assert (kept[:, :2] == 1).all() and set(np.unique(kept[:, 2:])) == {0, np.float32(1 / 0.75)}
    assert kept.mean(0) == pytest.approx([1] * 4, abs=0.06)
    np.testing.assert_array_equal(samples[7][2], kept[7])


@pytest.mark.long
@pytest.mark.parametrize("mode", ["pynative"], indirect=True)
def test_a_run_writes_a_network_that_can_be_loaded(configure, mode):
    folder = train(configure("training.average=0.9", "training.clip_norm=1.0", "training.keep=1"))
    assert [path.name for path in folder.glob("step_*")] == ["step_3.ckpt"]
    assert [line["step"] for line in lines_of(folder)] == [1, 2, 3]
    assert any(name.startswith("average/") for name in load_arrays(folder / "last_state.ckpt")[0])
    network, metadata = load_network(folder / "last.ckpt")
    assert metadata.kind == "vrt" and network.settings["embed_dims"] == [8] * 8


def test_fine_tuning_takes_what_fits_and_names_the_rest():
    settings = {key: value for key, value in TINY_SR.items() if key != "name"}
    source = create_model("vrt", **settings, seed=1)
    arrays = {parameter.name: parameter.asnumpy() for parameter in source.get_parameters()}
    target = create_model("vrt", **{**settings, "upscale": 1}, seed=2)
    said, taken = start_from(target, arrays)
    assert "stage1.linear1.weight" in taken and "conv_last.weight" not in taken
    assert "are missing" not in said or "conv_last" in said
    values = {parameter.name: parameter.asnumpy() for parameter in target.get_parameters()}
    np.testing.assert_array_equal(values["stage1.linear1.weight"], arrays["stage1.linear1.weight"])
    assert "conv_last.weight" in said  # of another shape without upsampling
    with pytest.raises(UserError, match="none of its weights fits"):
        start_from(target, {"other": np.zeros(3, np.float32)})
    flow = {name.removeprefix("spynet."): 2 * array for name, array in arrays.items() if name.startswith("spynet.")}
    assert f"{len(flow)} of {len(flow)} parameters taken." in start_from(target, flow, prefix="spynet.").sentence


@pytest.mark.parametrize(
    "overrides, complaint",
    [
        (["data.gt=nowhere", "data.kind=stored"], "nowhere: no such data set"),
        (["data.kind=stored"], "it has no data to train on; say which with data.kind=rendered, or data.gt=FOLDER"),
        (["training.initial=nowhere.ckpt"], "nowhere.ckpt"),
    ],
)
def test_mistakes_are_named(configure, overrides, complaint):
    with pytest.raises(UserError, match=complaint):
        video_job(configure(*overrides))


def test_checkpoints_are_kept_by_count(tmp_path):
    for step in (2, 4, 9, 10):
        (tmp_path / "last.ckpt").write_text(str(step))
        keep_copy(tmp_path / "last.ckpt", step, 2)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "last.ckpt": "10",
        "step_9.ckpt": "9",
        "step_10.ckpt": "10",
    }


# What is frozen was trained before


def published_spynet(path, buffers=False):
    """Write a file as SpyNet is published: PyTorch's, names under "params", with constants of the network beside the weights or
    without; return the arrays.
    """
    vrt = json.loads(gzip.decompress((GOLDEN / "state_dicts.json.gz").read_bytes()))["001_videosr_bi_reds_6frames"]
    shapes = {name.removeprefix("spynet."): shape for name, shape in vrt["state_dict"].items() if name.startswith("spynet.")}
    assert "basic_module.0.basic_module.0.weight" in shapes and "mean" in shapes and len(shapes) == 62
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in shapes.items()
        if buffers or name not in ("mean", "std")
    }
    described = {
        name: tensor(
            storage(str(key), array.size), size=array.shape, stride=tuple(step // array.itemsize for step in array.strides)
        )
        for key, (name, array) in enumerate(arrays.items())
    }
    zip_file(path, {"params": described}, {f"data/{key}": array.tobytes() for key, array in enumerate(arrays.values())})
    return arrays


@pytest.mark.parametrize("buffers", [False, True], ids=["weights", "weights and constants"])
def test_the_published_spynet_is_taken(configure, tmp_path, buffers, capsys):
    path = tmp_path / "spynet_sintel_final-3d2a1287.pth"
    arrays = published_spynet(path, buffers)
    job = video_job(configure(f"training.initial_flow={path}"))
    values = {parameter.name: parameter.asnumpy() for parameter in job.network.get_parameters()}
    for name, array in arrays.items():
        if name not in ("mean", "std"):
            np.testing.assert_array_equal(values[f"spynet.{name}"], array)
    assert "60 of 60 parameters taken." in capsys.readouterr().out


UNTRAINED_FLOW = (
    r"freezes SpyNet, which finds motion, and {} of its parameters are untrained; "
    r".*spynet_sintel_final-3d2a1287.pth, trained on Sintel.*train.py --config configs/vrt/small_flow.yaml"
)


@pytest.mark.parametrize(
    "overrides, begins",
    [
        ([], "training.flow_frozen_steps=1 "),
        (["training.flow_frozen_steps=0", "training.frozen=[spynet]"], "training.frozen "),
        (["training.frozen=[spynet]"], "training.frozen "),
    ],
)
def test_an_untrained_flow_is_not_frozen(configure, overrides, begins):
    with pytest.raises(UserError, match=begins + UNTRAINED_FLOW.format(60)):
        video_job(configure("training.initial_flow=null", "data.kind=stored", "data.gt=nowhere", *overrides))


@pytest.mark.parametrize("path", sorted((CONFIGS / "vrt").glob("00*.yaml")), ids=lambda path: path.stem[:7])
def test_published_recipes_want_trained_flow_before_they_read_data(path):
    """At the small size; 009 has no flows."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["model"].update(depths=[1] * 8, embed_dims=[48] * 8, num_heads=[2] * 8, indep_reconsts=[])
    content["training"]["recompute"] = {}
    config = make_config({**content, "data": {**content["data"], "gt": "nowhere"}})
    expected = "nowhere: no such data set" if path.stem.startswith("009") else UNTRAINED_FLOW.format(60)
    with pytest.raises(UserError, match=expected):
        video_job(config)


def test_weights_that_hold_only_a_part_of_spynet_do_not_do(configure, tmp_path):
    with np.load(flow_weights(tmp_path)) as whole:
        np.savez(tmp_path / "half.npz", **{name: array for name, array in whole.items() if name < "basic_module.3"})
    with pytest.raises(UserError, match=UNTRAINED_FLOW.format(30)):
        video_job(configure(f"training.initial_flow={tmp_path / 'half.npz'}"))


def test_flow_may_come_with_a_whole_network_or_be_trained_from_the_start(configure, tmp_path):
    network = create_model(**TINY_SR)
    np.savez(tmp_path / "vrt.npz", **{parameter.name: parameter.asnumpy() for parameter in network.get_parameters()})
    for overrides in (
        [f"training.initial={tmp_path / 'vrt.npz'}", "training.frozen=[spynet, stage1]"],
        ["training.flow_frozen_steps=0"],
    ):
        assert video_job(configure("training.initial_flow=null", *overrides)).steps == 3


def test_a_resumed_run_has_its_flow_in_its_state(configure, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last_state.ckpt").touch()  # which the trainer reads after this
    video_job(configure("training.initial_flow=null"))


def test_other_untrained_parts_are_not_frozen_for_good(configure):
    with pytest.raises(UserError, match=r"training.frozen: \d+ of the .* that it freezes are untrained, the first is stage1"):
        video_job(configure("training.frozen=[stage1]"))


def test_a_cosine_ends_alike_for_every_part(configure):
    job = video_job(configure("training.steps=400", "training.flow_frozen_steps=20"))
    early, late = (update.optimizer.learning_rate.learning_rate.asnumpy() for update in job.updates)
    assert (len(early), len(late), early[0]) == (400, 380, pytest.approx(4e-4))
    assert late[0] == pytest.approx(1e-7 + (4e-4 / 8 - 1e-7) * (1 + np.cos(np.pi * 20 / 400)) / 2)
    for rates, highest in ((early, 4e-4), (late, 4e-4 / 8)):
        assert rates[-1] == pytest.approx(1e-7 + (highest - 1e-7) * (1 + np.cos(np.pi * 399 / 400)) / 2)
        assert rates.min() > 1e-7


def test_what_is_frozen_is_not_trained(configure):
    job = video_job(configure("training.frozen=[spynet]"))
    assert not any(parameter.name.startswith("spynet") for parameter in job.network.trainable_params())
    assert any("pa_deform" in parameter.name for parameter in job.updates[1].parameters)
    with pytest.raises(UserError, match="no parameter's name contains 'spinet'"):
        video_job(configure("training.frozen=[spinet]"))
