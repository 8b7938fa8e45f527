"""RevSCI as ONNX: what another program computes with the file is what the network computes."""

import builtins
import json

import numpy as np
import pytest
from mindspore import Tensor

from mindrestore.checkpoints.native import Metadata
from mindrestore.deploy import export_network
from mindrestore.errors import UserError
from mindrestore.models import create_model, kind_of

FRAMES = 4
VARIANTS = {
    "two_way": dict(blocks=2),
    "multi_group": dict(blocks=1, coupling="multi_group", groups=4),
    "colour": dict(blocks=1, colour=True),
    "gap_tv": dict(blocks=1, start="gap_tv"),
    "colour_gap_tv": dict(blocks=1, colour=True, start="gap_tv"),
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
    assert len(summary["compared"]["sizes"]) == 2 and json.loads((tmp_path / "net.json").read_text()) == summary
    assert summary["tile"] == [FRAMES, None, None]
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    assert [port.name for port in session.get_inputs()] == [port["name"] for port in summary["inputs"]]
    assert [port.name for port in session.get_outputs()] == ["clip"]
    rng = np.random.default_rng(2)
    inputs = {port["name"]: rng.random((*port["shape"][:-2], 19, 26), np.float32) for port in summary["inputs"]}
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


def test_a_vrt_is_refused_and_the_operators_are_named():
    class Aligning:
        pa_frames = 2

    with pytest.raises(UserError, match="GridSampler2D, DeformableOffsets"):
        kind_of("vrt").onnx(Aligning(), None, None)
