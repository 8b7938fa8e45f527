"""Networks from files: untrained, from our own checkpoints, from published weights; another network is refused; each file is
read once.
"""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from builders import TINY_VRT
from places import CONFIGS, GOLDEN

from mindrestore.checkpoints import mindspore_file, torch_file
from mindrestore.checkpoints.loading import load, load_for_settings, load_network, published_network
from mindrestore.checkpoints.native import save_network
from mindrestore.checkpoints.weights import set_weights
from mindrestore.cli import main
from mindrestore.config import load_config
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.models.vrt import VRTSettings
from mindrestore.restore.networks import choose

pytestmark = pytest.mark.usefixtures("prepared")

TINY = VRTSettings(
    upscale=1,
    img_size=[2, 64, 64],
    window_size=[2, 8, 8],
    depths=[1] * 8,
    indep_reconsts=[7],
    embed_dims=[4] * 8,
    num_heads=[1] * 8,
    deformable_groups=2,
)


@pytest.fixture(scope="module")
def network():
    return create_model("vrt", **TINY.network_settings(), seed=3)


def weights(network):
    return {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}


def assert_equal(one, other):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_without_a_checkpoint_the_network_is_untrained():
    loaded = load_for_settings(TINY, None, "tiny")
    assert not loaded.trained and loaded.origin is None
    assert loaded.network.settings == TINY.network_settings() and not loaded.network.training


def test_our_own_checkpoint(network, tmp_path):
    path = tmp_path / "tiny.ckpt"
    save_network(path, network, "vrt", network.settings)
    loaded = load_for_settings(TINY, path, "tiny")
    assert loaded.trained and loaded.origin == str(path) and loaded.metadata.kind == "vrt"
    assert_equal(loaded.network, network)
    load_for_settings(TINY.model_copy(update={"img_size": [4, 64, 64], "drop_path_rate": 0.0}), path, "tiny")
    with pytest.raises(UserError, match=r"than configuration tiny says \(mlp_ratio 2.0 instead of 3.0\)"):
        load_for_settings(TINY.model_copy(update={"mlp_ratio": 3.0}), path, "tiny")


def test_published_weights(network, tmp_path):
    path = tmp_path / "tiny.npz"
    np.savez(path, **weights(network))
    loaded = load_for_settings(TINY, path, "tiny")
    assert loaded.trained
    assert_equal(loaded.network, network)


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match="nowhere.ckpt: no such checkpoint"):
        load_for_settings(TINY, tmp_path / "nowhere.ckpt", "tiny")
    revsci = create_model("revsci", blocks=1, channels=8)
    save_network(tmp_path / "other.ckpt", revsci, "revsci", revsci.settings)
    with pytest.raises(UserError, match="holds a revsci network, expected a vrt as configuration tiny says"):
        load_for_settings(TINY, tmp_path / "other.ckpt", "tiny")


@pytest.mark.parametrize("prefix", ["net.", "generator.", "model.net.", "a.b.c."])
@pytest.mark.parametrize("others", [(), ("step_counter", "other.head.weight", "other.tail.weight")])
def test_what_is_in_front_of_all_names_is_shown_and_said_to_be_taken_off(prefix, others):
    network = create_model("vrt", **TINY_VRT)
    arrays = {f"{prefix}{name}": array for name, array in weights(network).items()}
    arrays.update({name: np.zeros(3) for name in others})
    advice = f"save what begins with {prefix} by itself, without {prefix} in front of its names."
    with pytest.raises(UserError) as caught:
        published_network(arrays)
    assert f"Behind {prefix} its names are those of a VRT; {advice}" in str(caught.value)
    with pytest.raises(UserError, match="unexpected") as caught:
        set_weights(network, arrays, "file.pth")
    assert str(caught.value).endswith(advice)


def test_names_that_nobody_knows_are_shown():
    with pytest.raises(UserError, match=r"Its names are layer0.weight, layer1.weight, layer2.weight and 6 more\.$"):
        published_network({f"layer{number}.weight": np.zeros(2) for number in range(9)})


# One read


@pytest.fixture
def reads(monkeypatch):
    """The names of files whose content was read, one by one."""
    names = []
    for module in (mindspore_file, torch_file):

        def counted(path, read=module.read):
            names.append(Path(path).name)
            return read(path)

        monkeypatch.setattr(module, "read", counted)
    return names


def test_what_ships_is_read_once(reads):
    assert choose("denoise")[0].origin.name == "vrt_small_denoise.ckpt"
    config = load_config(CONFIGS / "vrt" / "small_denoise.yaml")
    assert load_for_settings(config.model, None, config.name).trained
    assert reads == ["vrt_small_denoise.ckpt"] * 2


def test_what_ships_for_another_network_is_not_taken(reads):
    model = load_config(CONFIGS / "vrt" / "small_denoise.yaml", ["model.mlp_ratio=1"]).model
    assert not load_for_settings(model, None, "other").trained
    assert reads == ["vrt_small_denoise.ckpt"]


@pytest.mark.parametrize(
    "command",
    [["convert", "SOURCE", "OUT/again.ckpt"], ["eval", "--checkpoint", "SOURCE", "--output", "OUT", "--scenes", "OUT"]],
)
def test_a_command_reads_a_file_once(command, reads, tmp_path):
    scipy.io.savemat(tmp_path / "kobe.mat", {"orig": np.random.default_rng(0).integers(0, 256, (16, 16, 8), np.uint8)})
    assert (
        main([word.replace("SOURCE", str(GOLDEN / "revsci_two_way.pth")).replace("OUT", str(tmp_path)) for word in command])
        == 0
    )
    assert reads == ["revsci_two_way.pth"]


def test_our_own_checkpoint_is_read_once(reads, network, tmp_path):
    path = tmp_path / "tiny.ckpt"
    save_network(path, network, "vrt", network.settings)
    for loaded in (
        load(path).network,
        load_for_settings(TINY, path, "tiny").network,
        load_network(path)[0],
        choose("deblur", [path])[0].network,
    ):
        assert_equal(loaded, network)
    assert reads == ["tiny.ckpt"] * 4
