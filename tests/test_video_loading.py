"""Networks for videos: untrained, from our own checkpoints, from published weights; another network is refused."""
import numpy as np
import pytest

from mindrestore.checkpoints.native import save_network
from mindrestore.errors import UserError
from mindrestore.checkpoints.loading import load_for_settings
from mindrestore.models import create_model
from mindrestore.models.vrt import VRTSettings

pytestmark = pytest.mark.usefixtures("prepared")

TINY = VRTSettings(upscale=1, img_size=[2, 64, 64], window_size=[2, 8, 8], depths=[1] * 8, indep_reconsts=[7],
                   embed_dims=[4] * 8, num_heads=[1] * 8, deformable_groups=2)


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
