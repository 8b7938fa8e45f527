"""Training of VRT through ``train(config)``: a tiny network on rendered clips, resumed exactly, fine-tuned."""
import json

import numpy as np
import pytest
from mindspore import Tensor

from mindrestore.checkpoints.fine_tuning import start_from
from mindrestore.checkpoints.native import load_arrays, load_network
from mindrestore.config import make_config
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.training.losses import charbonnier
from mindrestore.training.trainer import keep_copy, train
from mindrestore.training.video_job import DroppingSamples, _is_late, video_job

pytestmark = pytest.mark.usefixtures("prepared")

MODEL = dict(name="vrt", upscale=4, img_size=[2, 64, 64], window_size=[2, 8, 8], depths=[1] * 7 + [1], indep_reconsts=[],
             embed_dims=[8] * 8, num_heads=[2] * 8, pa_frames=2, deformable_groups=2, drop_path_rate=0.2)


@pytest.fixture
def configure(tmp_path):
    def configured(*overrides, **model):
        return make_config({
            "name": "tiny", "model": {**MODEL, **model}, "data": {"kind": "rendered", "frames": 2, "patch": 64, "clips": 5},
            "training": {"steps": 3, "batch_size": 2, "flow_frozen_steps": 1, "log_every": 1, "save_every": 2},
            "output": str(tmp_path / "run"),
        }, overrides)
    return configured


def lines_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_charbonnier_is_its_formula():
    one, other = np.random.default_rng(0).random((2, 3, 4), np.float32)
    assert charbonnier(Tensor(one), Tensor(other)).asnumpy() == pytest.approx(np.sqrt((one - other) ** 2 + 1e-9).mean())


def test_what_is_frozen_first_is_spynet_and_alignment():
    names = {parameter.name for parameter in create_model("vrt", **{k: v for k, v in MODEL.items() if k != "name"}
                                                          ).trainable_params()}
    late = {name for name in names if _is_late(name)}
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
    assert samples.columns == ("gt", "lq", "kept") and kept.shape == (2000, 4)
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
    settings = {key: value for key, value in MODEL.items() if key != "name"}
    source = create_model("vrt", **settings, seed=1)
    arrays = {parameter.name: parameter.asnumpy() for parameter in source.get_parameters()}
    target = create_model("vrt", **{**settings, "upscale": 1}, seed=2)
    said = start_from(target, arrays)
    assert "are missing" not in said or "conv_last" in said
    values = {parameter.name: parameter.asnumpy() for parameter in target.get_parameters()}
    np.testing.assert_array_equal(values["stage1.linear1.weight"], arrays["stage1.linear1.weight"])
    assert "conv_last.weight" in said  # of another shape without upsampling
    with pytest.raises(UserError, match="none of its weights fits"):
        start_from(target, {"other": np.zeros(3, np.float32)})
    flow = {name.removeprefix("spynet."): 2 * array for name, array in arrays.items() if name.startswith("spynet.")}
    assert f"{len(flow)} of {len(flow)} parameters taken." in start_from(target, flow, prefix="spynet.")


@pytest.mark.parametrize("overrides, complaint", [
    (["data.gt=nowhere", "data.kind=stored"], "nowhere: no such data set"),
    (["data.kind=stored"], "it has no data to train on; say which with data.kind=rendered, or data.gt=FOLDER"),
    (["training.initial=nowhere.ckpt"], "nowhere.ckpt"),
])
def test_mistakes_are_named(configure, overrides, complaint):
    with pytest.raises(UserError, match=complaint):
        video_job(configure(*overrides))


def test_checkpoints_are_kept_by_count(tmp_path):
    for step in (2, 4, 9, 10):
        (tmp_path / "last.ckpt").write_text(str(step))
        keep_copy(tmp_path / "last.ckpt", step, 2)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "last.ckpt": "10", "step_9.ckpt": "9", "step_10.ckpt": "10"}


def test_what_is_frozen_is_not_trained(configure):
    job = video_job(configure("training.frozen=[spynet]"))
    assert not any(parameter.name.startswith("spynet") for parameter in job.network.trainable_params())
    assert any("pa_deform" in parameter.name for parameter in job.updates[1].parameters)
    with pytest.raises(UserError, match="no parameter's name contains 'spinet'"):
        video_job(configure("training.frozen=[spinet]"))
