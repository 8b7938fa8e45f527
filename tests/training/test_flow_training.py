"""SpyNet alone: true motion of rendered clips, its loss, and a run that VRT can start from."""

import cv2
import numpy as np
import pytest
from builders import TINY_VRT
from mindspore import Tensor

from mindrestore.checkpoints.loading import ASSETS, load_network
from mindrestore.checkpoints.weights import start_from
from mindrestore.config import FlowConfig, make_config
from mindrestore.data.composition import Composition, Foreground, Motion, Surface, ellipse, render, true_flow
from mindrestore.data.flow_samples import FlowSamples
from mindrestore.data.photographs import HELD_OUT_PHOTOGRAPHS
from mindrestore.models import create_model
from mindrestore.training.flow_job import end_point_error, flow_job
from mindrestore.training.gradients import GRADIENTS
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


def test_frames_are_reduced_as_super_resolution_sees_them():
    """Some of them: motion is drawn in pixels of what is rendered, and found in those of what is seen."""
    plain, reduced = (FlowSamples(SIZE, seed=3, scale=scale) for scale in (1, 4))
    lengths = [np.median([np.abs(samples[number].flow).mean() for number in range(12)]) for samples in (plain, reduced)]
    assert 0 < lengths[1] < 0.7 * lengths[0]
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    gains = []
    for number in range(12):
        flow, image, neighbour = reduced[number]
        assert flow.shape == (2, SIZE, SIZE) and image.shape == neighbour.shape == (3, SIZE, SIZE)
        found = cv2.remap(neighbour.transpose(1, 2, 0), columns + flow[0], rows + flow[1], cv2.INTER_CUBIC).transpose(2, 0, 1)
        inside = np.s_[:, 8:-8, 8:-8]
        gains.append(np.abs(found - image)[inside].mean() / np.abs(neighbour - image)[inside].mean())
    assert np.median(gains) < 0.55  # where little moves there is little to gain


def errors_of(network, scale):
    """Return the mean length of the flow of held-out pairs, and of a network's error in it."""
    samples = [FlowSamples(SIZE, seed=1, photographs=HELD_OUT_PHOTOGRAPHS, scale=scale)[number] for number in range(16)]
    flows, images, neighbours = (np.stack(arrays) for arrays in zip(*samples))
    found = network(Tensor(images), Tensor(neighbours))[0].numpy()
    return tuple(np.sqrt((each**2).sum(1)).mean() for each in (flows, found - flows))


def test_an_untrained_network_finds_small_motion():
    """From random weights it found none at all, after 740 steps of training too."""
    length, error = errors_of(create_model("spynet"), scale=4)
    assert error < 0.55 * length


def test_the_network_that_ships_finds_motion():
    network, _ = load_network(ASSETS / "vrt_small_sr.ckpt")
    _, untrained = errors_of(create_model("spynet"), scale=4)
    _, error = errors_of(network.spynet, scale=4)
    assert error < 0.93 * untrained


@pytest.mark.parametrize("of", ["", "basic_module.5"], ids=["all weights", "those of the finest level"])
def test_gradients_by_pieces_are_those_of_the_graph(of):
    """Of four results, of which each has a part in the loss; and where all but one of them need no gradient."""
    network = create_model("spynet")
    flow, image, neighbour = (Tensor(array[None]) for array in FlowSamples(SIZE, seed=5)[2])
    parameters = [each for each in network.trainable_params() if each.name.startswith(of)]
    found, expected = (
        GRADIENTS[name](network, end_point_error, parameters)(flow, image, neighbour) for name in ("pieces", "whole")
    )
    assert float(found[0].asnumpy()) == pytest.approx(float(expected[0].asnumpy()), rel=1e-5)
    for parameter, one, other in zip(parameters, found[1], expected[1]):
        scale = np.abs(other.asnumpy()).max()
        np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), atol=1e-4 * scale + 1e-7, err_msg=parameter.name)


def test_a_run_draws_what_its_configuration_says_and_what_a_flow_of_zero_scores_is_printed(capsys):
    data = {"patch": 32, "sigma": 9, "scale": 3, "clips": 5, "photographs": ["grass"]}
    samples = flow_job(make_config({"name": "flow", "model": {"name": "spynet"}, "data": data})).samples
    assert (samples.size, samples.sigma, samples.length, samples.scale, [*samples.photographs]) == (32, 9, 5, 3, ["grass"])
    assert "Held-out neighbours that are not warped: 2" in capsys.readouterr().out


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
