"""SpyNet alone: true motion of rendered clips, its loss, and a run that VRT can start from."""

import cv2
import numpy as np
import pytest
from builders import TINY_VRT
from mindspore import Tensor

from mindrestore.checkpoints.loading import load_network
from mindrestore.checkpoints.weights import start_from
from mindrestore.config import FlowConfig, make_config
from mindrestore.data.composition import Composition, Foreground, Motion, Surface, ellipse, render, true_flow
from mindrestore.data.flow_samples import FlowSamples
from mindrestore.models import create_model
from mindrestore.training.flow_job import end_point_error
from mindrestore.training.trainer import train

SIZE = 64


def test_flow_of_a_moving_camera_and_a_cut_out():
    moving = Composition(
        Surface("coins"),
        Motion(velocity=(2.0, -1.0)),
        (Foreground(Surface("gravel"), (0.5, 0.5), ellipse(), radius=12, motion=Motion(velocity=(0.5, 3.0))),),
    )
    flow = true_flow(moving, -0.5, 0.5, SIZE, SIZE)
    np.testing.assert_allclose(flow[:, 2, 2], [-2, 1], atol=1e-5)  # what the camera sees moves against it
    np.testing.assert_allclose(flow[:, SIZE // 2, SIZE // 2], [0.5, 3], atol=1e-5)


def test_flow_leads_to_where_a_turning_growing_scene_is_found():
    scene = Composition(Surface("chelsea"), Motion(velocity=(1.5, 0.5), turn=0.03, growth=0.01))
    clip = render(scene, 2, SIZE, SIZE)
    flow = true_flow(scene, -0.5, 0.5, SIZE, SIZE)
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    found = cv2.remap(clip[1], columns + flow[0], rows + flow[1], cv2.INTER_CUBIC)
    inside = np.s_[8:-8, 8:-8]
    assert np.abs(found - clip[0])[inside].mean() < 0.2 * np.abs(clip[1] - clip[0])[inside].mean()
    back = true_flow(scene, 0.5, -0.5, SIZE, SIZE)
    there = cv2.remap(back.transpose(1, 2, 0), columns + flow[0], rows + flow[1], cv2.INTER_LINEAR).transpose(2, 0, 1)
    np.testing.assert_allclose((flow + there)[:, 8:-8, 8:-8], 0, atol=0.01)


def test_samples_are_decided_by_seed_and_number():
    one, same, other = (FlowSamples(32, sigma=50, seed=seed)[7] for seed in (1, 1, 2))
    for part, again, different in zip(one, same, other):
        np.testing.assert_array_equal(part, again)
        assert part.shape == different.shape and not np.array_equal(part, different)


def test_error_is_in_pixels_of_full_size_at_every_scale():
    truth = np.tile(np.array([3, 4], np.float32).reshape(1, 2, 1, 1), (1, 1, 8, 8))
    half = Tensor(truth[:, :, ::2, ::2] / 2)
    assert float(end_point_error([Tensor(truth), half], Tensor(truth)).asnumpy()) == pytest.approx(2e-3, abs=1e-4)
    assert float(end_point_error([Tensor(0 * truth), 0 * half], Tensor(truth)).asnumpy()) == pytest.approx(10, rel=1e-4)


@pytest.mark.parametrize("mode", ["pynative"], indirect=True)
def test_a_trained_spynet_is_what_vrt_starts_from(mode, tmp_path):
    config = make_config(
        {
            "name": "flow",
            "model": {"name": "spynet"},
            "data": {"patch": 32, "clips": 4},
            "output": str(tmp_path / "run"),
            "training": {"steps": 2, "batch_size": 2, "validate_every": 2, "save_every": 2, "log_every": 1, "average": 0.9},
        }
    )
    assert isinstance(config, FlowConfig)
    folder = train(config)
    network, metadata = load_network(folder / "best.ckpt")
    assert metadata.kind == "spynet" and metadata.training["validation_psnr"] > 5
    vrt = create_model("vrt", **dict(TINY_VRT, upscale=1, depths=[1] * 8))
    said = start_from(vrt, folder / "best.ckpt", prefix="spynet.").sentence
    trained = {f"spynet.{parameter.name}": parameter.asnumpy() for parameter in network.get_parameters()}
    assert f"{len(trained)} of {len(trained)} parameters taken." in said
    for parameter in vrt.get_parameters():
        if parameter.name in trained:
            np.testing.assert_array_equal(parameter.asnumpy(), trained[parameter.name])
