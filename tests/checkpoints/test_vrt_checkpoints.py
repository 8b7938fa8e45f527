"""VRT's parameters: the published names and shapes, settings read off them, conversion, our own checkpoints."""

import gzip
import json

import numpy as np
import pytest
from golden.golden_weights import golden_array
from places import GOLDEN

from mindrestore.checkpoints import load_network, load_published_weights
from mindrestore.checkpoints.convert import convert
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.models.vrt.published import settings_from_shapes
from mindrestore.models.vrt.settings import TASKS

pytestmark = pytest.mark.usefixtures("prepared")

with gzip.open(GOLDEN / "state_dicts.json.gz") as file:
    PUBLISHED = {name: entry for name, entry in json.load(file).items() if name[0] == "0"}
CHECKPOINTS = {  # task -> the published checkpoint with its shapes
    task: next(name for name in PUBLISHED if task[:3] in name.split("_video")[0].split("_")) for task in TASKS
}
SMALL = dict(
    upscale=2,
    img_size=[2, 64, 64],
    window_size=[2, 8, 8],
    depths=[2] * 7 + [1, 1],
    indep_reconsts=[8],
    embed_dims=[4] * 7 + [8] * 2,
    num_heads=[2] * 9,
    pa_frames=4,
    deformable_groups=4,
)


@pytest.mark.parametrize(
    "task",
    [
        "001_videosr_bi_reds_6frames",
        "002_videosr_bi_reds_16frames",
        "003_videosr_bi_vimeo_7frames",
        "007_videodeblurring_reds",
        "008_videodenoising_davis",
        "009_videofi_vimeo_4frames",
    ],
)
def test_published_entries_have_a_place(task):
    entry = PUBLISHED[CHECKPOINTS[task]]
    network = create_model("vrt", **TASKS[task])
    found = {parameter.name: list(parameter.shape) for parameter in network.get_parameters()}
    assert found == {name: shape for name, shape in entry["state_dict"].items() if name not in entry["buffers"]}
    assert sum(parameter.size for parameter in network.get_parameters()) == entry["parameters"]
    assert all(map(network.published_buffers, entry["buffers"]))
    assert not any(map(network.published_buffers, found))


@pytest.mark.parametrize("task", TASKS)
def test_settings_follow_from_published_shapes(task):
    settings = settings_from_shapes(PUBLISHED[CHECKPOINTS[task]]["state_dict"])
    assert {
        name: list(value) if isinstance(value, tuple) else value for name, value in TASKS[task].items()
    }.items() <= settings.items()


def test_shapes_of_no_vrt_are_refused():
    with pytest.raises(UserError, match="is no VRT: .* lack"):
        settings_from_shapes({"conv1.weight": (3, 3)})


def test_published_weights_become_our_checkpoint(tmp_path):
    network = create_model("vrt", **SMALL)
    arrays = {parameter.name: golden_array(parameter.name, parameter.shape) for parameter in network.get_parameters()}
    buffers = {"spynet.mean": np.zeros((1, 3, 1, 1), np.float32)}
    load_published_weights(network, {**arrays, **buffers})
    np.savez(tmp_path / "published.npz", **arrays, **buffers)
    assert "vrt (upscale 2" in convert(tmp_path / "published.npz", tmp_path / "own.ckpt")
    again, metadata = load_network(tmp_path / "own.ckpt")
    assert metadata.kind == "vrt" and SMALL.items() <= metadata.settings.items()
    for parameter in again.get_parameters():
        np.testing.assert_array_equal(parameter.asnumpy(), arrays[parameter.name])
    with pytest.raises(UserError, match="1 missing .conv_first.bias."):
        load_published_weights(network, {name: array for name, array in arrays.items() if name != "conv_first.bias"})


@pytest.mark.parametrize(
    "settings, words",
    [
        (dict(depth=4), "unknown setting 'depth'.*Did you mean 'depths'"),
        (dict(upscale=5), "upscale is 5; choose one of 1, 2, 3, 4, 8"),
        (dict(pa_frames=3), "pa_frames is 3; choose one of 0, 2, 4, 6"),
        (dict(window_size=[6, 8]), "window_size is .6, 8.; it must be a list of 3"),
        (dict(depths=[8] * 7), "depths has 7 entries"),
        (dict(num_heads=[6] * 12), "num_heads has 12 entries; it must have 13"),
        (dict(num_heads=[7] * 13), "num_heads has 7, which does not divide the 120"),
        (dict(deformable_groups=7), "deformable_groups is 7; it must divide"),
        (dict(pa_frames=0), "upscale is 4; with pa_frames 0"),
        (dict(pa_frames=0, upscale=1), "img_size is .6, 64, 64.; frame interpolation"),
        (dict(drop_path_rate=1.0), "drop_path_rate is 1.0; it must be a number from 0 to below 1"),
        (dict(qkv_bias="yes"), "qkv_bias is 'yes'; it must be true or false"),
        (dict(in_chans=0), "in_chans is 0"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(UserError, match=words):
        create_model("vrt", **settings)
