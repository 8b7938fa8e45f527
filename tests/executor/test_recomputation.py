"""Recomputation: the gradients of a network that keeps everything, in less memory; which stages it is for."""

import mindspore as ms
import numpy as np
import pytest
from builders import INTERPOLATING, TINY_VRT, flow_weights
from mindspore import Parameter, Tensor, ops

from mindrestore.models import create_model
from mindrestore.models.vrt.attention import Group, WindowedBlock
from mindrestore.models.vrt.settings import Options
from mindrestore.ops.recomputation import Recomputed
from mindrestore.runtime.execution import compiled

pytestmark = pytest.mark.usefixtures("prepared")

STEP = """
import resource, sys
from mindspore import Tensor
from mindrestore.config import make_config
from mindrestore.runtime import session
from mindrestore.training.step import TrainOneStep
from mindrestore.training.video_job import video_job

mode, *overrides = sys.argv[1:]
session.start("cpu", mode)
job = video_job(make_config({
    "name": "tiny", "model": {"name": "vrt", "upscale": 1, "img_size": [2, 64, 64], "window_size": [2, 8, 8],
                              "depths": [1] * 7 + [8], "indep_reconsts": [], "embed_dims": [8] * 8, "num_heads": [2] * 8,
                              "pa_frames": 2, "deformable_groups": 2},
    "data": {"kind": "rendered", "frames": 2, "patch": 128, "clips": 1},
    "training": {"batch_size": 1, "steps": 1}}, overrides))
step = TrainOneStep(job.gradients, job.updates)
step(*(Tensor(part[None]) for part in job.samples[0] if part is not None)).asnumpy()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def group(mutual, qkv_bias=True):
    """Blocks, the second one with windows that are shifted, padded and masked."""
    return Group(
        8,
        depth=2,
        heads=2,
        window=(2, 4, 4),
        mutual=mutual,
        drop_rates=[0.0, 0.2],
        options=Options(0.75, 2.0, qkv_bias, None),
        rng=np.random.default_rng(0),
    )


def gradients(group):
    """Return the gradients of input and parameters, in a row."""
    rng = np.random.default_rng(1)
    x, target = (Tensor(rng.standard_normal((2, 2, 6, 10, 8), np.float32)) for _ in range(2))
    multipliers = Parameter(np.array([[1, 1, 1.25, 0], [1, 1, 0, 1.25]], np.float32), name="multipliers")
    for number, block in enumerate(group.blocks):
        block.of_windows.number, block.of_windows.__dict__["multipliers"] = number, multipliers

    def loss(x):
        return (group(x) - target).square().mean()

    recorded = ms.value_and_grad(loss, 0, group.trainable_params())

    def in_a_row(x):
        _, (of_input, of_parameters) = recorded(x)
        row = [of_input.reshape(-1)]
        for gradient in of_parameters:
            row.append(gradient.reshape(-1))
        return ops.cat(row)

    return compiled(in_a_row)(x).asnumpy()


@pytest.mark.parametrize("mutual, qkv_bias", [(True, True), (False, False)], ids=["mutual", "self, without bias"])
@pytest.mark.parametrize("mode", [pytest.param("graph", marks=pytest.mark.long), "pynative"], indirect=True)
def test_gradients_are_those_of_a_network_that_keeps_everything(mode, mutual, qkv_bias):
    kept, computed_again = group(mutual, qkv_bias), group(mutual, qkv_bias)
    for block in computed_again.blocks:
        block.of_windows.recompute_parts(attention=True, mlp=True)
    expected = gradients(kept)
    np.testing.assert_allclose(gradients(computed_again), expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("settings", [TINY_VRT, INTERPOLATING], ids=["aligned", "interpolated"])
def test_the_stages_that_are_named_are_computed_again(settings):
    network = create_model("vrt", **{**settings, "depths": [1] * 9, "embed_dims": [8] * 9, "num_heads": [2] * 9})
    names = [parameter.name for parameter in network.get_parameters()]
    network.recompute_parts([0, 8], [6, 7])
    blocks = {name: cell for name, cell in network.cells_and_names() if isinstance(cell, WindowedBlock)}
    for part, stages in (("attend", {"stage1", "stage8.2"}), ("feed_forward", {"stage7", "stage8.1"})):
        found = {name.split(".residual")[0] for name, block in blocks.items() if isinstance(getattr(block, part), Recomputed)}
        assert found == stages
    assert [parameter.name for parameter in network.get_parameters()] == names


def test_attention_of_every_second_group_is_computed_again():
    network = create_model("vrt", **{**TINY_VRT, "depths": [2] * 9, "embed_dims": [8] * 9, "num_heads": [2] * 9})
    network.recompute_parts([7], second_groups=True)
    blocks = {name: cell for name, cell in network.cells_and_names() if isinstance(cell, WindowedBlock)}
    again = {name for name, block in blocks.items() if isinstance(block.attend, Recomputed)}
    assert again == {name for name in blocks if ".residual_group2." in name or name.startswith("stage8.1.")}
    assert len({name.split(".")[0] for name in again}) == 8
    assert not any(isinstance(block.feed_forward, Recomputed) for block in blocks.values())


@pytest.mark.long
def test_a_training_step_takes_less_memory(python, tmp_path):
    """In PyNative mode; compiled for a CPU MindSpore gains too little to tell from what compiling takes."""
    flow = f"training.initial_flow={flow_weights(tmp_path)}"

    def peak(*overrides):
        run = python(STEP, "pynative", flow, *overrides)
        assert run.returncode == 0, run.stderr
        return int(run.stdout.split()[-1])

    nothing, attention, both = (
        peak(),
        peak("training.recompute.attention=[7]"),
        peak("training.recompute.attention=[7]", "training.recompute.mlp=[7]"),
    )
    print(f"peak in kB: {nothing}, attention recomputed {attention}, MLPs too {both}")
    assert both < attention < nothing
