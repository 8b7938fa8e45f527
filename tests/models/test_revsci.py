"""The RevSCI network: golden numbers, published parameters, any size, exact inverse."""

import gzip
import json

import mindspore as ms
import numpy as np
import pytest
from builders import with_golden_weights
from mindspore import Tensor, ops
from places import GOLDEN

from mindrestore.errors import UserError
from mindrestore.executor import Piecewise
from mindrestore.executor.piecewise import NUMBERS, Run
from mindrestore.models import create_model
from mindrestore.models.revsci import coupling
from mindrestore.models.revsci.camera import network_input
from mindrestore.ops import convolution, convolution_frames, convolution_native
from mindrestore.sensing.operator import SnapshotImaging
from mindrestore.training.gradients import GRADIENTS
from mindrestore.training.losses import mse

pytestmark = pytest.mark.usefixtures("prepared")

NETWORKS = {  # golden file -> settings
    "revsci_two_way": dict(blocks=4),
    "revsci_multi_group_2": dict(blocks=3, coupling="multi_group", groups=2),
    "revsci_colour": dict(blocks=2, colour=True),
}


def snapshots(frames, height, width, batch=1, colour=False, seed=0):
    """Return clips, a mask each and their measurements, as float32 arrays."""
    rng = np.random.default_rng(seed)
    clips = rng.random((batch, *([3] if colour else []), frames, height, width), dtype=np.float32)
    masks = (rng.random((batch, frames, height, width)) < 0.5).astype(np.float32)
    masks[:, :, 0, 1] = 0  # a pixel that no plane opens
    measurements = np.stack([SnapshotImaging(mask, colour).A(clip) for mask, clip in zip(masks, clips)])
    return clips, masks, measurements


def golden_network(name):
    """Return (golden arrays, the network they belong to, its inputs)."""
    golden = np.load(GOLDEN / f"{name}.npz")
    network = with_golden_weights(create_model("revsci", **NETWORKS[name]))
    mask = golden["mask"]
    return golden, network, (Tensor(golden["measurement"].reshape(1, *mask.shape[-2:])), Tensor(mask))


def run(network, *inputs):
    return network(*map(Tensor, inputs)).asnumpy()


# Golden numbers


@pytest.mark.parametrize(
    "name, layout, mode",
    [
        *((name, layout, "pynative") for name in NETWORKS for layout in ("frames", "native")),
        *(pytest.param(name, "frames", "graph", marks=pytest.mark.long) for name in NETWORKS if name != "revsci_colour"),
        ("revsci_colour", "frames", "graph"),
        pytest.param("revsci_two_way", "native", "graph", marks=pytest.mark.long),
    ],
    indirect=["layout", "mode"],
)
def test_golden_gradients(name, layout, mode):
    golden, network, inputs = golden_network(name)
    loss, gradients = GRADIENTS["whole"](network, mse)(Tensor(golden["clip"]), *inputs)
    np.testing.assert_allclose(loss.asnumpy(), golden["mse"], rtol=1e-4)
    norms = {parameter.name: np.linalg.norm(item.asnumpy()) for parameter, item in zip(network.trainable_params(), gradients)}
    expected = dict(zip(golden["grad_names"], golden["grad_norms"]))
    assert norms.keys() == expected.keys()
    for parameter, norm in expected.items():
        assert norms[parameter] == pytest.approx(norm, rel=1e-3), parameter


@pytest.mark.parametrize(
    "name, layout, mode",
    [
        *((name, layout, "pynative") for name in NETWORKS for layout in ("frames", "native")),
        pytest.param("revsci_multi_group_2", "frames", "graph", marks=pytest.mark.long),
        ("revsci_colour", "native", "graph"),
    ],
    indirect=["layout", "mode"],
)
def test_golden_output(name, layout, mode):
    golden, network, inputs = golden_network(name)
    if mode == "graph":
        ms.set_context(mode=ms.GRAPH_MODE)  # the whole network as one graph; the mode fixture undoes it
    for forward in (network, Piecewise(network)):
        assert np.abs(forward(*inputs).asnumpy() - golden["output"]).max() < 1e-4


@pytest.mark.parametrize(
    "name, settings, count",
    [
        ("revsci_two_way_50", dict(), 5_655_393),
        ("revsci_multi_group_18x2", dict(blocks=18, coupling="multi_group"), 2_112_353),
        ("revsci_colour_18", dict(blocks=18, colour=True), 2_056_899),
    ],
)
def test_parameters_are_the_published_ones(name, settings, count):
    with gzip.open(GOLDEN / "state_dicts.json.gz") as file:
        published = {entry: tuple(shape) for entry, shape in dict(json.load(file)[name]["state_dict"]).items()}
    network = create_model("revsci", **settings)
    assert {parameter.name: parameter.shape for parameter in network.get_parameters()} == published
    assert sum(parameter.size for parameter in network.trainable_params()) == count


# What goes in


@pytest.mark.parametrize("shared", [True, False], ids=["one_mask", "a_mask_each"])
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_normalised_input(colour, shared):
    _, masks, measurements = snapshots(5, 8, 12, batch=2, colour=colour)
    mask = masks[0] if shared else masks
    found = network_input(colour, Tensor(measurements), Tensor(mask)).asnumpy()
    mask = np.broadcast_to(mask, masks.shape)
    total = mask.sum(1, keepdims=True)
    normalised = np.broadcast_to(measurements[:, None] / np.where(total == 0, 1, total), mask.shape)
    expected = [mask, normalised] if colour else [normalised + mask * normalised]
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=1e-6)


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_gap_tv_input_is_the_estimate_and_what_it_leaves_unexplained(colour):
    _, masks, measurements = snapshots(5, 8, 12, batch=2, colour=colour)
    estimates = snapshots(5, 8, 12, batch=2, colour=colour, seed=1)[0]
    found = network_input(colour, *map(Tensor, (measurements, masks, estimates))).asnumpy()
    for features, mask, measurement, estimate in zip(found, masks, measurements, estimates):
        camera = SnapshotImaging(mask, colour)
        residual = np.broadcast_to(camera.normalised(measurement - camera.A(estimate)), mask.shape)
        expected = np.concatenate([estimate if colour else estimate[None], residual[None], (mask * residual)[None]])
        np.testing.assert_allclose(features, expected, atol=2e-6)


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_gap_tv_output_corrects_the_estimate_and_explains_the_measurement(colour):
    _, masks, measurements = snapshots(3, 7, 9, batch=2, colour=colour)
    estimates = snapshots(3, 7, 9, batch=2, colour=colour, seed=1)[0]
    network = create_model("revsci", blocks=1, channels=8, colour=colour, start="gap_tv")
    cameras = [SnapshotImaging(mask, colour) for mask in masks]
    output = run(network, measurements, masks, estimates)
    for camera, clip, measurement in zip(cameras, output, measurements):
        np.testing.assert_allclose(camera.A(clip), measurement, atol=1e-5)
    for parameter in (network.conv2[6].weight, network.conv2[6].bias):
        parameter.set_data(Tensor(0 * parameter.asnumpy()))
    silent = run(network, measurements, masks, estimates)
    for camera, clip, measurement, estimate in zip(cameras, silent, measurements, estimates):
        expected = estimate + camera.back_projected_residual(estimate, measurement)
        np.testing.assert_allclose(clip, expected, atol=2e-6)
    assert np.abs(output - silent).max() > 1e-4


# Sizes


@pytest.mark.parametrize(
    "settings",
    [
        dict(channels=16),
        dict(channels=32, colour=True),
        dict(channels=16, groups=4, coupling="multi_group"),
        dict(channels=16, colour=True, start="gap_tv"),
    ],
    ids=["grey", "colour", "multi_group_4", "colour_gap_tv"],
)
@pytest.mark.parametrize("frames, height, width", [(1, 8, 8), (2, 9, 12), (3, 8, 11), (7, 5, 7), (10, 2, 2)])
def test_any_size_and_either_layout(settings, frames, height, width, monkeypatch):
    """The layouts share no code that depends on size, so where they agree each is right."""
    colour = settings.get("colour", False)
    clips, masks, measurements = snapshots(frames, height, width, batch=2, colour=colour)
    inputs = (measurements, masks, *([clips] if "start" in settings else []))
    outputs = []
    for module in (convolution_frames, convolution_native):
        monkeypatch.setattr(convolution, "implementation", lambda module=module: module)
        outputs.append(run(with_golden_weights(create_model("revsci", blocks=1, **settings)), *inputs))
    assert outputs[0].shape == clips.shape
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-5 * max(1, np.abs(outputs[1]).max()))


def test_odd_sizes_are_padded_below_and_to_the_right():
    """Far from the added row and column the output is that of any even size with the same content."""
    _, masks, measurements = snapshots(2, 48, 48)
    network = with_golden_weights(create_model("revsci", blocks=1, channels=16))
    even = run(network, measurements, masks)
    odd = run(network, measurements[..., :45, :47], masks[..., :45, :47])
    assert odd.shape == (1, 2, 45, 47)
    np.testing.assert_allclose(odd[..., :20, :20], even[..., :20, :20], atol=1e-5)
    assert np.abs(odd[..., -1, -1] - even[..., 44, 46]).max() > 1e-3


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_every_measurement_may_have_its_own_mask(colour):
    _, masks, measurements = snapshots(3, 8, 10, batch=2, colour=colour)
    network = with_golden_weights(create_model("revsci", blocks=1, channels=16, colour=colour))
    together = run(network, measurements, masks)
    for n in range(2):
        np.testing.assert_allclose(together[n : n + 1], run(network, measurements[n : n + 1], masks[n]), atol=1e-5)
    assert np.abs(together - run(network, measurements, masks[0]))[1:].max() > 1e-2


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("channels", [16, 32, 64])
@pytest.mark.parametrize("groups", [2, 4, 8, 16])
def test_widths_scale_with_the_channels(groups, channels, colour):
    network = create_model("revsci", blocks=1, groups=groups, coupling="multi_group", channels=channels, colour=colour)
    shapes = {parameter.name: parameter.shape for parameter in network.get_parameters()}
    half, quarter, group = channels // 2, channels // 4, channels // groups
    if colour:
        assert [shapes[f"conv1.{layer}.weight"][:2] for layer in (0, 2, 4, 6)] == [
            (quarter, 2),
            (quarter, quarter),
            (half, quarter),
            (channels, half),
        ]
        assert [shapes[f"conv2.{layer}.weight"][:2] for layer in (0, 2, 4, 6)] == [
            (channels, half),
            (quarter, half),
            (quarter, quarter),
            (3, quarter),
        ]
    else:
        assert [shapes[f"conv1.{layer}.weight"][:2] for layer in (0, 2, 4, 6)] == [
            (quarter, 1),
            (half, quarter),
            (half, half),
            (channels, half),
        ]
        assert [shapes[f"conv2.{layer}.weight"][:2] for layer in (0, 2, 4, 6)] == [
            (channels, half),
            (half, half),
            (quarter, half),
            (1, quarter),
        ]
    for index in range(groups):
        assert shapes[f"layers.0.f.{index}.nn_layer.0.weight"] == (group, group, 3, 3, 3)
        assert shapes[f"layers.0.f.{index}.nn_layer.2.bias"] == (group,)


@pytest.mark.parametrize(
    "settings, words",
    [
        (dict(blocks=0), "blocks is 0"),
        (dict(blocks=2.5), "blocks is 2.5"),
        (dict(blocks=True), "blocks is True"),
        (dict(channels=20), "channels is 20; it must be a multiple of 8"),
        (dict(channels=0), "channels is 0"),
        (dict(groups=3, coupling="multi_group"), "groups is 3.*divide the 64 channels"),
        (dict(groups=1, coupling="multi_group"), "groups is 1"),
        (dict(groups=4), "groups is 4; two_way coupling has exactly 2"),
        (dict(coupling="three_way"), "coupling is 'three_way'; choose one of two_way, multi_group"),
        (dict(colour="grey"), "colour is 'grey'"),
        (dict(start="zeros"), "start is 'zeros'; choose one of normalised, gap_tv"),
        (dict(depth=4), "unknown setting 'depth', it has blocks,"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(UserError, match=words):
        create_model("revsci", **settings)


def test_an_unknown_network_is_named():
    with pytest.raises(UserError, match="'resvci': unknown, choose one of revsci"):
        create_model("resvci")


def test_first_weights_follow_from_the_seed():
    first, again, other = (create_model("revsci", blocks=2, channels=8, seed=seed) for seed in (1, 1, 2))
    for one, same, different in zip(*(network.get_parameters() for network in (first, again, other))):
        np.testing.assert_array_equal(one.asnumpy(), same.asnumpy())
        assert not np.array_equal(one.asnumpy(), different.asnumpy()), one.name


# Reversible blocks


def interpreted(steps, residuals, groups):
    groups = list(groups)
    for (target, source), residual in zip(steps, residuals):
        groups[target] = groups[target] + residual(groups[source])
    return groups


def test_two_way_coupling_is_its_equations():
    plan, x1, x2 = coupling.two_way(), 0.3, -0.7
    assert (plan.names, plan.groups, plan.reverses) == (("f1", "g1"), 2, False)
    y1 = x1 + np.sin(x2)
    assert interpreted(plan.steps, (np.sin, np.cos), (x1, x2)) == [y1, x2 + np.cos(y1)]


@pytest.mark.parametrize("n", [2, 4, 8])
def test_multi_group_coupling_is_its_equations(n):
    plan, x = coupling.multi_group(n), np.linspace(-1, 1, n)
    residuals = [lambda value, index=index: np.sin(index + value) for index in range(n)]
    y = [x[n - 1] + residuals[0](x[0])]
    for i in range(1, n):
        y.append(x[n - 1 - i] + residuals[i](y[i - 1]))
    assert plan.groups == n and plan.reverses
    np.testing.assert_array_equal(interpreted(plan.steps, residuals, x)[::-1], y)


COUPLINGS = pytest.mark.parametrize(
    "settings",
    [
        dict(),
        dict(coupling="multi_group", groups=4),
    ],
    ids=["two_way", "multi_group_4"],
)


def noise_features(network):
    """Groups of features of unit variance, as 4 frames of 16 x 16 give them."""
    features = np.random.default_rng(0).standard_normal((1, network.settings["channels"], 4, 8, 8)).astype(np.float32)
    return network.split(convolution.implementation().to_features(Tensor(features)))


def run_blocks(network, groups):
    with Piecewise(network).taking_over():
        for block in network.layers:
            groups = block(groups)
    return groups


def undo_blocks(network, groups):
    """As a tape does it on the way back."""
    groups = list(groups)
    for block in reversed(network.layers):
        if block.reverses:
            groups.reverse()
        for step, (target, source) in reversed(list(zip(block.steps, block.targets_and_sources))):
            run = Run(step, [groups[target], groups[source]], NUMBERS)
            groups[target] = run.backward_undoing(ops.zeros_like(groups[target]), ((False, False), (False,) * 4))[0]
    return groups


def arrays(groups):
    return np.stack([group.asnumpy().copy() for group in groups])


@pytest.mark.parametrize(
    "settings",
    [{}, pytest.param(dict(coupling="multi_group", groups=4), marks=pytest.mark.long)],
    ids=["two_way", "multi_group_4"],
)
def test_fifty_blocks_are_undone(settings):
    """Features as the head makes them come back to 1e-5; larger ones, here up to 13, to as much of their size."""
    network = create_model("revsci", blocks=50, **settings)
    _, masks, measurements = snapshots(4, 16, 16)
    groups = network.split(network.head(network.input(Tensor(measurements), Tensor(masks))))
    after = run_blocks(network, groups)
    assert np.abs(arrays(after) - arrays(groups)).max() > 0.3
    assert np.abs(arrays(undo_blocks(network, after)) - arrays(groups)).max() < 1e-5
    groups = noise_features(network)
    after = run_blocks(network, groups)
    again = undo_blocks(network, after)
    assert np.abs(arrays(again) - arrays(groups)).max() < 1e-5 * np.abs(arrays(after)).max()


@pytest.mark.parametrize("mode", ["pynative"], indirect=True)
def test_the_inverse_undoes_block_by_block_what_the_network_does(mode):
    """The blocks as the network runs them, undone as a tape does: also with weights that multiply the features."""
    network = with_golden_weights(create_model("revsci", blocks=6, coupling="multi_group", groups=4))
    groups = noise_features(network)
    after = groups
    for block in network.layers:
        after = block(after)
    size = np.abs(arrays(after)).max()
    assert np.abs(arrays(undo_blocks(network, after)) - arrays(groups)).max() < 1e-6 * size


@pytest.mark.parametrize("mode", ["pynative"], indirect=True)
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_pieces_take_estimates_and_a_mask_each(colour, mode):
    clips, masks, measurements = snapshots(3, 8, 10, batch=2, colour=colour)
    network = with_golden_weights(create_model("revsci", blocks=1, channels=8, colour=colour, start="gap_tv"))
    inputs = measurements, masks, clips
    np.testing.assert_allclose(run(Piecewise(network), *inputs), run(network, *inputs), atol=1e-5)
