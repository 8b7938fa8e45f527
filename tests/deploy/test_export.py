"""Exported networks: read back and equal, described beside, whole or absent."""

import json

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindrestore.checkpoints.native import Metadata
from mindrestore.deploy import export_network
from mindrestore.errors import UserError
from mindrestore.models import create_model

FRAMES, HEIGHT, WIDTH = 4, 16, 24
TINY = dict(blocks=2, channels=16)
VARIANTS = {
    "two_way": {},
    "multi_group": dict(coupling="multi_group", groups=4),
    "colour": dict(colour=True),
    "gap_tv": dict(start="gap_tv"),
    "colour_gap_tv": dict(colour=True, start="gap_tv"),
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def tiny(**settings):
    """Return a small network and what its checkpoint would say about it."""
    network = create_model("revsci", **TINY, **settings)
    return network, Metadata("revsci", network.settings, mask="0123456789abcdef")


def call(path, ports, *inputs):
    """Run an exported file as another program would."""
    graph = nn.GraphCell(ms.load(str(path)))
    graph.set_inputs(*(Tensor(shape=port["shape"], dtype=ms.float32) for port in ports))
    return graph(*inputs).asnumpy()


def random_inputs(ports, height, width):
    rng = np.random.default_rng(1)
    return [Tensor(rng.random((*port["shape"][:-2], height, width), dtype=np.float32)) for port in ports]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "variant", ["two_way", *(pytest.param(name, marks=pytest.mark.long) for name in ("multi_group", "gap_tv", "colour_gap_tv"))]
)
def test_one_file_for_every_size(variant, tmp_path, capfd):
    network, metadata = tiny(**VARIANTS[variant])
    names = [parameter.name for parameter in network.get_parameters()]
    summary = export_network(network, metadata, tmp_path / "net.mindir", frames=FRAMES)

    assert files(tmp_path) == ["net.mindir", "net.mindir.json"]
    captured = capfd.readouterr()
    assert captured.out == "" and "WARNING" not in captured.err
    assert [parameter.name for parameter in network.get_parameters()] == names
    assert json.loads((tmp_path / "net.mindir.json").read_text()) == summary
    assert summary["inputs"][0]["shape"] == [1, None, None] and summary["inputs"][1]["shape"] == [FRAMES, None, None]
    assert ("estimate" in [port["name"] for port in summary["inputs"]]) == ("gap_tv" in variant)
    assert summary["compared"]["largest_difference"] < 1e-4 and len(summary["compared"]["sizes"]) == 2
    for height, width in ((HEIGHT, WIDTH), (HEIGHT + 1, WIDTH - 1)):
        inputs = random_inputs(summary["inputs"], height, width)
        clip = call(tmp_path / "net.mindir", summary["inputs"], *inputs)
        assert list(clip.shape) == [*summary["outputs"][0]["shape"][:-2], height, width]
        np.testing.assert_allclose(clip, network(*inputs).asnumpy(), atol=1e-5)


@pytest.mark.parametrize(
    "variant, height, width, batch",
    [
        ("multi_group", HEIGHT, WIDTH, 2),
        pytest.param("colour", HEIGHT, WIDTH, 1, marks=pytest.mark.long),
        pytest.param("gap_tv", HEIGHT - 1, WIDTH, 2, marks=pytest.mark.long),
    ],
)
def test_a_file_for_one_size(variant, height, width, batch, tmp_path):
    network, metadata = tiny(**VARIANTS[variant])
    summary = export_network(network, metadata, tmp_path / "new" / "net", "MINDIR", FRAMES, height, width, batch)
    path = tmp_path / "new" / "net.mindir"
    assert files(path.parent) == ["net.mindir", "net.mindir.json"] and files(tmp_path) == ["new"]
    assert summary["file"] == "net.mindir" and summary["inputs"][0]["shape"] == [batch, height, width]
    inputs = random_inputs(summary["inputs"], height, width)
    np.testing.assert_allclose(call(path, summary["inputs"], *inputs), network(*inputs).asnumpy(), atol=1e-5)


def test_any_folder_will_do_and_a_file_is_replaced(tmp_path):
    path = tmp_path / "für Anna" / "net.mindir"
    path.parent.mkdir()
    path.write_text("old")
    summary = export_network(*tiny(), path, frames=2, height=8, width=8)
    assert path.stat().st_size > 10_000 and path.stat().st_mode & 0o200
    assert summary["mask"] == "0123456789abcdef" and summary["settings"]["blocks"] == TINY["blocks"]


def test_a_file_that_computes_something_else_is_not_kept(tmp_path, monkeypatch):
    network, metadata = tiny()
    exported = ms.export

    def export_then_change(cell, *inputs, **options):
        exported(cell, *inputs, **options)
        last = network.conv2[6].bias
        last.set_data(Tensor(last.asnumpy() + 0.01))

    monkeypatch.setattr(ms, "export", export_then_change)
    with pytest.raises(UserError, match="differs from the network by 0.01"):
        export_network(network, metadata, tmp_path / "net.mindir", frames=2, height=8, width=8)
    assert files(tmp_path) == []


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network, metadata = tiny()
    network.conv2[6].bias.set_data(Tensor(np.full(1, np.nan, np.float32)))
    with pytest.raises(UserError, match="not finite"):
        export_network(network, metadata, tmp_path / "net.mindir", frames=2, height=8, width=8)
    assert files(tmp_path) == []


def test_a_failing_export_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*inputs, **options):
        ms.set_context(jit_syntax_level=ms.STRICT)
        raise RuntimeError("no")

    monkeypatch.setattr(ms, "export", fail)
    level = ms.get_context("jit_syntax_level")
    with pytest.raises(RuntimeError):
        export_network(*tiny(), tmp_path / "net.mindir")
    assert files(tmp_path) == [] and ms.get_context("jit_syntax_level") == level


@pytest.mark.parametrize(
    "name, options, part",
    [
        ("net.pb", dict(file_format="pb"), "choose one of mindir, air, onnx"),
        ("net.air", dict(file_format="air", height=8, width=8), "on Ascend only and this is cpu"),
        ("net.onnx", {}, "must end in .mindir"),
        ("net.mindir", dict(height=8), "height is given alone"),
        ("net.mindir", dict(height=8, width=0), "width is 0"),
        ("net.mindir", dict(frames=2.5), "frames is 2.5"),
    ],
)
def test_mistakes_are_named(name, options, part, tmp_path):
    with pytest.raises(UserError, match=part):
        export_network(*tiny(), tmp_path / name, **options)
    assert files(tmp_path) == []


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    (tmp_path / "net.mindir").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        export_network(*tiny(), tmp_path / "net.mindir")


def test_a_network_without_an_exporter_is_named(tmp_path):
    with pytest.raises(UserError, match="other network has no exporter"):
        export_network(tiny()[0], Metadata("other", {}), tmp_path / "net.mindir")
