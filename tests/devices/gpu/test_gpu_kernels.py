"""Every configuration, export and restoration on MindSpore's own GPU plug-in, over a stand-in for NVIDIA's libraries.

Kernels compute nothing and numbers are meaningless: see README.md beside this file.
"""
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

ROOT = Path(__file__).parents[3]
WEIGHTS = ROOT / "src" / "mindrestore" / "assets"
CONFIGURATIONS = {f"{path.parent.name}/{path.stem}": path for path in sorted((ROOT / "configs").glob("*/*.yaml"))}
PYNATIVE = ("revsci/multi_group_18x2", "revsci/small_cpu", "vrt/small_flow", "vrt/small_interpolate", "vrt/small_sr")
FLOAT16 = ("vrt/small_deblur",)
LIMIT = 1200  # seconds that a process may take

STAGES = 7  # of a VRT, before the groups of stage 8
DEPTHS = [4] + [2] * 8  # of a VRT made smaller: at ``mul_attn_ratio`` a half, mutual and self-attention, shifted and not


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """The environment of a machine with a GPU."""
    lacking = cuda_stand_in.missing()
    if lacking:
        pytest.skip(f"the stand-in for NVIDIA's libraries cannot be built: {lacking}")
    inherited = {name: value for name, value in os.environ.items()
                 if name not in ("DEVICE_ID", "MS_OM_PATH", "ONEDNN_MAX_CPU_ISA")}
    return {**inherited, **cuda_stand_in.build(tmp_path_factory.mktemp("cuda")), "PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def python(machine, tmp_path):
    """``python(*arguments, statuses=(0,), **environment)`` runs Python there; returns what it printed and launched."""
    def run(*arguments, statuses=(0,), **environment):
        launched = tmp_path / "launched"
        launched.unlink(missing_ok=True)
        done = subprocess.run([sys.executable, *map(str, arguments)], cwd=tmp_path, capture_output=True, text=True,
                              env={**machine, "STAND_IN_LAUNCHED": str(launched), **environment}, timeout=LIMIT)
        assert done.returncode in statuses, done.stdout[-4000:] + done.stderr[-8000:]
        return done.stdout + done.stderr, launched.read_text().split() if launched.exists() else []
    return run


@pytest.fixture
def frames(tmp_path):
    """A folder of six frames."""
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
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
    assert {"cudnnConvolutionForward", "cudnnConvolutionBackwardData", "cudnnConvolutionBackwardFilter"} <= set(launched)
    assert any(function.startswith("cublasGemm") for function in launched)
    assert "Select GPU operator[BatchNorm] fail! Unsupported data type!" in printed
    assert "get input[Float16 Float16 Float16 Float16 Float16" in printed


def test_doctor_takes_the_last_of_eight(python):
    printed, _ = python("-m", "mindrestore", "doctor", STAND_IN_GPUS="8", DEVICE_ID="7")
    assert "\ndevice        gpu\n" in printed


def test_doctor_refuses_one_beyond(python):
    printed, _ = python("-m", "mindrestore", "doctor", "--device", "gpu", statuses=(2,), STAND_IN_GPUS="8", DEVICE_ID="8")
    assert printed == ("mindrestore: error: DEVICE_ID=8: this process may use 8 GPU devices; give DEVICE_ID, or --device-id of "
                       "the launchers, a number from 0 to 7.\n")


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
    _, launched = python(launcher, "--worker_num=2", "--local_worker_num=2", f"--master_port={port}", "--join=True",
                         "--log_dir=logs", program, STAND_IN_GPUS="2")
    for rank in range(2):
        assert "[(3,), (2, 2)] (2, 1)" in (tmp_path / "logs" / f"worker_{rank}.log").read_text()
    assert launched.count("ncclAllReduce") == 2  # at its first call in each process


# Every configuration


def smaller(model):
    """Return the settings of a VRT with fewer blocks of every kind that ``model`` has, and which of its stages are left."""
    kept = [*range(STAGES), STAGES, len(model["depths"]) - 1]
    return dict(model, depths=DEPTHS, mul_attn_ratio=0.5,
                indep_reconsts=[place for place, stage in enumerate(kept) if stage in model["indep_reconsts"]],
                **{name: [model[name][stage] for stage in kept] for name in ("embed_dims", "num_heads")}), kept


def shortened(config):
    """Return (settings to train by, settings to evaluate by) that leave of a configuration what selects operators."""
    if config["model"]["name"] == "spynet":
        return [], None
    if config["model"]["name"] == "revsci":
        model, own_data = ["model.blocks=2"], ["mask.path=null", "data.size=64", "evaluation.kind=captures"]
        scored = [*model, "mask.path=null", "evaluation.kind=demo", "evaluation.frames=8"]
    else:
        model, own_data, scored = shortened_video(config)
    training = [] if config.get("data", {}).get("kind") == "rendered" else own_data
    return [*model, *training, "data.kind=rendered", "training.batch_size=1"], scored


def shortened_video(config):
    """As ``shortened``, for a VRT: settings of the network, of training and of evaluation."""
    settings = []
    large = max(config["model"]["depths"]) > 2
    if large:
        model, kept = smaller(config["model"])
        recompute = {part: [place for place, stage in enumerate(kept) if stage in stages]
                     for part, stages in config.get("training", {}).get("recompute", {}).items()}
        settings = [f"model.{name}={value}" for name, value in model.items()]
        settings += [f"training.recompute.{part}={stages}" for part, stages in recompute.items()]
    if "interpolation" in config:
        settings += [f"interpolation.model.{name}={value}" for name, value in smaller(config["interpolation"]["model"])[0].items()]
    folder = ["evaluation.set=folder", "evaluation.path=null"]
    own_data = [f"data.patch={64 * config['model']['upscale']}", "training.flow_frozen_steps=0", *folder]
    return settings, own_data, [*settings, *folder]


def trained(python, name, *more, **expected):
    """Train a configuration for two steps on the GPU; return what ``python`` does."""
    settings, _ = shortened(yaml.safe_load(CONFIGURATIONS[name].read_text()))
    steps = ["training.steps=2", "training.validate_every=2", "training.save_every=2", "training.schedule.warmup_steps=0",
             "training.initial=null", *(["training.initial_flow=null"] if "small_sr" in name else [])]
    return python(ROOT / "train.py", "--config", CONFIGURATIONS[name], "runtime.device=gpu", "output=run", *settings, *steps,
                  *more, **expected)


def evaluated(python, name, weights, frames, *more):
    """Evaluate a configuration on the GPU with what ``trained`` wrote, or without weights."""
    config = yaml.safe_load(CONFIGURATIONS[name].read_text())
    _, settings = shortened(config)
    if settings is None:  # a part of a network, which restores nothing
        return
    clips = [] if config["model"]["name"] == "revsci" else ["--gt", frames]
    weights = ["--checkpoint", "run/last.ckpt"] if weights else []
    python(ROOT / "eval.py", "--config", CONFIGURATIONS[name], *weights, *clips, "runtime.device=gpu", "output=results",
           *settings, *more)


@pytest.mark.long
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configuration(name, python, frames):
    two_networks = "interpolation" in yaml.safe_load(CONFIGURATIONS[name].read_text())  # each trained by another configuration
    evaluated(python, name, not two_networks and trained(python, name), frames)


@pytest.mark.long
@pytest.mark.parametrize("name", PYNATIVE)
def test_configuration_operator_by_operator(name, python, frames):
    evaluated(python, name, trained(python, name, "runtime.mode=pynative"), frames, "runtime.mode=pynative")


@pytest.mark.long
@pytest.mark.parametrize("mode", ["graph", "pynative"])
@pytest.mark.parametrize("name", FLOAT16)
def test_training_in_float16(name, mode, python):
    """All operators have kernels. That gradients are finite only a kernel can say: here they may be taken for overflowing."""
    printed, launched = trained(python, name, "training.precision=float16", f"runtime.mode={mode}", statuses=(0, 2))
    assert "Trained: " in printed or "gradients overflow at every loss scale" in printed
    assert any("half" in function for function in launched)


# Commands


@pytest.mark.long
@pytest.mark.parametrize("name, config", [("revsci_small", None), ("vrt_small_denoise", "small_denoise"),
                                          ("vrt_small_sr", "small_sr")])
def test_export(name, config, python, tmp_path):
    options = ["--config", CONFIGURATIONS[f"vrt/{config}"]] if config else []
    printed, launched = python(ROOT / "export.py", *options, "--checkpoint", WEIGHTS / f"{name}.ckpt", "--output", "exported.mindir",
                               "runtime.device=gpu")
    assert "Read back and compared" in printed and launched
    assert (tmp_path / "exported.mindir").exists()


@pytest.mark.long
@pytest.mark.parametrize("task", ["denoise", "sr", "sci"])
def test_restore(task, python, frames, tmp_path):
    if task == "sci":
        python("-m", "mindrestore", "simulate", frames, "coded.mat", "--ratio", "6")
    source = "coded.mat" if task == "sci" else frames
    _, launched = python("-m", "mindrestore", "restore", source, "restored", "--task", task, "--device", "gpu",
                         *(["--sigma", "25"] if task == "denoise" else []))
    restored = [cv2.imread(str(path)) for path in sorted((tmp_path / "restored").iterdir())]
    scale = 4 if task == "sr" else 1
    assert [image.shape for image in restored] == [(64 * scale, 96 * scale, 3)] * 6
    assert any("Convolution" in function for function in launched)


@pytest.mark.long
def test_eval_without_options(python):
    printed, _ = python(ROOT / "eval.py", "runtime.device=gpu")
    assert "\ndevice: gpu\n" in printed
