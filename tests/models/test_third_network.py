"""Networks that are not mindrestore's own, one for videos (``enlarger.py``) and one for snapshots (``averager.py``): trained,
stopped and resumed, used, exported and converted through the command line, with nothing of mindrestore changed for them.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import averager
import enlarger
import numpy as np
import pytest
import scipy.io
from builders import assert_same_state
from mindspore import Tensor

from mindrestore import models
from mindrestore.checkpoints import load_network
from mindrestore.cli import main
from mindrestore.data.frames import stored_frames
from mindrestore.errors import UserError
from mindrestore.media.pixels import stored
from mindrestore.media.writing import write_clip
from mindrestore.restore import restore_clip
from mindrestore.training.callbacks import Progress

CONFIG = """
model: {name: enlarger, kernel: 5}
data: {kind: rendered, frames: 2, patch: 32, clips: 5}
evaluation: {set: demo, frames: 2, clips: [cat, coins]}
tiling: {tile: [2, 64, 64], overlap: [0, 16, 16]}
training: {steps: 6, batch_size: 2, learning_rate: 0.002, save_every: 2, log_every: 1, validate_every: 6}
"""


@pytest.fixture(scope="module")
def registered():
    for kind in (enlarger.KIND, averager.KIND):
        models.register(kind)
    yield
    models._registered.clear()


@pytest.fixture(scope="module")
def run(prepared, registered, tmp_path_factory):
    """A folder with a configuration and what training by it left."""
    folder = tmp_path_factory.mktemp("third")
    (folder / "mine.yaml").write_text(CONFIG)
    assert main(["train", "--config", str(folder / "mine.yaml"), "--output", str(folder / "run")]) == 0
    return folder


@pytest.fixture(autouse=True)
def inside(run, monkeypatch):
    monkeypatch.chdir(run)


def weights(network):
    return {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}


def write_noise(path, count=3, height=40, width=72):
    images = np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)
    write_clip(Path(path), iter(images), count)
    return images[..., ::-1].transpose(0, 3, 1, 2) / np.float32(255)


def test_a_run_that_is_stopped_goes_on_bit_for_bit(monkeypatch):
    on_train_step_end = Progress.on_train_step_end

    def stopping(self, run_context):
        on_train_step_end(self, run_context)
        if self.step == 3:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Progress, "on_train_step_end", stopping)
        assert main(["train", "--config", "mine.yaml", "--output", "stopped"]) == 143
    assert main(["train", "--config", "mine.yaml", "--output", "stopped", "--resume"]) == 0
    assert_same_state(Path("run"), Path("stopped"))
    network, about = load_network("stopped/last.ckpt")
    assert (about.kind, about.settings) == ("enlarger", {"times": 2, "kernel": 5})
    first = weights(models.create_model("enlarger", kernel=5))
    assert all((array != first[name]).any() for name, array in weights(network).items())  # it was trained


@pytest.mark.parametrize("tile", [[], ["--tile", "2", "32", "32", "--overlap", "1", "8", "8"]], ids=["whole", "tiled"])
def test_a_clip_is_restored(tile, tmp_path):
    clip = write_noise(tmp_path / "in")
    assert (
        main(["restore", str(tmp_path / "in"), str(tmp_path / "out"), "--task", "sr", "--checkpoint", "run/last.ckpt", *tile])
        == 0
    )
    images = [image for _, image in stored_frames(tmp_path / "out")]
    expected = load_network("run/last.ckpt")[0](Tensor(clip[None])).asnumpy()[0]
    assert len(images) == 3
    for image, frame in zip(images, expected):  # its kernel reaches two pixels, less than half of what tiles share
        assert np.abs(image.astype(int) - stored(frame).astype(int)).max() <= 1


def test_scenes_are_scored(capsys):
    assert main(["eval", "--config", "mine.yaml", "--checkpoint", "run/best.ckpt", "--output", "scores", "--report"]) == 0
    assert "Enlarger" in capsys.readouterr().out and Path("scores/report.html").exists()
    results = json.loads(Path("scores/results.json").read_text())
    assert set(results["clips"]) == {"cat", "coins"} and results["clips"]["cat"]["network"]["psnr"] > 20
    assert results["network"].startswith("enlarger: times 2, kernel 5; ")
    # a convolution of 3 x 12 x 5 x 5 weights, in clips of two frames
    assert results["multiply-adds"] == "enlarger: 0.9 G a frame of 1024 x 1024 as given, 2 frames at a time"


def test_what_is_exported_computes_the_same(tmp_path):
    assert (
        main(["export", "--config", "mine.yaml", "--checkpoint", "run/last.ckpt", "--output", str(tmp_path / "net.mindir")])
        == 0
    )
    write_noise(tmp_path / "in")
    for target, network in (
        ("one", ["--model", str(tmp_path / "net.mindir")]),
        ("other", ["--checkpoint", "run/last.ckpt", "--tile", "2", "24", "32"]),
    ):
        assert (
            main(
                ["restore", str(tmp_path / "in"), str(tmp_path / target), "--task", "sr", "--overlap", "1", "8", "8", *network]
            )
            == 0
        )
    one, other = ([image.astype(int) for _, image in stored_frames(tmp_path / target)] for target in ("one", "other"))
    assert len(one) == len(other) == 3 and max(np.abs(a - b).max() for a, b in zip(one, other)) <= 1


def test_weights_by_their_published_names_become_a_checkpoint(tmp_path):
    network = models.create_model("enlarger", times=3, seed=4)
    np.savez(tmp_path / "published.npz", **weights(network))
    assert main(["convert", str(tmp_path / "published.npz"), str(tmp_path / "own.ckpt")]) == 0
    again, about = load_network(tmp_path / "own.ckpt")
    assert about.settings == {"times": 3, "kernel": 3}
    for name, array in weights(again).items():
        np.testing.assert_array_equal(array, weights(network)[name])
    clip = np.random.default_rng(1).random((2, 3, 16, 24), np.float32)
    np.testing.assert_array_equal(
        restore_clip(again, clip, tile=(0, 0, 0), overlap=(0, 0, 0)), network(Tensor(clip[None])).asnumpy()[0]
    )


@pytest.mark.parametrize(
    "override, said",
    [
        ("model.kernal=3", "unknown key model.kernal (did you mean kernel?)"),
        ("model.times=4", "model.times is 4: "),
        ("training.flow_rate=1", "unknown key training.flow_rate"),
        ("training.execution=pieces", "training.execution=pieces: the network Enlarger is not made of pieces"),
        ("model.name=enlarge", "model.name is 'enlarge': unknown (did you mean enlarger?)"),
    ],
)
def test_mistakes_are_named(override, said, capsys):
    assert main(["train", "--config", "mine.yaml", "--output", "mistaken", override]) == 2
    assert said in capsys.readouterr().err


def test_mistakes_in_the_library_are_named():
    with pytest.raises(UserError, match="Enlarger times is 4; choose one of 2, 3"):
        models.create_model("enlarger", times=4)
    with pytest.raises(UserError, match="Enlarger kernel is True; it must be a whole number of at least 1"):
        models.create_model("enlarger", kernel=True)
    with pytest.raises(UserError, match="unknown setting 'kernal', it has times, kernel, seed. Did you mean 'kernel'"):
        models.create_model("enlarger", kernal=3)
    with pytest.raises(UserError, match="this Enlarger does not say what it can do; build it by create_model"):
        restore_clip(enlarger.Enlarger(enlarger.EnlargerSettings()), np.zeros((1, 3, 8, 8)))
    with pytest.raises(UserError, match="is no object of a mindrestore.models.kind.VideoKind"):
        models.register(enlarger.EnlargerKind)


SNAPSHOTS = """
model: {name: averager}
data: {kind: rendered, frames: 4, size: 16, clips: 4}
evaluation: {kind: scenes, path: ., frames: 4}
training: {steps: 4, batch_size: 2, learning_rate: 0.01, save_every: 2, log_every: 1, validate_every: 4}
"""


def test_one_for_snapshots(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(SNAPSHOTS)
    scipy.io.savemat("kobe.mat", {"orig": np.random.default_rng(0).integers(0, 256, (17, 20, 8), np.uint8)})
    assert main(["train", "--config", "mine.yaml", "--output", "run"]) == 0
    network, about = load_network("run/last.ckpt")
    assert about.kind == "averager" and network.correction.asnumpy() != np.float32(0.1)  # it was trained
    assert main(["eval", "--config", "mine.yaml", "--checkpoint", "run/last.ckpt", "--output", "scores"]) == 0
    assert "Averager (last)" in capsys.readouterr().out
    assert json.loads(Path("scores/results.json").read_text())["multiply-adds"] == "averager: not counted"
    write_noise("in", count=4)
    assert main(["simulate", "in", "coded.mat", "--ratio", "4"]) == 0
    assert main(["restore", "coded.mat", "out", "--task", "sci", "--checkpoint", "run/last.ckpt"]) == 0
    assert len(list(stored_frames(Path("out")))) == 4
    assert main(["export", "--checkpoint", "run/last.ckpt", "--output", "net.mindir"]) == 2
    assert "the averager network has no exporter" in capsys.readouterr().err
    assert main(["train", "--config", "mine.yaml", "training.mode=plain"]) == 2
    assert "unknown key training.mode" in capsys.readouterr().err


# As a package brings it


ENTRY_POINT = "[mindrestore.networks]\nenlarger = {}\n"
ASKING = """
import sys
from mindrestore import create_model
from mindrestore.config import load_config
print(load_config(sys.argv[1]).model.abilities.scale, create_model("enlarger", kernel=1).conv.weight.shape)
"""


def asked(folder, entry_point, environment):
    """A process that finds an installed package whose entry points name the network."""
    about = folder / "mine-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (about / "entry_points.txt").write_text(ENTRY_POINT.format(entry_point))
    path = f"{environment['PYTHONPATH']}:{folder}:{Path(__file__).parent}"
    return subprocess.run(
        [sys.executable, "-c", ASKING, "mine.yaml"], capture_output=True, text=True, env={**environment, "PYTHONPATH": path}
    )


def test_an_installed_package_brings_it(tmp_path, fresh_environment):
    process = asked(tmp_path, "enlarger:KIND", fresh_environment)
    assert process.stdout.split("\n")[0] == "2 (12, 3, 1, 1)", process.stderr


@pytest.mark.parametrize(
    "entry_point, said",
    [
        ("nowhere:KIND", "nowhere:KIND, which an installed package names for it, cannot be used (ModuleNotFoundError"),
        (
            "enlarger:np",
            "enlarger:np, which an installed package names for it, cannot be used (UserError: network <module 'numpy'",
        ),
    ],
)
def test_a_package_that_brings_something_else_is_named(entry_point, said, tmp_path, fresh_environment):
    assert said in asked(tmp_path, entry_point, fresh_environment).stderr


def test_names_of_our_own_networks_are_taken():
    class Other(enlarger.EnlargerSettings):
        name: str = "vrt"

    class OtherKind(enlarger.EnlargerKind):
        settings = Other

    with pytest.raises(UserError, match="network 'vrt': is one of mindrestore's own"):
        models.register(OtherKind())
