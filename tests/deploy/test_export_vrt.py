"""VRT as MINDIR: one small network a task, read back and equal."""
import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindrestore.checkpoints.native import Metadata
from mindrestore.deploy import export_network
from mindrestore.errors import UserError
from mindrestore.models import create_model

SMALL = dict(depths=[2] + [1] * 8, embed_dims=[12] * 9, num_heads=[2] * 9, indep_reconsts=[8], window_size=[2, 8, 8],
             img_size=[2, 64, 64], pa_frames=2, deformable_groups=2, mul_attn_ratio=0.5)
TASKS = {
    "sr": dict(upscale=4),
    "deblur": dict(upscale=1),
    "denoise": dict(upscale=1, nonblind_denoising=True),
    "interpolate": dict(upscale=1, pa_frames=0, img_size=[4, 64, 64], window_size=[4, 8, 8]),
}


def small(task):
    network = create_model("vrt", **{**SMALL, **TASKS[task]})
    network.set_train(False)
    return network, Metadata("vrt", network.settings)


@pytest.mark.parametrize("task", ["interpolate", *(pytest.param(task, marks=pytest.mark.long) for task in TASKS
                                                   if task != "interpolate")])
def test_a_file_for_every_task(task, prepared, tmp_path):
    network, metadata = small(task)
    summary = export_network(network, metadata, tmp_path / f"{task}.mindir")
    assert json.loads((tmp_path / f"{task}.json").read_text()) == summary
    assert summary["compared"]["largest_difference"] < 1e-5
    (clip,), (restored,) = summary["inputs"], summary["outputs"]
    assert clip["shape"] == [1, *network.settings["img_size"][:1], 4 if task == "denoise" else 3, 64, 64]
    assert ("the frame in the middle of four" in (tmp_path / f"{task}.json").read_text()) == (task == "interpolate")
    scale = 4 if task == "sr" else 1
    assert restored["shape"] == [1, 1 if task == "interpolate" else 2, 3, scale * 64, scale * 64]
    x = Tensor(np.random.default_rng(1).random(clip["shape"], np.float32))
    graph = nn.GraphCell(ms.load(str(tmp_path / f"{task}.mindir")))
    found = graph(x).asnumpy()
    assert list(found.shape) == restored["shape"]
    np.testing.assert_allclose(found, network(x).asnumpy(), rtol=0, atol=1e-5)


def test_frames_that_the_network_does_not_take_are_refused(prepared, tmp_path):
    network, metadata = small("interpolate")
    with pytest.raises(UserError, match="takes exactly 4 frames"):
        export_network(network, metadata, tmp_path / "net.mindir", frames=6)
    assert not list(tmp_path.iterdir())
