"""Weights from every kind of file, and from dicts."""

import io
import json
import zipfile

import mindspore
import numpy as np
import pytest
import safetensors.numpy
from golden.golden_weights import golden_array
from places import GOLDEN

from mindrestore.checkpoints.sources import read_arrays
from mindrestore.errors import UserError

FILES = GOLDEN / "torch_files"
SHAPES = {"conv1.0.weight": (4, 1, 3, 3, 3), "conv1.0.bias": (4,)}
WEIGHTS = {name: golden_array(name, shape) for name, shape in SHAPES.items()}


def assert_same(arrays, expected=WEIGHTS):
    assert sorted(arrays) == sorted(expected)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name, strict=True)


@pytest.mark.parametrize(
    "name",
    [
        "state_dict.pth",
        "state_dict_older.pth",
        "module.pth",
        "module_older.pth",
        "data_parallel.pth",
        "params.pth",
        "training.pth.tar",
    ],
)
def test_pytorch_files_hold_the_same_weights(name):
    expected = ["blocks.0.conv.weight", "blocks.1.conv.weight", "head.0.bias", "head.0.weight", "mean", "scale"]
    arrays = read_arrays(FILES / name)
    assert sorted(arrays) == expected
    assert_same(arrays, {key: golden_array(key, array.shape) for key, array in arrays.items()})


def test_half_precision_becomes_float32():
    arrays = read_arrays(FILES / "half.pth")
    assert_same(
        arrays, {key: golden_array(key, value.shape).astype(np.float16).astype(np.float32) for key, value in arrays.items()}
    )


def test_numbers_of_the_other_byte_order():
    assert_same(read_arrays({name: array.astype(">f4") for name, array in WEIGHTS.items()}))


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_npz(tmp_path, write):
    write(tmp_path / "a.npz", **WEIGHTS, note="text is left out")
    assert_same(read_arrays(tmp_path / "a.npz"))
    assert_same(read_arrays(str(tmp_path / "a.npz")))


def test_safetensors(tmp_path):
    safetensors.numpy.save_file({**WEIGHTS, "half": np.ones(2, np.float16)}, tmp_path / "a.safetensors", {"by": "us"})
    assert_same(read_arrays(tmp_path / "a.safetensors"), {**WEIGHTS, "half": np.ones(2, np.float32)})


def test_safetensors_in_bfloat16(tmp_path):
    head = json.dumps({"w": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "a").write_bytes(len(head).to_bytes(8, "little") + head + b"\x80\x3f\x00\xc0")
    assert_same(read_arrays(tmp_path / "a"), {"w": np.array([[1, -2]], np.float32)})


def test_mindspore(tmp_path):
    entries = [{"name": name, "data": mindspore.Tensor(array)} for name, array in WEIGHTS.items()]
    mindspore.save_checkpoint(entries, str(tmp_path / "a.ckpt"), append_dict={"note": "text is left out"})
    assert_same(read_arrays(tmp_path / "a.ckpt"))
    assert_same(read_arrays(mindspore.load_checkpoint(str(tmp_path / "a.ckpt"))))


def test_the_content_tells_the_kind_not_the_suffix(tmp_path):
    for name in ("a.ckpt", "a.npz", "a.safetensors", "a"):
        (tmp_path / name).write_bytes((FILES / "state_dict.pth").read_bytes())
        assert len(read_arrays(tmp_path / name)) == 6


class TorchLike:
    """A tensor as PyTorch's ask to be treated: detached and on the CPU before ``numpy()``."""

    def __init__(self, array, dtype="torch.float32"):
        self.array, self.dtype, self.ready = array, dtype, False

    def detach(self):
        return self

    def cpu(self):
        self.ready = True
        return self

    def float(self):
        return TorchLike(self.array).cpu()

    def numpy(self):
        assert self.ready and self.dtype != "torch.bfloat16"
        return self.array


@pytest.mark.parametrize(
    "wrapped",
    [
        WEIGHTS,
        {name: mindspore.Parameter(mindspore.Tensor(array), name=name) for name, array in WEIGHTS.items()},
        {name: TorchLike(array, "torch.bfloat16") for name, array in WEIGHTS.items()},
        {f"module.{name}": array for name, array in WEIGHTS.items()},
        {f"module.module.{name}": array for name, array in WEIGHTS.items()},
        {f"_orig_mod.{name}": array for name, array in WEIGHTS.items()},
        {f"module._orig_mod.{name}": array for name, array in WEIGHTS.items()},
        {name.replace(".", "._orig_mod.", 1): array for name, array in WEIGHTS.items()},
        {"params": WEIGHTS, "params_ema": None},
        {"params": WEIGHTS, "params_ema": {}},
        {"params": {"conv1.0.bias": np.zeros(4)}, "params_ema": WEIGHTS},
        {"model": {"state_dict": WEIGHTS}, "epoch": 3, "optimizer": {"state": {}}},
        {"net": WEIGHTS},
        {**WEIGHTS, "epoch": 3, "best": 33.9, "name": "RevSCI", "nothing": None},
    ],
)
def test_dicts(wrapped):
    assert_same(read_arrays(wrapped))


@pytest.mark.parametrize(
    "source, words",
    [
        ({}, "holds no weights"),
        ({"epoch": 3}, "only epoch"),
        ({"generator": WEIGHTS}, "holds a dict under generator"),
        ({"weights": [1, 2]}, "holds a list under weights"),
        ({3: np.zeros(1)}, "has 3 for a name"),
        ({"a": np.zeros(1), "module.a": np.zeros(1)}, "both module.a and a"),
        ({"_orig_mod.a": np.zeros(1), "a": np.zeros(1)}, "both _orig_mod.a and a"),
        ([1], "from a list"),
        ("nowhere.pth", "nowhere.pth: no such checkpoint"),
        (".", "cannot be read"),
    ],
)
def test_what_holds_no_weights(source, words):
    with pytest.raises(UserError, match=words) as caught:
        read_arrays(source)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("suffix", [".pth", ".npz", ".safetensors", ".ckpt"])
def test_files_cut_short(tmp_path, suffix):
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    if suffix == ".pth":
        whole = FILES / "state_dict.pth"
    elif suffix == ".npz":
        np.savez(whole, **WEIGHTS)
    elif suffix == ".safetensors":
        safetensors.numpy.save_file(WEIGHTS, whole)
    else:
        mindspore.save_checkpoint([{"name": "w", "data": mindspore.Tensor(WEIGHTS["conv1.0.weight"])}], str(whole))
    raw = whole.read_bytes()
    for length in range(0, len(raw), max(1, len(raw) // 50)):
        path.write_bytes(raw[:length])
        with pytest.raises(UserError) as caught:
            read_arrays(path)
        assert str(caught.value).startswith(f"{path}: ") and str(caught.value).isprintable()


def test_npz_with_pickles_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", w=np.array([{"a": 1}], object))
    with pytest.raises(UserError, match="a.npz: not a readable NumPy file"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "descr, shape",
    [
        ("'<f4'", "((2, 3)"),
        ("'<f4'", "(02,)"),
        ("'<f4'", "(-2, -3)"),
        ("'<f4'", "(True,)"),
        ("'<f4'", f"({10**20},)"),
        ("('<f4',)", "(6,)"),
        ("'xx'", "(6,)"),
        ("'<f4'", f"({10**15},)"),
    ],
)
def test_npz_with_a_header_that_describes_no_array_is_refused(tmp_path, descr, shape):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("w.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24))
    with pytest.raises(UserError, match="a.npz: not a readable NumPy file"):
        read_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_with_damaged_records_is_refused(tmp_path, compression):
    path, raw = tmp_path / "a.npz", io.BytesIO()
    np.save(raw, np.arange(100.0))
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("w.npy", raw.getvalue())
    whole = path.read_bytes()
    for position in range(44, whole.index(b"PK\x01\x02") - 4, 7):  # LZMA has bytes without effect before and after
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        with pytest.raises(UserError, match="a.npz: not a readable NumPy file"):
            read_arrays(path)


def test_other_files(tmp_path):
    (tmp_path / "a.pth").write_text("<html>404 not found</html>")
    with pytest.raises(UserError, match="a.pth: is no checkpoint; expected a PyTorch file"):
        read_arrays(tmp_path / "a.pth")
