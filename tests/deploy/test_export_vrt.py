"""VRT as MINDIR: one small network a task, read back and equal."""

import json

import mindspore as ms
import numpy as np
import pytest
from builders import EXPORTABLE, exportable
from mindspore import Tensor, nn

from mindrestore.deploy import export_network
from mindrestore.errors import UserError


@pytest.mark.parametrize(
    "task", ["interpolate", *(pytest.param(task, marks=pytest.mark.long) for task in EXPORTABLE if task != "interpolate")]
)
def test_a_file_for_every_task(task, prepared, tmp_path):
    network, metadata = exportable(task)
    summary = export_network(network, metadata, tmp_path / f"{task}.mindir")
    assert json.loads((tmp_path / f"{task}.mindir.json").read_text()) == summary
    assert summary["compared"]["largest_difference"] < 1e-5
    (clip,), (restored,) = summary["inputs"], summary["outputs"]
    assert clip["shape"] == [1, *network.settings["img_size"][:1], 4 if task == "denoise" else 3, 64, 64]
    assert ("the frame in the middle of four" in (tmp_path / f"{task}.mindir.json").read_text()) == (task == "interpolate")
    scale = 4 if task == "sr" else 1
    assert restored["shape"] == [1, 1 if task == "interpolate" else 2, 3, scale * 64, scale * 64]
    x = Tensor(np.random.default_rng(1).random(clip["shape"], np.float32))
    graph = nn.GraphCell(ms.load(str(tmp_path / f"{task}.mindir")))
    found = graph(x).asnumpy()
    assert list(found.shape) == restored["shape"]
    np.testing.assert_allclose(found, network(x).asnumpy(), rtol=0, atol=1e-5)


def test_frames_that_the_network_does_not_take_are_refused(prepared, tmp_path):
    network, metadata = exportable("interpolate")
    with pytest.raises(UserError, match="takes exactly 4 frames"):
        export_network(network, metadata, tmp_path / "net.mindir", frames=6)
    assert not list(tmp_path.iterdir())
