"""PyTorch's files read without PyTorch: the files of tests/golden/torch_files, which its make.py describes."""

import json

import numpy as np
import pytest
from golden.golden_weights import golden_array
from places import GOLDEN

from mindrestore.checkpoints import torch_file

FILES = GOLDEN / "torch_files"
SHAPES = {
    "scale": (2,),
    "mean": (3,),
    "head.0.weight": (2, 1, 3, 3),
    "head.0.bias": (2,),
    "blocks.0.conv.weight": (2, 2, 1, 1),
    "blocks.1.conv.weight": (2, 2, 1, 1),
}


def assert_golden(arrays, shapes=SHAPES):
    assert list(arrays) == list(shapes)
    for name, shape in shapes.items():
        assert arrays[name].dtype == np.float32
        np.testing.assert_array_equal(arrays[name], golden_array(name, tuple(shape)), err_msg=name)


def test_published_file_holds_the_golden_weights():
    shapes = json.loads((GOLDEN / "shapes.json").read_text())["revsci_two_way"]
    assert_golden(torch_file.read(GOLDEN / "revsci_two_way.pth"), shapes)


@pytest.mark.parametrize("name", ["state_dict.pth", "state_dict_older.pth", "state_dict_protocol_4.pth"])
def test_state_dict(name):
    assert_golden(torch_file.read(FILES / name))


@pytest.mark.parametrize("name", ["module.pth", "module_older.pth"])
def test_whole_network_becomes_its_state_dict(name):
    assert_golden(torch_file.read(FILES / name))


def test_containers_stay_plain_python():
    contents = torch_file.read(FILES / "training.pth.tar")
    assert contents["epoch"] == 3
    assert contents["best_psnr"] == 33.5 and type(contents["best_psnr"]) is float
    assert contents["schedule"]["milestones"] == {3: 1, 4: 1}
    assert contents["optimizer"]["param_groups"][0]["lr"] == 1e-3
    np.testing.assert_array_equal(contents["noise"], np.arange(6.0).reshape(2, 3))
    assert_golden(contents["state_dict"])


def test_half_stays_half():
    for name, array in torch_file.read(FILES / "half.pth").items():
        np.testing.assert_array_equal(array, golden_array(name, SHAPES[name]).astype(np.float16), strict=True)


@pytest.mark.parametrize("name", ["bfloat16.pth", "bfloat16_older.pth"])
def test_bfloat16_becomes_float32(name):
    for key, array in torch_file.read(FILES / name).items():
        bits = golden_array(key, SHAPES[key]).view(np.uint32)
        nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        np.testing.assert_array_equal(array, nearest.astype(np.uint32).view(np.float32), strict=True)


@pytest.mark.parametrize("name", ["views.pth", "views_older.pth"])
def test_views_of_one_storage(name):
    views = torch_file.read(FILES / name)
    whole = golden_array("whole", (4, 6))
    expected = {
        "whole": whole,
        "transposed": whole.T,
        "inside": whole[1:3, ::2],
        "row": whole[2],
        "number": whole[3, 5],
        "repeated": np.full((3, 2), whole[0, 0]),
        "empty": whole[:0],
    }
    assert list(views) == list(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(views[key], value, err_msg=key)
        assert views[key].shape == np.shape(value)
    assert np.shares_memory(views["whole"], views["row"])


def test_every_type_of_number():
    for kind, array in torch_file.read(FILES / "kinds.pth").items():
        wanted = np.float32 if kind == "bfloat16" else np.dtype(kind)
        np.testing.assert_array_equal(array, np.array([0, 1, 100]).astype(wanted), strict=True)


def test_plain_pickle_of_tensors_and_arrays():
    contents = torch_file.read(FILES / "plain_pickle.pkl")
    assert_golden(contents, {"tensor": (2, 3), "array": (2, 3)})
