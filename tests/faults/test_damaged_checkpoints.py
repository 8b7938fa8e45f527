"""Checkpoints of ours with a flipped bit: refused wherever it is; a training goes on from the state before."""

import os
import random
import shutil
from pathlib import Path

import mindspore
import numpy as np
import pytest
from builders import assert_same_state, tiny_run

from mindrestore.checkpoints import mindspore_file
from mindrestore.checkpoints.loading import load_network
from mindrestore.checkpoints.native import load_arrays, save_arrays, save_network
from mindrestore.cli import main
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.training.trainer import train

pytestmark = pytest.mark.usefixtures("prepared")

SETTINGS = dict(blocks=1, groups=2, coupling="two_way", colour=False, channels=8, start="gap_tv")


@pytest.fixture
def checkpoints(tmp_path):
    """A network and a training's state, in files."""
    network = create_model("revsci", **SETTINGS, seed=5)
    save_network(tmp_path / "last.ckpt", network, "revsci", SETTINGS, mask="random", extra={"step": 7})
    rng = np.random.default_rng(0)
    arrays = {
        f"{part}/{parameter.name}": rng.standard_normal(parameter.shape).astype(np.float32)
        for part in ("network", "optimizer0", "average")
        for parameter in network.get_parameters()
    }
    save_arrays(
        tmp_path / "last_state.ckpt",
        {**arrays, "optimizer0/global_step": np.array([7], np.int32)},
        {"step": 7, "best": 31.25, "loss_scale": None},
    )
    return [tmp_path / "last.ckpt", tmp_path / "last_state.ckpt"]


def flipped(content, bit):
    """Return ``content``, bytes, with one bit flipped."""
    return content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]


def flip(path, bit=None):
    """Flip a bit of a file, by default one in its middle."""
    content = path.read_bytes()
    path.write_bytes(flipped(content, 4 * len(content) if bit is None else bit))


@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.long)])
def test_a_flipped_bit_is_refused(checkpoints, count):
    seed = random.randrange(10**6)
    rng, accepted = random.Random(seed), []
    for path in checkpoints:
        whole = path.read_bytes()
        ends = [*range(40), *range(8 * len(whole) - 8 * 17, 8 * len(whole))]  # the first entry's head, and the checksum itself
        for bit in [*rng.sample(range(8 * len(whole)), count), *rng.sample(ends, 20)]:
            path.write_bytes(flipped(whole, bit))
            try:
                load_arrays(path)
                accepted.append((path.name, bit))
            except UserError as error:
                assert str(error).startswith(f"{path}: ") and str(error).isprintable()
        path.write_bytes(whole)
        load_arrays(path)
    print(f"flipped bits: {len(checkpoints) * (count + 20)} tried with seed {seed}, {len(accepted)} accepted")
    assert not accepted


def test_what_is_written_is_what_mindspore_writes(tmp_path):
    """Byte for byte, its checksum included; so it reads it, with and without looking at the checksum."""
    rng = np.random.default_rng(0)
    kinds = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
    arrays = {kind: rng.integers(0, 2, (2, 3)).astype(kind) for kind in [*kinds, "bool", "float16", "float32", "float64"]}
    arrays.update(number=np.array(7), transposed=np.arange(6.0).reshape(2, 3).T, long=rng.standard_normal((300, 200)))
    texts = {"mindrestore": '{"name": "\u4e2d"}'}
    mindspore_file.write(tmp_path / "ours.ckpt", arrays, texts)
    mindspore.save_checkpoint(
        [{"name": name, "data": mindspore.Tensor(array)} for name, array in arrays.items()],
        str(tmp_path / "theirs.ckpt"),
        append_dict=dict(texts),
        crc_check=True,
    )
    assert (tmp_path / "ours.ckpt").read_bytes() == (tmp_path / "theirs.ckpt").read_bytes()
    for check in (True, False):
        contents = mindspore.load_checkpoint(str(tmp_path / "ours.ckpt"), crc_check=check)
        assert contents["mindrestore"] == texts["mindrestore"]
        np.testing.assert_array_equal(contents["long"].asnumpy(), arrays["long"])
    flip(tmp_path / "ours.ckpt")
    with pytest.raises(ValueError, match="Failed to read"):
        mindspore.load_checkpoint(str(tmp_path / "ours.ckpt"), crc_check=True)


def test_an_array_larger_than_a_value_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(mindspore_file, "_LARGEST_VALUE", 100)
    arrays = {"w": np.arange(60, dtype=np.float32).reshape(3, 20)}
    mindspore_file.write(tmp_path / "a.ckpt", arrays, {})
    assert (tmp_path / "a.ckpt").read_bytes().count(b"Float32") == 3
    np.testing.assert_array_equal(mindspore_file.read(tmp_path / "a.ckpt")["w"], arrays["w"])
    np.testing.assert_array_equal(mindspore.load_checkpoint(str(tmp_path / "a.ckpt"))["w"].asnumpy(), arrays["w"])


def test_files_of_earlier_versions_load(checkpoints):
    """They have no checksum."""
    for path in checkpoints:
        arrays, record = load_arrays(path)
        os.truncate(path, path.stat().st_size - 17)
        again, same = load_arrays(path)
        assert record == same and arrays.keys() == again.keys()
    load_network(checkpoints[0])


# Resuming


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder for runs, which the first test trains and the others copy."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def runs(tmp_path, trained, mode, layout):
    """(an unbroken run of four steps, one of three steps that saved after each)."""
    if not list(trained.iterdir()):
        train(tiny_run(trained / "whole", "training.steps=4"))
        train(tiny_run(trained / "run", "training.steps=3"))
    return trained / "whole", Path(shutil.copytree(trained / "run", tmp_path / "run"))


uncompiled = pytest.mark.parametrize("mode, layout", [("pynative", "native")], indirect=True, ids=[""])


@uncompiled
@pytest.mark.parametrize("harm", ["flipped", "gone"])
def test_resume_names_a_damaged_state_and_takes_the_one_before(runs, tmp_path, capsys, harm):
    whole, folder = runs
    last, before = folder / "last_state.ckpt", (folder / "last_state.ckpt").read_bytes()
    former = (folder / "previous_state.ckpt").read_bytes()
    if harm == "flipped":
        flip(last)
        before = last.read_bytes()
    else:
        last.unlink()  # as where a run is killed while one state takes the place of another
    capsys.readouterr()
    train(tiny_run(tmp_path / "run", "training.steps=4", "training.save_every=100"), resume=True)
    said = capsys.readouterr().err
    assert f"warning: {last}: " in said and f"Going on from {folder / 'previous_state.ckpt'}, after step 2." in said
    assert_same_state(whole, folder)
    assert (folder / "previous_state.ckpt").read_bytes() == former  # not replaced by the damaged one
    if harm == "flipped":
        assert (folder / "damaged_state.ckpt").read_bytes() == before


@uncompiled
def test_both_states_damaged_are_one_sentence(runs, tmp_path, capsys):
    _, folder = runs
    for name in ("last_state.ckpt", "previous_state.ckpt"):
        flip(folder / name)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "tiny.yaml").write_text(tiny_run(tmp_path / "run").model_dump_json())
    assert main(["train", "--config", str(tmp_path / "tiny.yaml"), "--resume"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "last_state.ckpt: " in said and "previous_state.ckpt: " in said and "Begin again" in said
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@uncompiled
def test_a_run_whose_only_state_is_the_one_before_is_not_begun_anew(runs, tmp_path):
    _, folder = runs
    (folder / "last_state.ckpt").unlink()
    with pytest.raises(UserError, match="holds a training run; go on with --resume"):
        train(tiny_run(tmp_path / "run", "training.steps=4"))
