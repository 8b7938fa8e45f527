"""``mindrestore restore --model``: an exported file gives what its checkpoint gives."""

import hashlib
import json
import random
import shutil
import sys

import numpy as np
import pytest
from builders import exportable
from mindspore import nn
from places import TESTS, module_at

from mindrestore.checkpoints.native import Metadata, save_network
from mindrestore.cli import main
from mindrestore.data.frames import stored_frames
from mindrestore.deploy import export_network
from mindrestore.errors import UserError
from mindrestore.files import digest_of
from mindrestore.media.writing import write_clip
from mindrestore.models import create_model
from mindrestore.models.kind import VideoAbilities
from mindrestore.models.signature import description_of
from mindrestore.restore.exported import ExportedVideo, load_exported
from mindrestore.runtime import mindir

reader_mutations = module_at(TESTS / "faults" / "reader_mutations.py")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def noise(count, height, width):
    rng = np.random.default_rng(0)
    return (rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count))


def both_ways(source, task, model="net.mindir", **options):
    """Restore with net.ckpt and with the exported ``model``; return the images of either."""
    extra = [str(text) for key, values in options.items() for text in (f"--{key}", *values)]
    assert main(["restore", source, "one", "--task", task, "--checkpoint", "net.ckpt", *extra]) == 0
    overlap = extra[extra.index("--overlap") :] if "--overlap" in extra else []
    assert main(["restore", source, "other", "--task", task, "--model", model, *overlap]) == 0
    return ([image.astype(int) for _, image in stored_frames(folder)] for folder in ("one", "other"))


def test_snapshots(tmp_path):
    network = create_model("revsci", blocks=1, channels=8, start="gap_tv")
    save_network("net.ckpt", network, "revsci", network.settings)
    export_network(network, Metadata("revsci", network.settings), "net.mindir", frames=4)
    write_clip("in.tif", noise(8, 21, 30), 8)
    assert main(["simulate", "in.tif", "coded.mat", "--ratio", "4"]) == 0
    one, other = both_ways("coded.mat", "sci")
    assert len(one) == len(other) == 8
    assert max(np.abs(a - b).max() for a, b in zip(one, other)) <= 1  # of 255, where rounding falls otherwise
    assert main(["simulate", "in.tif", "coded.mat", "--ratio", "8"]) == 0
    assert main(["restore", "coded.mat", "third", "--task", "sci", "--model", "net.mindir"]) == 2


@pytest.mark.long
@pytest.mark.parametrize(
    "kind, task",
    [
        *(("onnx", task) for task in ("sr", "deblur", "denoise", "interpolate")),
        *(("mindir", task) for task in ("interpolate", "denoise")),
    ],
)
def test_videos_through_the_same_tiles(kind, task):
    if kind == "onnx":
        needs_onnx()
    network, metadata = exportable(task)
    save_network("net.ckpt", network, "vrt", network.settings)
    export_network(network, metadata, f"net.{kind}", kind)
    write_clip("in", noise(5, 64, 90), 5)
    options = dict(tile=(4 if task == "interpolate" else 2, 64, 64), overlap=(1, 16, 16))
    level = {"sigma": [25]} if task == "denoise" else {}
    one, other = (list(images) for images in both_ways("in", task, f"net.{kind}", **options, **level))
    assert len(one) == len(other) == (9 if task == "interpolate" else 5)
    assert max(np.abs(a - b).max() for a, b in zip(one, other)) <= 1


def needs_onnx():
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name, reason=f"the package {name} is not installed")


WITHOUT_MINDSPORE = """
import sys
sys.modules["mindspore"] = None  # importing it fails as where it is not installed
from mindrestore.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_an_onnx_file_restores_where_mindspore_is_not(python):
    """Snapshots and videos, as with MindSpore; what needs it says so."""
    needs_onnx()
    network = create_model("revsci", blocks=1, channels=8, start="gap_tv")
    export_network(network, Metadata("revsci", network.settings), "sci.onnx", "onnx", frames=4)
    export_network(*exportable("interpolate"), "video.onnx", "onnx")
    write_clip("in", noise(4, 40, 50), 4)
    assert main(["simulate", "in", "coded.mat", "--ratio", "4"]) == 0
    write_clip("three", noise(3, 40, 50), 3)
    for source, task, model, count in (("three", "interpolate", "video", 5), ("coded.mat", "sci", "sci", 4)):
        command = ["restore", source, f"{task} {{}}", "--task", task, "--model", f"{model}.onnx"]
        assert main([word.format("with") for word in command]) == 0
        run = python(WITHOUT_MINDSPORE, *(word.format("without") for word in command))
        assert run.returncode == 0, run.stderr
        one, other = ([image for _, image in stored_frames(f"{task} {which}")] for which in ("with", "without"))
        assert len(one) == count
        np.testing.assert_array_equal(one, other)
    run = python(WITHOUT_MINDSPORE, "restore", "in", "out", "--task", "denoise", "--sigma", "25")
    assert run.returncode == 2 and "needs MindSpore, which is not installed" in run.stderr
    assert "Traceback" not in run.stderr


def test_what_is_smaller_than_the_file_takes_is_reflected_and_cut_off():
    seen = []

    def graph(x):
        seen.append(x)
        return x.repeat(2, 3).repeat(2, 4)

    network = ExportedVideo(graph, VideoAbilities(("sr",), scale=2), [[1, 6, 3, 16, 24]], "net.mindir")
    clip = np.random.default_rng(0).random((1, 4, 3, 10, 24), np.float32)
    found = network(clip)
    np.testing.assert_array_equal(found, clip.repeat(2, 3).repeat(2, 4))
    np.testing.assert_array_equal(seen[0][:, 4:6, :, :10], clip[:, 2:0:-1])
    np.testing.assert_array_equal(seen[0][:, :4, :, 10:], clip[:, :, :, 8:2:-1])
    assert network.tile == (6, 16, 24)


def test_files_that_are_not_what_was_exported_are_named(tmp_path):
    network = create_model("revsci", blocks=1, channels=8)
    export_network(network, Metadata("revsci", network.settings), "net.mindir", frames=2, height=8, width=8)
    shutil.copy("net.mindir", "alone.mindir")
    (tmp_path / "text.mindir").write_text("text")
    record = json.loads((tmp_path / "net.mindir.json").read_text())
    (tmp_path / "text.mindir.json").write_text(json.dumps({**record, "sha256": digest_of("text.mindir")}))
    (tmp_path / "other.mindir").write_text("text")
    (tmp_path / "other.mindir.json").write_text(json.dumps(record))
    shutil.copy("net.mindir", "former.mindir")
    (tmp_path / "former.mindir.json").write_text(json.dumps({key: value for key, value in record.items() if key != "sha256"}))
    (tmp_path / "odd.mindir").write_text("")
    (tmp_path / "odd.mindir.json").write_text(json.dumps({**record, "kind": "other"}))
    for name, said in (
        ("alone", "alone.mindir: alone.mindir.json, which describes it, is not beside it"),
        ("text", "text.mindir: MindSpore cannot load it"),
        ("other", "other.mindir: is not the file that other.mindir.json beside it was written for"),
        ("former", "former.mindir: is not the file that former.mindir.json"),
        ("odd", "odd.mindir.json: does not describe an exported network"),
    ):
        with pytest.raises(UserError, match=said):
            load_exported(f"{name}.mindir")


def test_onnx_files_that_are_not_what_was_exported_are_named(tmp_path, capsys):
    needs_onnx()
    network = create_model("revsci", blocks=1, channels=8)
    export_network(network, Metadata("revsci", network.settings), "net.onnx", "onnx", frames=2)
    content, record = (tmp_path / "net.onnx").read_bytes(), json.loads((tmp_path / "net.onnx.json").read_text())
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 64  # a weight: the file still loads
    other = [dict(port, shape=[None, 5, *port["shape"][2:]]) for port in record["inputs"]]

    def sealed(held):
        return {**record, "sha256": hashlib.sha256(held).hexdigest()}

    for name, held, description, said in (
        ("flipped", bytes(flipped), record, "flipped.onnx: is not the file that flipped.onnx.json beside it was written for"),
        ("cut", content[: len(content) // 2], record, "cut.onnx: is not the file"),
        (
            "sealed",
            content[: len(content) // 2],
            sealed(content[: len(content) // 2]),
            "sealed.onnx: ONNX Runtime cannot load it",
        ),
        ("text", b"text", sealed(b"text"), "text.onnx: ONNX Runtime cannot load it"),
        ("empty", b"", sealed(b""), "empty.onnx: ONNX Runtime cannot load it"),
        ("shapes", content, {**record, "inputs": other}, "shapes.onnx: ONNX Runtime cannot load it .it takes"),
    ):
        (tmp_path / f"{name}.onnx").write_bytes(held)
        (tmp_path / f"{name}.onnx.json").write_text(json.dumps(description))
        with pytest.raises(UserError, match=said) as caught:
            load_exported(f"{name}.onnx")
        assert "\n" not in str(caught.value)
    write_clip("in.tif", noise(2, 16, 16), 2)
    assert main(["restore", "in.tif", "out", "--task", "sr", "--model", "net.onnx"]) == 2
    assert main(["restore", "in.tif", "out", "--task", "sci", "--model", "net.onnx", "--device", "gpu"]) == 2
    said = capsys.readouterr().err
    assert "for which --task sr has no use" in said and "an ONNX file is run on the CPU" in said


def test_two_formats_of_one_name_lie_side_by_side_and_replace_no_other_file(tmp_path):
    needs_onnx()
    network = create_model("revsci", blocks=1, channels=8)
    (tmp_path / "net.json").write_text("mine")
    for file_format in ("mindir", "onnx"):
        export_network(network, Metadata("revsci", network.settings), f"net.{file_format}", file_format, 2, 8, 8)
    assert [load_exported(f"net.{file_format}").metadata.kind for file_format in ("mindir", "onnx")] == ["revsci"] * 2
    assert (tmp_path / "net.json").read_text() == "mine"
    (tmp_path / "other.onnx.json").write_text('{"inputs": "mine"}')
    with pytest.raises(UserError, match="other.onnx.json: is in the way and describes no exported network"):
        export_network(network, Metadata("revsci", network.settings), "other.onnx", "onnx", frames=2)
    assert (tmp_path / "other.onnx.json").read_text() == '{"inputs": "mine"}' and not (tmp_path / "other.onnx").exists()


def onnx_of(node, constant, path):
    """Write an ONNX file of one node, which takes what a denoiser does, and its description."""
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(node, ["clip", "constant"], ["restored"])],
        "one",
        [helper.make_tensor_value_info("clip", kind, ["batch", 2, 4, 16, 16])],
        [helper.make_tensor_value_info("restored", kind, None)],
        [onnx.numpy_helper.from_array(np.array(constant), "constant")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    record = {
        "kind": "vrt",
        "settings": {"upscale": 1, "nonblind_denoising": True},
        "inputs": [{"name": "clip", "shape": [None, 2, 4, 16, 16]}],
        "sha256": digest_of(path),
    }
    description_of(path).write_text(json.dumps(record))


@pytest.mark.parametrize(
    "node, constant, said",
    [
        ("Reshape", [7, 11], "net.onnx: ONNX Runtime cannot compute it"),
        ("Tile", [1, 10**4, 1, 10**4, 10**4], "net.onnx: ONNX Runtime cannot compute it"),  # more than there is memory for
        ("Reshape", [-1], r"net.onnx: gives \[2048\] where \[1, 2, 3, 16, 16\] is expected; export it again"),
    ],
)
def test_a_graph_that_fails_as_it_is_computed_is_named(node, constant, said, tmp_path):
    needs_onnx()
    onnx_of(node, constant, tmp_path / "net.onnx")
    network = load_exported("net.onnx").network
    with pytest.raises(UserError, match=said) as caught:
        network(np.zeros((1, 2, 4, 16, 16), np.float32))
    assert "\n" not in str(caught.value)


def test_what_is_taken_for_an_exported_file_is_said_by_its_name(tmp_path, capsys):
    needs_onnx()
    onnx_of("Reshape", [-1], tmp_path / "net.ONNX")
    assert load_exported("net.ONNX").network.tile == (2, 16, 16)
    (tmp_path / "folder.onnx").mkdir()
    for name in ("net.ckpt", "folder.onnx"):
        (tmp_path / "net.ckpt").write_text("weights")
        with pytest.raises(UserError, match=f"{name}: is no file that ends in .mindir or .onnx"):
            load_exported(name)


def test_without_onnx_runtime_the_way_out_is_named(tmp_path, monkeypatch):
    needs_onnx()
    network = create_model("revsci", blocks=1, channels=8)
    export_network(network, Metadata("revsci", network.settings), "net.onnx", "onnx", frames=2)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="ONNX Runtime, which runs it, is not installed; run: pip install onnxruntime"):
        load_exported("net.onnx")


def test_a_graph_changed_in_any_place_does_not_reach_mindspore(tmp_path, monkeypatch):
    """Which may die of it: the process would end without a sentence."""
    graph = np.random.default_rng(0).bytes(5000)
    path = tmp_path / "net.mindir"
    path.write_bytes(graph)
    record = {
        "kind": "revsci",
        "settings": {"blocks": 1, "channels": 8},
        "inputs": [{"name": "measurement", "shape": [1, 8, 8]}, {"name": "mask", "shape": [2, 8, 8]}],
        "sha256": digest_of(path),
    }
    description_of(path).write_text(json.dumps(record))
    reached = []
    monkeypatch.setattr("mindrestore.restore.exported.mindir.read", lambda *_: reached.append(path.read_bytes()))
    load_exported(path)
    rng = random.Random(0)
    for _ in range(300):
        path.write_bytes(changed := reader_mutations.of_bytes(graph, rng))
        if changed != graph:
            with pytest.raises(
                UserError, match=r"net.mindir: is not the file that net.mindir.json beside it was written for.*again\.$"
            ):
                load_exported(path)
    assert reached == [graph]


def test_a_graph_is_written_and_read_where_mindspore_takes_no_path(tmp_path, monkeypatch):
    folder = tmp_path / "with a space" / "é"
    folder.mkdir(parents=True)
    for temporary in (tmp_path, folder):  # as TMPDIR names it
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        mindir.write(nn.ReLU(), [(1, 4)], folder / "a graph.mindir")
        graph = mindir.read(folder / "a graph.mindir", [(1, 4)])
        np.testing.assert_array_equal(graph(np.array([[-1, 0, 1, 2]], np.float32)), [[0, 0, 1, 2]])
        assert [path.name for path in folder.iterdir()] == ["a graph.mindir"]
        (folder / "a graph.mindir").unlink()
    monkeypatch.setattr(mindir, "PLACES", ())
    with pytest.raises(UserError, match="let TMPDIR name a folder"):
        mindir.write(nn.ReLU(), [(1, 4)], folder / "a graph.mindir")
