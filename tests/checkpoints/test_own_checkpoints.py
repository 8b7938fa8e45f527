"""Our own checkpoints, and MindSpore's format underneath."""

import json
import os
import stat

import mindspore
import numpy as np
import pytest

from mindrestore.checkpoints import mindspore_file
from mindrestore.checkpoints.loading import load_network
from mindrestore.checkpoints.native import METADATA_ENTRY, Metadata, load_arrays, read_metadata, save_arrays, save_network
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.version import __version__

SETTINGS = dict(blocks=1, groups=2, coupling="two_way", colour=False, channels=8, start="gap_tv")


@pytest.fixture(scope="module")
def network():
    return create_model("revsci", **SETTINGS, seed=5)


@pytest.fixture
def saved(tmp_path, network):
    path = tmp_path / "deep" / "x.ckpt"
    save_network(path, network, "revsci", SETTINGS, mask="sha256:0f", extra={"step": 7, "psnr": 30.25})
    return path


def rewritten(path, metadata):
    """Write the checkpoint at ``path`` again, its record of the network replaced by the text ``metadata``."""
    arrays = mindspore_file.read(path)
    arrays.pop(METADATA_ENTRY)
    mindspore_file.write(path, arrays, {METADATA_ENTRY: metadata})
    return path


def test_network_comes_back(saved, network):
    again, metadata = load_network(saved)
    assert metadata == Metadata("revsci", SETTINGS, "sha256:0f", __version__, {"step": 7, "psnr": 30.25}, 1)
    assert read_metadata(saved) == metadata
    expected = {item.name: item.asnumpy() for item in network.get_parameters()}
    found = {item.name: item.asnumpy() for item in again.get_parameters()}
    assert list(found) == list(expected)
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name, strict=True)


def test_one_whole_file_is_written(saved, network):
    save_network(saved, network, "revsci", SETTINGS, mask="random")
    assert read_metadata(saved).mask == "random"
    assert os.listdir(saved.parent) == ["x.ckpt"]
    assert stat.S_IMODE(saved.stat().st_mode) & 0o600 == 0o600


def test_mindspore_reads_our_checkpoints(saved, network):
    other = create_model("revsci", **SETTINGS, seed=6)
    contents = mindspore.load_checkpoint(str(saved))
    assert json.loads(contents[METADATA_ENTRY])["kind"] == "revsci"
    not_in_file, _ = mindspore.load_param_into_net(other, contents)
    assert not not_in_file
    for ours, theirs in zip(network.get_parameters(), other.get_parameters()):
        np.testing.assert_array_equal(ours.asnumpy(), theirs.asnumpy())


def test_arrays_come_back_bit_for_bit(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        kind: rng.integers(0, 2, (2, 3)).astype(kind)
        for kind in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float64")
    }
    arrays.update(
        {
            "moment1.conv1.0.weight": rng.standard_normal((3, 2)).astype(np.float32),
            "step": np.array(7),
            "nan": np.array([np.nan, -0.0, np.inf], np.float32),
            "random_state": np.array([2**64 - 1], np.uint64),
            "transposed": np.arange(6.0).reshape(2, 3).T,
        }
    )
    metadata = {"epoch": 3, "state": 2**127, "name": "\u4e2d \n", "list": [1.5, None, True]}
    save_arrays(tmp_path / "state.ckpt", arrays, metadata)
    found, record = load_arrays(tmp_path / "state.ckpt")
    assert record == metadata and list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].tobytes() == array.tobytes()
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)


def test_an_empty_array_is_not_lost_in_silence(tmp_path):
    with pytest.raises(ValueError, match="cannot hold an empty array"):
        save_arrays(tmp_path / "a.ckpt", {"a": np.zeros((0, 3))}, {})
    assert not list(tmp_path.iterdir())


def test_training_state_is_no_network(tmp_path):
    save_arrays(tmp_path / "state.ckpt", {"a": np.zeros(1)}, {"step": 3})
    with pytest.raises(UserError, match="state.ckpt: holds no network in format 1"):
        load_network(tmp_path / "state.ckpt")


def test_cut_short_anywhere(saved):
    whole = saved.read_bytes()
    for length in [*range(0, len(whole), 997), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(UserError) as caught:
            load_network(saved)
        assert str(caught.value).startswith(f"{saved}: ") and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "metadata, words",
    [
        ("{", "damaged"),
        ("[" * 100_000, "damaged"),
        ("[]", "holds no network in format 1"),
        ('{"format": 2}', "holds no network in format 1, which mindrestore .* reads, but 2"),
        ('{"format": 1, "settings": {}}', "damaged: kind is None"),
        ('{"format": 1, "kind": "revsci", "settings": 3}', "damaged: settings is 3"),
        ('{"format": 1, "kind": "revsci", "settings": {}, "version": "1", "training": {}, "mask": 3}', "mask is 3"),
        ('{"format": 1, "kind": "unet", "settings": {}, "version": "1", "training": {}}', "build no unet network"),
        ('{"format": 1, "kind": "revsci", "settings": {"depth": 1}, "version": "1", "training": {}}', "build no revsci"),
    ],
)
def test_damaged_records(saved, metadata, words):
    with pytest.raises(UserError, match=words) as caught:
        load_network(rewritten(saved, metadata))
    assert str(caught.value).startswith(f"{saved}: ")


def test_settings_that_do_not_fit_the_weights(saved):
    record = json.loads(mindspore_file.read(saved)[METADATA_ENTRY])
    record["settings"]["blocks"] = 2
    with pytest.raises(UserError, match=r"x.ckpt: the weights do not fit .* 8 missing \(layers.1.f1"):
        load_network(rewritten(saved, json.dumps(record)))


def test_other_checkpoints(tmp_path):
    path = tmp_path / "a.ckpt"
    with pytest.raises(UserError, match="a.ckpt: no such checkpoint file"):
        read_metadata(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="a.ckpt: is empty"):
        read_metadata(path)
    path.write_bytes(b"\nhello")
    with pytest.raises(UserError, match="a.ckpt: is no MindSpore checkpoint"):
        read_metadata(path)
    np.savez(tmp_path / "a.npz", a=np.zeros(1))
    with pytest.raises(UserError, match="a.npz: is not mindrestore's own; make it so with `mindrestore convert"):
        read_metadata(tmp_path / "a.npz")
    mindspore.save_checkpoint([{"name": "a", "data": mindspore.Tensor(1.0)}], str(path))
    with pytest.raises(UserError, match="a.ckpt: lacks mindrestore's record of its network"):
        read_metadata(path)


# MindSpore's format


def field(number, value):
    """Return one field of a protobuf message: an int, text or bytes."""
    raw = value.encode() if isinstance(value, str) else value
    if isinstance(raw, int):
        return bytes([number << 3]) + varint(raw)
    return bytes([number << 3 | 2]) + varint(len(raw)) + raw


def varint(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def entry(name, dims, kind, content):
    tensor = b"".join(field(1, length) for length in dims) + field(2, kind) + field(3, content)
    return field(1, field(1, name) + field(2, tensor))


def test_large_arrays_come_in_pieces(tmp_path):
    raw = np.arange(6, dtype=np.float32).tobytes()
    message = entry("w", [2, 3], "Float32", raw[:8]) + entry("w", [2, 3], "Float32", raw[8:])
    (tmp_path / "a.ckpt").write_bytes(message + entry("b", [0], "BFloat16", b"\x80\x3f"))
    arrays = mindspore_file.read(tmp_path / "a.ckpt")
    np.testing.assert_array_equal(arrays["w"], np.arange(6, dtype=np.float32).reshape(2, 3))
    assert arrays["b"] == 1 and arrays["b"].shape == ()


@pytest.mark.parametrize(
    "message",
    [
        entry("w", [1000], "Float32", b"1234"),  # mindspore.load_checkpoint returns what is in memory
        entry("w", [2], "Float32", b"1" * 100),  # mindspore.load_checkpoint writes past the array's end
        entry("w", [10**12], "Float32", b"1234"),
        entry("w", [2**63], "Float32", b"1234"),
        entry("w", [1], "Float33", b"1234"),
        entry("w", [1], "str", b"123"),
        field(1, field(1, "w") + field(3, "a map")),
        field(1, 5),
        field(1, field(1, 5)),
        field(1, b""),
        field(2, "no values"),
        b"\x0b",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    ],
)
def test_messages_that_are_no_checkpoint(tmp_path, message):
    (tmp_path / "a.ckpt").write_bytes(message)
    with pytest.raises(UserError, match="a.ckpt: is no MindSpore checkpoint, or one that is cut short or damaged"):
        mindspore_file.read(tmp_path / "a.ckpt")
