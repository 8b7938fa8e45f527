"""Published weights into our networks."""

import gzip
import json

import mindspore
import numpy as np
import pytest
from golden.golden_weights import golden_array
from mindspore import nn
from places import GOLDEN

from mindrestore.checkpoints import load_network, load_published_weights, read_metadata
from mindrestore.checkpoints.convert import convert
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.models.revsci.published import settings_from_shapes

SHAPES = json.loads((GOLDEN / "shapes.json").read_text())
SMALL = {"weight": (2, 3), "bias": (2,)}


def full_size(name):
    with gzip.open(GOLDEN / "state_dicts.json.gz") as file:
        return dict(json.load(file)[name]["state_dict"])


def small():
    return nn.Dense(3, 2)


def values(network):
    return {parameter.name: parameter.asnumpy().copy() for parameter in network.get_parameters()}


# load_published_weights


def test_revsci_takes_the_published_file():
    network = create_model("revsci", blocks=4)
    assert load_published_weights(network, GOLDEN / "revsci_two_way.pth") is network
    loaded = values(network)
    assert sorted(loaded) == sorted(SHAPES["revsci_two_way"])
    for name, array in loaded.items():
        np.testing.assert_array_equal(array, golden_array(name, array.shape), err_msg=name, strict=True)


@pytest.mark.parametrize("golden", ["revsci_two_way", "revsci_multi_group_2", "revsci_colour"])
def test_revsci_takes_a_dict_in_half_precision(golden):
    arrays = {name: golden_array(name, tuple(shape)).astype(np.float16) for name, shape in SHAPES[golden].items()}
    network = create_model("revsci", **settings_from_shapes(SHAPES[golden]))
    for name, array in values(load_published_weights(network, {"params": arrays})).items():
        np.testing.assert_array_equal(array, arrays[name].astype(np.float32), err_msg=name, strict=True)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"bias": None}, ["1 missing (bias)"]),
        ({"scale": np.zeros(1)}, ["1 unexpected (scale)"]),
        ({"bias": np.zeros(3)}, ["1 misshapen (bias is (3,), expected (2,))"]),
        ({"bias": np.zeros(2, complex)}, ["1 misshapen (bias is complex128, expected real numbers)"]),
        (
            {"weight": None, "bias": np.zeros(()), "x\n": np.zeros(1)},
            ["1 missing (weight)", "1 unexpected (x\\n)", "1 misshapen (bias is (), expected (2,))"],
        ),
        ({f"x{i}": np.zeros(1) for i in range(9)}, ["9 unexpected (x0, x1, x2 and 6 more)"]),
    ],
)
def test_what_does_not_fit_is_listed_and_nothing_is_changed(change, words):
    arrays = {**{name: np.ones(shape, np.float32) for name, shape in SMALL.items()}, **change}
    network = small()
    before = values(network)
    with pytest.raises(UserError) as caught:
        load_published_weights(network, {name: array for name, array in arrays.items() if array is not None})
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert str(caught.value).startswith("the weights given: ")
    for name, array in values(network).items():
        np.testing.assert_array_equal(array, before[name])


def test_an_error_names_the_file(tmp_path):
    np.savez(tmp_path / "a.npz", weight=np.zeros((2, 3)))
    with pytest.raises(UserError, match="a.npz: the weights do not fit the network's 2 parameters: 1 missing"):
        load_published_weights(small(), tmp_path / "a.npz")


def test_buffers_that_the_network_computes_are_passed_over():
    arrays = {**{name: np.ones(shape) for name, shape in SMALL.items()}, "attn.relative_position_index": np.zeros(4)}
    network = small()
    network.published_buffers = lambda name: name.endswith("relative_position_index")
    load_published_weights(network, arrays)
    assert all((array == 1).all() for array in values(network).values())


def test_the_values_are_the_networks_own():
    arrays = {name: np.ones(shape, np.float32) for name, shape in SMALL.items()}
    network = load_published_weights(small(), arrays)
    arrays["bias"][:] = 2
    assert (values(network)["bias"] == 1).all()
    assert network.bias.dtype == mindspore.float32


# settings_from_shapes


@pytest.mark.parametrize(
    "name, expected",
    [
        ("revsci_two_way_50", dict(blocks=50, groups=2, coupling="two_way", colour=False, channels=64)),
        ("revsci_multi_group_18x2", dict(blocks=18, groups=2, coupling="multi_group", colour=False, channels=64)),
        ("revsci_colour_18", dict(blocks=18, groups=2, coupling="two_way", colour=True, channels=64)),
    ],
)
def test_published_settings(name, expected):
    shapes = full_size(name)
    assert settings_from_shapes(shapes) == expected
    network = create_model("revsci", **expected)
    assert {parameter.name: list(parameter.shape) for parameter in network.get_parameters()} == shapes


@pytest.mark.parametrize(
    "settings",
    [
        dict(blocks=1, groups=4, coupling="multi_group", colour=False, channels=32),
        dict(blocks=3, groups=8, coupling="multi_group", colour=True, channels=16),
        dict(blocks=2, groups=2, coupling="two_way", colour=True, channels=24),
    ],
)
def test_settings_of_our_own_networks(settings):
    network = create_model("revsci", **settings)
    assert settings_from_shapes({item.name: tuple(item.shape) for item in network.get_parameters()}) == settings


@pytest.mark.parametrize(
    "change, words",
    [
        ({"conv1.0.weight": None}, "has no five-dimensional conv1.0.weight"),
        ({"conv1.0.weight": (16, 1)}, "has no five-dimensional conv1.0.weight"),
        ({"conv1.0.weight": (16, 2, 5, 5, 5)}, "2 planes go into conv1.0.weight and 1 come out"),
        ({"conv1.0.weight": (16, 7, 5, 5, 5)}, "7 planes"),
        ({"conv1.6.weight": (64, 16, 3, 3, 3)}, "half as many"),
        ({name: None for name in SHAPES["revsci_two_way"] if name.startswith("layers.1.")}, "blocks layers.k are not numbered"),
        ({"layers.0.f.0.nn_layer.0.bias": (32,)}, "both two-way"),
        ({"layers.3.f1.0.weight": (16, 32, 3, 3, 3)}, "layers.3.f1.0.weight is"),
    ],
)
def test_shapes_of_no_revsci(change, words):
    shapes = {**SHAPES["revsci_two_way"], **change}
    with pytest.raises(UserError, match=words):
        settings_from_shapes({name: shape for name, shape in shapes.items() if shape is not None})


def test_shapes_of_vrt_are_no_revsci():
    with pytest.raises(UserError, match="is no RevSCI"):
        settings_from_shapes(full_size("001_videosr_bi_reds_6frames"))


# convert


def test_convert(tmp_path):
    target = tmp_path / "out.ckpt"
    line = convert(GOLDEN / "revsci_two_way.pth", target)
    assert line.endswith(
        "revsci (blocks 4, groups 2, coupling two_way, colour False, channels 64, start normalised), 562,273 parameters"
    )
    assert "\n" not in line and str(target) in line
    network, metadata = load_network(target)
    assert metadata == read_metadata(target)
    assert metadata.kind == "revsci" and metadata.mask is None
    for name, array in values(network).items():
        np.testing.assert_array_equal(array, golden_array(name, array.shape), err_msg=name, strict=True)
    with pytest.raises(UserError, match="out.ckpt: is mindrestore's own already"):
        convert(target, tmp_path / "again.ckpt")


@pytest.mark.parametrize(
    "target, kind, words",
    [
        ("out.pth", None, "out.pth: a checkpoint is written as .ckpt"),
        ("out.ckpt", "unet", "kind 'unet': no such network; expected revsci"),
    ],
)
def test_convert_refuses(tmp_path, target, kind, words):
    with pytest.raises(UserError, match=words):
        convert(GOLDEN / "revsci_two_way.pth", tmp_path / target, kind)
    assert not list(tmp_path.iterdir())


def test_convert_names_the_file_it_does_not_know(tmp_path):
    np.savez(tmp_path / "a.npz", weight=np.zeros((2, 3)))
    with pytest.raises(UserError, match="a.npz: is no RevSCI: it has no five-dimensional conv1.0.weight."):
        convert(tmp_path / "a.npz", tmp_path / "out.ckpt")
    assert not (tmp_path / "out.ckpt").exists()


def test_convert_lists_what_is_missing(tmp_path):
    arrays = {name: golden_array(name, tuple(shape)) for name, shape in SHAPES["revsci_two_way"].items()}
    del arrays["conv2.0.bias"]
    np.savez(tmp_path / "a.npz", **arrays, mean=np.zeros(3))
    with pytest.raises(UserError, match=r"a.npz: .* 1 missing \(conv2.0.bias\), 1 unexpected \(mean\)"):
        convert(tmp_path / "a.npz", tmp_path / "out.ckpt")
    assert not (tmp_path / "out.ckpt").exists()
