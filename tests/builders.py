"""What tests build: small networks and their settings, golden networks, stand-ins for networks, frames, configurations; and
how the runs of training that they start are read.

A constant or function that two test files want lives here, or in ``places.py``; test files import nothing from each other.
"""

import ast
import json
import shutil

import cv2
import numpy as np
import pytest
from golden.golden_weights import golden_array
from mindspore import Tensor
from places import GOLDEN

from mindrestore.checkpoints.loading import Loaded
from mindrestore.checkpoints.native import Metadata, load_arrays
from mindrestore.config import make_config
from mindrestore.models import create_model
from mindrestore.native import build

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, build.COMPILERS)), reason="there is no C++ compiler")

# Settings of small VRTs

TINY_VRT = dict(
    upscale=2,
    img_size=[2, 64, 64],
    window_size=[2, 8, 8],
    depths=[2] * 7 + [1],
    indep_reconsts=[],
    embed_dims=[8] * 8,
    num_heads=[2] * 8,
    pa_frames=2,
    deformable_groups=2,
)
INTERPOLATING = dict(TINY_VRT, upscale=1, img_size=[4, 64, 64], pa_frames=0)
WITHOUT_FLOWS = dict(TINY_VRT, upscale=1, pa_frames=0, mul_attn_ratio=0.0, nonblind_denoising=True)

TINY_SR = dict(TINY_VRT, name="vrt", upscale=4, depths=[1] * 8, drop_path_rate=0.2)
"""The section ``model`` of a configuration that trains in seconds."""

_NINE_STAGES = dict(
    depths=[2] + [1] * 8,
    embed_dims=[12] * 9,
    num_heads=[2] * 9,
    indep_reconsts=[8],
    window_size=[2, 8, 8],
    img_size=[2, 64, 64],
    pa_frames=2,
    deformable_groups=2,
    mul_attn_ratio=0.5,
)
EXPORTABLE = {  # task -> settings
    "sr": dict(_NINE_STAGES, upscale=4),
    "deblur": dict(_NINE_STAGES, upscale=1),
    "denoise": dict(_NINE_STAGES, upscale=1, nonblind_denoising=True),
    "interpolate": dict(_NINE_STAGES, upscale=1, pa_frames=0, img_size=[4, 64, 64], window_size=[4, 8, 8]),
}


def exportable(task):
    """Return (a small VRT for the task, its metadata)."""
    network = create_model("vrt", **EXPORTABLE[task]).set_train(False)
    return network, Metadata("vrt", network.settings)


def flow_weights(folder):
    """Write weights for SpyNet into ``folder``, as a run that starts with it frozen is given them; return the path."""
    path = folder / "flow.npz"
    np.savez(path, **{parameter.name: parameter.asnumpy() for parameter in create_model("spynet", seed=9).get_parameters()})
    return str(path)


# Golden networks


def with_golden_weights(network):
    """Fill the network with the weights that every golden array was computed with; return it, set to infer."""
    for parameter in network.get_parameters():
        parameter.set_data(Tensor(golden_array(parameter.name, parameter.shape)))
    return network.set_train(False)


def golden_vrt(name):
    """Return (golden arrays, the VRT they belong to, its input)."""
    golden = np.load(GOLDEN / f"{name}.npz")
    network = with_golden_weights(create_model("vrt", **ast.literal_eval(str(golden["config"]))))
    return golden, network, Tensor(golden["input"])


def strided(array):
    """The pixels that the golden files hold of an output, one in eight."""
    return array[..., 1::4, 2::4]


# Stand-ins: they take and give what a VRT does, and compute what a test can predict


class StandIn:
    """Repeats every pixel ``upscale`` times; with ``nonblind_denoising`` drops the level; with ``pa_frames`` 0 gives
    the mean of the middle two frames of four. ``shapes`` are those it was given.
    """

    def __init__(self, upscale=1, window_size=(2, 8, 8), pa_frames=2, nonblind_denoising=False):
        self.settings = dict(
            upscale=upscale, window_size=list(window_size), pa_frames=pa_frames, nonblind_denoising=nonblind_denoising
        )
        self.shapes, self.inputs = [], []

    def __call__(self, x):
        x = x.asnumpy()
        self.shapes.append(x.shape)
        scale = self.settings["upscale"]
        self.last = x
        if self.settings["pa_frames"] == 0:
            assert x.shape[1] == 4
            return Tensor(x[:, 1:3].mean(1, keepdims=True))
        return Tensor(self.compute(x[:, :, :3]).repeat(scale, -1).repeat(scale, -2))

    def compute(self, x):
        return x

    def get_parameters(self):
        return []


class PlaceDependent(StandIn):
    """Adds to every pixel something that depends on where it lies in its tile, as a real network's border does."""

    def compute(self, x):
        depth, _, height, width = x.shape[1:]
        ramp = np.arange(depth)[:, None, None, None] + 0.1 * np.arange(height)[:, None] + 0.01 * np.arange(width)
        return x + ramp.astype(np.float32)


def stand_in(task):
    settings = {"sr": dict(upscale=4), "denoise": dict(nonblind_denoising=True), "interpolate": dict(pa_frames=0)}
    return Loaded(StandIn(window_size=(4, 8, 8), **settings.get(task, {})), True, "weights.ckpt")


def stand_ins(task):
    """The networks that evaluation takes for a task, in order."""
    return [stand_in("interpolate"), stand_in("sr")] if task == "space-time-sr" else [stand_in(task)]


# Clips, configurations, runs

_MODELS = {
    "sr": {},
    "deblur": {"upscale": 1},
    "denoise": {"upscale": 1, "nonblind_denoising": True},
    "interpolate": {"upscale": 1, "pa_frames": 0, "img_size": [4, 64, 64]},
}


def video_config(task, *overrides, **evaluation):
    """A configuration to evaluate ``task`` with; ``evaluation`` is its section of this name."""
    content = {
        "name": "test",
        "model": {"name": "vrt", **_MODELS["sr" if task == "space-time-sr" else task]},
        "tiling": {"tile": [4, 16, 16], "overlap": [2, 4, 4]},
        "evaluation": evaluation,
    }
    if task == "space-time-sr":
        content["interpolation"] = {"model": {"name": "vrt", **_MODELS["interpolate"]}}
    config = make_config(content, overrides)
    assert config.task == task
    return config


TINY_SETTINGS = (
    "model.channels=8",
    "model.blocks=1",
    "data.size=16",
    "data.frames=2",
    "data.clips=8",
    "evaluation.kind=captures",
    "training.save_every=1000",
    "runtime.mode=pynative",
)
"""Given to a command that trains by ``configs/revsci/small_cpu.yaml``: a step takes a moment, and nothing is validated."""


def tiny_run(output, *overrides):
    """The configuration of a training of seconds, saved after every step and validated on nothing."""
    return make_config(
        {
            "name": "tiny",
            "model": {"blocks": 1, "channels": 8},
            "data": {"frames": 2, "size": 16, "clips": 6},
            "evaluation": {"kind": "captures", "path": None, "frames": 2},
            "output": str(output),
            "runtime": {"mode": "pynative"},
            "training": {"mode": "plain", "steps": 4, "batch_size": 2, "learning_rate": 2e-3, "save_every": 1, "log_every": 1},
        },
        overrides,
    )


def write_frames(folder, names=("00000000.png", "00000001.png"), size=(8, 12)):
    """Write a frame of each name into ``folder``, all of one grey, 10 more from name to name; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), np.full((*size, 3), 10 * number, np.uint8))
    return folder


def lines_of(folder):
    """The log of a training run, a dict a line."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def assert_same_state(one, other):
    """Weights, moments and counters of two runs are equal bit for bit."""
    (first, progress), (second, other_progress) = (load_arrays(folder / "last_state.ckpt") for folder in (one, other))
    assert progress == other_progress and first.keys() == second.keys()
    assert any(name.startswith("optimizer0/moment") for name in first)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name, strict=True)


def assert_only_wanted(operator, gradient, inputs, weights):
    """An execution of a piece with so many inputs and weights gives each gradient alone as it gives all."""
    count = inputs + weights
    every = sum(operator.backward(gradient, ((True,) * inputs, (True,) * weights)), [])
    for place in range(count):
        chosen = [index == place for index in range(count)]
        found = sum(operator.backward(gradient, (chosen[:inputs], chosen[inputs:])), [])
        assert [each is not None for each in found] == chosen
        np.testing.assert_array_equal(found[place].numpy(), every[place].numpy())
