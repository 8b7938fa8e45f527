"""Networks as ONNX: what another program computes with the file is what the network computes."""

import builtins
import json

import numpy as np
import pytest
from builders import EXPORTABLE, golden_vrt, strided
from mindspore import Tensor

from mindrestore.checkpoints.native import Metadata
from mindrestore.deploy import export, export_network
from mindrestore.deploy.onnx_graph import Graph
from mindrestore.errors import UserError
from mindrestore.executor import Piecewise
from mindrestore.models import create_model, kind_of

FRAMES, CLIPS = 4, 3
VARIANTS = {
    "two_way": dict(blocks=2),
    "multi_group": dict(blocks=1, coupling="multi_group", groups=4),
    "colour": dict(blocks=1, colour=True),
    "gap_tv": dict(blocks=1, start="gap_tv"),
    "colour_gap_tv": dict(blocks=1, colour=True, start="gap_tv"),
}

VRTS = {
    **{task: settings for task, settings in EXPORTABLE.items() if task != "interpolate"},
    "far neighbours": dict(
        EXPORTABLE["sr"],
        upscale=2,
        pa_frames=6,
        deformable_groups=6,
        window_size=[4, 8, 8],
        depths=[4] + [1] * 8,
        qkv_bias=False,
        qk_scale=0.3,
    ),
}


def tiny(variant):
    network = create_model("revsci", channels=16, **VARIANTS[variant])
    return network, Metadata("revsci", network.settings)


@pytest.mark.parametrize("variant", VARIANTS)
def test_onnxruntime_computes_the_same_at_every_size(variant, prepared, tmp_path):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    network, metadata = tiny(variant)
    last = network.conv2[6].weight  # nearly zero at first with a GAP-TV start, which would hide the layers before it
    last.set_data(Tensor(np.random.default_rng(1).normal(0, 0.1, last.shape).astype(np.float32)))
    summary = export_network(network, metadata, tmp_path / "net.onnx", "onnx", frames=FRAMES)
    assert summary["format"] == "onnx" and summary["compared"]["largest_difference"] < 1e-5
    assert len(summary["compared"]["sizes"]) == 2 and json.loads((tmp_path / "net.onnx.json").read_text()) == summary
    assert summary["tile"] == [FRAMES, None, None]
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    assert [port.name for port in session.get_inputs()] == [port["name"] for port in summary["inputs"]]
    assert [port.name for port in session.get_outputs()] == ["clip"]
    rng = np.random.default_rng(2)
    inputs = {
        port["name"]: rng.random([CLIPS if size is None else size for size in port["shape"][:-2]] + [19, 26], np.float32)
        for port in summary["inputs"]
    }
    inputs["mask"] = (inputs["mask"] > 0.7).astype(np.float32)  # some pixels are never seen
    found = session.run(None, inputs)[0]
    np.testing.assert_allclose(found, network(*map(Tensor, inputs.values())).asnumpy(), atol=1e-5)


def test_without_the_package_the_way_out_is_named(prepared, tmp_path, monkeypatch):
    found = builtins.__import__

    def without_onnx(name, *rest):
        if name == "onnx":
            raise ImportError(name)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_onnx)
    with pytest.raises(UserError, match="run: pip install onnx onnxruntime"):
        export_network(*tiny("two_way"), tmp_path / "net.onnx", "onnx", frames=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", ["interpolate", *(pytest.param(task, marks=pytest.mark.long) for task in VRTS)])
def test_a_vrt_of_every_task_takes_any_number_of_clips(task, prepared, tmp_path):
    """Also of a size that is no multiple of its windows, in frames, height and width."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    network = create_model("vrt", **VRTS.get(task, EXPORTABLE["interpolate"])).set_train(False)
    frames = 4 if task == "interpolate" else 5
    path = tmp_path / "net.onnx"
    summary = export_network(network, Metadata("vrt", network.settings), path, "onnx", frames=frames, height=66, width=75)
    assert summary["compared"]["largest_difference"] < 1e-4
    (clip,) = summary["inputs"]
    assert clip["shape"] == [None, frames, 3 + (task == "denoise"), 66, 75]
    x = np.random.default_rng(1).random((2, *clip["shape"][1:]), np.float32)
    found = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"clip": x})[0]
    assert list(found.shape) == [2, *summary["outputs"][0]["shape"][1:]]
    np.testing.assert_allclose(found, Piecewise(network)(Tensor(x)).numpy(), atol=1e-4)


@pytest.mark.parametrize(
    "name, mean_error, largest_error",
    [
        ("vrt_interpolation", 1e-5, 1e-4),
        ("vrt_sr_2frames", 4e-4, 1e-2),
        pytest.param("vrt_sr_4frames", 4e-4, 1e-2, marks=pytest.mark.long),
        pytest.param("vrt_denoise_nonblind", 4e-4, 1e-2, marks=pytest.mark.long),
    ],
)
def test_a_vrt_computes_what_pytorch_does(name, mean_error, largest_error, prepared, tmp_path):
    """With weights that multiply rounding by thousands, so that nothing is too small to be seen."""
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    golden, network, x = golden_vrt(name)
    kind = kind_of("vrt")
    signature = kind.signature(network, x.shape[1], *x.shape[3:], batch=None)
    kind.onnx(network, signature, Graph).write(tmp_path / "net.onnx", "")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    output = session.run(None, {"clip": x.numpy()})[0]
    assert output.shape == tuple(golden["output_shape"])
    error = np.abs(strided(output) - golden["output_strided"])
    assert error.mean() < mean_error and error.max() < largest_error


def test_a_file_that_differs_on_every_input_is_not_kept(prepared, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    found, tried = export.onnx_file.read, []

    def read(*arguments):
        run = found(*arguments)
        return lambda *inputs: tried.append(inputs) or run(*inputs) + 0.01

    monkeypatch.setattr(export.onnx_file, "read", read)
    with pytest.raises(UserError, match="differs from the network by 0.01"):
        export_network(*tiny("two_way"), tmp_path / "net.onnx", "onnx", frames=2)
    assert not list(tmp_path.iterdir()) and len(tried) == 2 * export.TRIALS


def test_an_input_on_which_rounding_decides_is_followed_by_another(prepared, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    found, tried = export.onnx_file.read, []

    def read(*arguments):
        run = found(*arguments)
        return lambda *inputs: tried.append(inputs) or run(*inputs) + (0.01 if len(tried) == 1 else 0)

    monkeypatch.setattr(export.onnx_file, "read", read)
    summary = export_network(*tiny("two_way"), tmp_path / "net.onnx", "onnx", frames=2)
    assert len(tried) == 3 and summary["compared"]["largest_difference"] < 1e-5
