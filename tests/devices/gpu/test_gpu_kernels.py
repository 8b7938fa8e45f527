"""Every configuration, export and restoration on MindSpore's own GPU plug-in, over a stand-in for NVIDIA's libraries.

Kernels compute nothing and numbers are meaningless: see README.md beside this file.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import cuda_stand_in
import cv2
import numpy as np
import pytest
import yaml
from places import ROOT

from mindrestore.checkpoints import native
from mindrestore.models import create_model

WEIGHTS = ROOT / "src" / "mindrestore" / "assets"
CONFIGURATIONS = {f"{path.parent.name}/{path.stem}": path for path in sorted((ROOT / "configs").glob("*/*.yaml"))}
PYNATIVE = ("revsci/multi_group_18x2", "revsci/small_cpu", "vrt/small_flow", "vrt/small_interpolate", "vrt/small_sr")
FLOAT16 = ("vrt/small_deblur",)
LIMIT = 1200  # seconds that a process may take

STAGES = 7  # of a VRT, before the groups of stage 8
STORED = ("gt", "lq", "list", "held_out")  # settings of data that are stored
DEPTHS = [4] + [2] * 8  # of a VRT made smaller: at ``mul_attn_ratio`` a half, mutual and self-attention, shifted and not


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """The environment of a machine with a GPU."""
    lacking = cuda_stand_in.missing()
    if lacking:
        pytest.skip(f"the stand-in for NVIDIA's libraries cannot be built: {lacking}")
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("DEVICE_ID", "MS_OM_PATH", "ONEDNN_MAX_CPU_ISA")
    }
    return {**inherited, **cuda_stand_in.build(tmp_path_factory.mktemp("cuda")), "PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def python(machine, tmp_path):
    """``python(*arguments, statuses=(0,), **environment)`` runs Python there; returns what it printed and launched."""

    def run(*arguments, statuses=(0,), **environment):
        launched = tmp_path / "launched"
        launched.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**machine, "STAND_IN_LAUNCHED": str(launched), **environment},
            timeout=LIMIT,
        )
        assert done.returncode in statuses, done.stdout[-4000:] + done.stderr[-8000:]
        return done.stdout + done.stderr, launched.read_text().split() if launched.exists() else []

    return run


@pytest.fixture
def frames(tmp_path):
    """A folder of eight frames."""
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, (64, 96, 3), np.uint8))
    return folder


# The machine


GRAPH = """
import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from mindrestore.runtime import device, execution, session
print(session.start("auto"), device.count("gpu"))
def convolved(x, weight):
    return ops.matmul(ops.conv2d(x, weight, pad_mode="pad", padding=1), x[:, :2].swapaxes(-2, -1)).sum()
x, weight = Tensor(np.ones((1, 3, 8, 8), np.float32)), Tensor(np.ones((2, 3, 3, 3), np.float32))
print(execution.compiled(ms.grad(convolved, (0, 1)))(x, weight)[1].asnumpy().max())
ones = Tensor(np.ones(3, np.float32))
def normalised(x, *others):
    return ops.batch_norm(x, *others)
execution.compiled(normalised)(*(tensor.astype(ms.float16) for tensor in (x, ones, ones, ones, ones)))
"""


def test_a_graph_runs_and_an_operator_without_a_kernel_is_refused(python, tmp_path):
    program = tmp_path / "program.py"  # MindSpore compiles what is in files only
    program.write_text(GRAPH)
    printed, launched = python(program, statuses=(1,))
    assert printed.startswith("gpu 1\n0.0\n")
    assert {path.name for path in tmp_path.iterdir()} == {"program.py", "launched"}  # MindSpore makes a folder here
    assert {"cudnnConvolutionForward", "cudnnConvolutionBackwardData", "cudnnConvolutionBackwardFilter"} <= set(launched)
    assert any(function.startswith("cublasGemm") for function in launched)
    assert "Select GPU operator[BatchNorm] fail! Unsupported data type!" in printed
    assert "get input[Float16 Float16 Float16 Float16 Float16" in printed


def test_doctor_takes_the_last_of_eight(python):
    printed, _ = python("-m", "mindrestore", "doctor", STAND_IN_GPUS="8", DEVICE_ID="7")
    assert "\ndevice        gpu\n" in printed


def test_doctor_refuses_one_beyond(python):
    printed, _ = python("-m", "mindrestore", "doctor", "--device", "gpu", statuses=(2,), STAND_IN_GPUS="8", DEVICE_ID="8")
    assert (
        printed.endswith(
            "\nmindrestore: error: DEVICE_ID=8: this process may use 8 GPU devices; give DEVICE_ID, or "
            "--device-id of the launchers, a number from 0 to 7.\n"
        )
        and "Traceback" not in printed
    )


SUMS = """
import mindspore as ms
from mindspore import ops
from mindrestore.runtime import cluster, session
session.start("gpu")
tensors = [ops.zeros(3, ms.float32), ops.zeros((2, 2), ms.float32)]
print([mean.shape for mean in cluster.mean(tensors)], cluster.gathered([0.0]).shape, flush=True)
"""


@pytest.mark.long
def test_two_gpus_exchange(python, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(SUMS)
    launcher = Path(sys.executable).with_name("msrun")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    _, launched = python(
        launcher,
        "--worker_num=2",
        "--local_worker_num=2",
        f"--master_port={port}",
        "--join=True",
        "--log_dir=logs",
        program,
        STAND_IN_GPUS="2",
    )
    for rank in range(2):
        assert "[(3,), (2, 2)] (2, 1)" in (tmp_path / "logs" / f"worker_{rank}.log").read_text()
    assert launched.count("ncclAllReduce") == 2  # at its first call in each process


# Every configuration


@pytest.fixture(scope="session")
def spynet(tmp_path_factory):
    """A checkpoint of the part of VRT that finds motion."""
    path = tmp_path_factory.mktemp("weights") / "spynet.ckpt"
    native.save_network(path, create_model("spynet"), "spynet", {}, None, {})
    return path


@pytest.fixture
def configured(spynet, tmp_path):
    """``configured(name, **runtime)`` writes ``small.yaml``, a configuration made small; returns its content."""

    def write(name, **runtime):
        config = made_small(yaml.safe_load(CONFIGURATIONS[name].read_text()), spynet)
        config["runtime"] = {"device": "gpu", **runtime}
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(config))
        return config

    return write


def made_small(config, spynet):
    """Return a configuration that needs no data and keeps what selects operators; SpyNet's weights are given."""
    own_data = config.get("data", {}).get("kind") != "rendered" and config["model"]["name"] != "spynet"
    training = config.setdefault("training", {})
    training.update(steps=2, batch_size=1, validate_every=2, save_every=2)
    training.get("schedule", {}).pop("warmup_steps", None)
    if config["model"]["name"] == "revsci":
        config["model"]["blocks"] = 2
        for name in ("initial", "new_blocks"):
            training.pop(name, None)
    elif "initial_flow" in training:
        training["initial_flow"] = str(spynet)
    if own_data:
        (made_small_snapshots if config["model"]["name"] == "revsci" else made_small_videos)(config, training)
    return config


def made_small_snapshots(config, _):
    config["mask"] = {}
    config["data"] = {"kind": "rendered", "frames": config["data"]["frames"], "size": 64}
    config["evaluation"] = {"kind": "demo", "frames": 8}


def made_small_videos(config, training):
    training["flow_frozen_steps"] = 0
    rendered = {"kind": "rendered", "patch": 64 * config["model"]["upscale"]}
    config["data"] = {**{name: value for name, value in config.get("data", {}).items() if name not in STORED}, **rendered}
    config["evaluation"] = {name: value for name, value in config["evaluation"].items() if name in ("sigma", "degradation")}
    stages = shortened(config["model"])
    for part, chosen in training.get("recompute", {}).items():
        if isinstance(chosen, list):
            training["recompute"][part] = [place for place, stage in enumerate(stages) if stage in chosen]
    if "interpolation" in config:
        shortened(config["interpolation"]["model"])


def shortened(model):
    """Leave of a VRT's settings few blocks of each kind; return which of its stages are left."""
    if max(model["depths"]) <= 2:
        return range(len(model["depths"]))
    stages = [*range(STAGES), STAGES, len(model["depths"]) - 1]
    model.update(
        depths=DEPTHS,
        mul_attn_ratio=0.5,
        indep_reconsts=[place for place, stage in enumerate(stages) if stage in model["indep_reconsts"]],
    )
    for name in ("embed_dims", "num_heads"):
        model[name] = [model[name][stage] for stage in stages]
    return stages


def trained(python, *more, **expected):
    """Train by ``small.yaml``."""
    return python(ROOT / "train.py", "--config", "small.yaml", "output=run", *more, **expected)


def trained_and_evaluated(python, config, frames):
    if "interpolation" not in config:  # two networks, each trained by another configuration
        trained(python)
    if config["model"]["name"] == "spynet":  # a part of a network, which restores nothing
        return
    weights = [] if "interpolation" in config else ["--checkpoint", "run/last.ckpt"]
    clips = ["--gt", frames] if config["model"]["name"] == "vrt" else []
    python(
        ROOT / "eval.py",
        "--config",
        "small.yaml",
        *weights,
        *clips,
        "output=results",
        *(["evaluation.set=folder"] if clips else []),
    )


@pytest.mark.long
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configuration(name, configured, python, frames):
    trained_and_evaluated(python, configured(name), frames)


@pytest.mark.long
@pytest.mark.parametrize("name", PYNATIVE)
def test_configuration_operator_by_operator(name, configured, python, frames):
    trained_and_evaluated(python, configured(name, mode="pynative"), frames)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["graph", "pynative"])
@pytest.mark.parametrize("name", FLOAT16)
def test_training_in_float16(name, mode, configured, python):
    """All operators have kernels. That gradients are finite only a kernel can say: here they may be taken for overflowing."""
    configured(name, mode=mode)
    printed, launched = trained(python, "training.precision=float16", statuses=(0, 2))
    assert "Trained: " in printed or "gradients overflow at every loss scale" in printed
    assert any("half" in function for function in launched)


# Commands


@pytest.mark.long
@pytest.mark.parametrize(
    "name, config", [("revsci_small", None), ("vrt_small_denoise", "small_denoise"), ("vrt_small_sr", "small_sr")]
)
def test_export(name, config, python, tmp_path):
    options = ["--config", CONFIGURATIONS[f"vrt/{config}"]] if config else []
    printed, launched = python(
        ROOT / "export.py",
        *options,
        "--checkpoint",
        WEIGHTS / f"{name}.ckpt",
        "--output",
        "exported.mindir",
        "runtime.device=gpu",
    )
    assert "Read back and compared" in printed and launched
    assert (tmp_path / "exported.mindir").exists()


@pytest.mark.long
@pytest.mark.parametrize("task", ["denoise", "sr", "sci"])
def test_restore(task, python, frames, tmp_path):
    if task == "sci":
        python("-m", "mindrestore", "simulate", frames, "coded.mat", "--ratio", "8")
    source = "coded.mat" if task == "sci" else frames
    _, launched = python(
        "-m",
        "mindrestore",
        "restore",
        source,
        "restored",
        "--task",
        task,
        "--device",
        "gpu",
        *(["--sigma", "25"] if task == "denoise" else []),
    )
    restored = [cv2.imread(str(path)) for path in sorted((tmp_path / "restored").iterdir())]
    scale = 4 if task == "sr" else 1
    assert [image.shape for image in restored] == [(64 * scale, 96 * scale, 3)] * 8
    assert any("Convolution" in function for function in launched)


@pytest.mark.long
def test_eval_without_options(python):
    printed, _ = python(ROOT / "eval.py", "runtime.device=gpu")
    assert "\ndevice: gpu\n" in printed


# Measurement


@pytest.mark.long
def test_the_benchmark_of_a_device_measures_and_tells_that_numbers_are_wrong(python, tmp_path):
    said, launched = python(
        ROOT / "benchmarks" / "devices.py",
        "--device",
        "gpu",
        "--small",
        "--only",
        "golden revsci, exact",
        "call of RevSCI 50, piecewise",
        "step of RevSCI 50, reversible",
    )
    results = [json.loads(line) for line in (tmp_path / "devices_gpu_small.jsonl").read_text().splitlines()]
    assert [result["status"] for result in results] == ["done"] * 3 and launched
    golden, call, step = (result["parts"] for result in results)
    assert said.count("DIFFERS") == len(golden) - 1 == 3  # nothing is computed there
    assert {result["about"]["device"] for result in (golden, call, step)} == {"gpu"}
    assert step["batch 2"]["peak_gb"] > 0  # what MindSpore has allocated on the device
