"""``mindrestore restore --model``: an exported file gives what its checkpoint gives."""

import json
import shutil

import numpy as np
import pytest
from builders import exportable

from mindrestore.checkpoints.native import Metadata, save_network
from mindrestore.cli import main
from mindrestore.data.frames import stored_frames
from mindrestore.deploy import export_network
from mindrestore.errors import UserError
from mindrestore.media.writing import write_clip
from mindrestore.models import create_model
from mindrestore.models.kind import VideoAbilities
from mindrestore.restore.exported import ExportedVideo, load_exported


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def noise(count, height, width):
    rng = np.random.default_rng(0)
    return (rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count))


def both_ways(source, task, **options):
    """Restore with net.ckpt and with net.mindir; return the images of either."""
    extra = [str(text) for key, values in options.items() for text in (f"--{key}", *values)]
    assert main(["restore", source, "one", "--task", task, "--checkpoint", "net.ckpt", *extra]) == 0
    overlap = extra[extra.index("--overlap") :] if "--overlap" in extra else []
    assert main(["restore", source, "other", "--task", task, "--model", "net.mindir", *overlap]) == 0
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
@pytest.mark.parametrize("task, tile", [("interpolate", (4, 64, 64)), ("denoise", (2, 64, 64))])
def test_videos_through_the_same_tiles(task, tile):
    network, metadata = exportable(task)
    save_network("net.ckpt", network, "vrt", network.settings)
    export_network(network, metadata, "net.mindir")
    write_clip("in", noise(5, 64, 90), 5)
    level = {"sigma": [25]} if task == "denoise" else {}
    one, other = (list(images) for images in both_ways("in", task, tile=tile, overlap=(1, 16, 16), **level))
    assert len(one) == len(other) == (9 if task == "interpolate" else 5)
    assert max(np.abs(a - b).max() for a, b in zip(one, other)) <= 1


def test_what_is_smaller_than_the_file_takes_is_reflected_and_cut_off():
    from mindspore import Tensor

    seen = []

    def graph(x):
        seen.append(x.asnumpy())
        return Tensor(seen[0].repeat(2, 3).repeat(2, 4))

    network = ExportedVideo(graph, VideoAbilities(("sr",), scale=2), [[1, 6, 3, 16, 24]], "net.mindir")
    clip = np.random.default_rng(0).random((1, 4, 3, 10, 24), np.float32)
    found = network(Tensor(clip)).asnumpy()
    np.testing.assert_array_equal(found, clip.repeat(2, 3).repeat(2, 4))
    np.testing.assert_array_equal(seen[0][:, 4:6, :, :10], clip[:, 2:0:-1])
    np.testing.assert_array_equal(seen[0][:, :4, :, 10:], clip[:, :, :, 8:2:-1])
    assert network.tile == (6, 16, 24)


def test_files_that_are_not_what_was_exported_are_named(tmp_path):
    network = create_model("revsci", blocks=1, channels=8)
    export_network(network, Metadata("revsci", network.settings), "net.mindir", frames=2, height=8, width=8)
    shutil.copy("net.mindir", "alone.mindir")
    (tmp_path / "text.mindir").write_text("text")
    record = json.loads((tmp_path / "net.json").read_text())
    (tmp_path / "text.json").write_text(json.dumps(record))
    (tmp_path / "odd.mindir").write_text("")
    (tmp_path / "odd.json").write_text(json.dumps({**record, "kind": "other"}))
    for name, said in (
        ("alone", "alone.json: no such description"),
        ("text", "text.mindir: MindSpore cannot load it"),
        ("odd", "odd.json: does not describe an exported network"),
    ):
        with pytest.raises(UserError, match=said):
            load_exported(f"{name}.mindir")
