"""Training: through ``train(config)`` and, where it is stopped, in real processes."""

import json
import math
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.io
from builders import assert_same_state, lines_of
from mindspore import Parameter, Tensor, nn

from mindrestore import cli
from mindrestore.checkpoints.loading import load_network
from mindrestore.checkpoints.native import load_arrays, read_metadata
from mindrestore.config import Schedule, load_config, make_config
from mindrestore.data.passes import Passes
from mindrestore.data.snapshots import FixedMask, RandomMasks, SnapshotSamples
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.runtime.dataset import batches
from mindrestore.sensing.masks import fingerprint, random_mask
from mindrestore.sensing.operator import SnapshotImaging
from mindrestore.training import log as training_log, snapshot_job
from mindrestore.training.average import Average
from mindrestore.training.gradients import GRADIENTS, whole_gradients
from mindrestore.training.losses import mse
from mindrestore.training.optimizers import Update, adam_updates, adam_updates_with_late_part, learning_rates
from mindrestore.training.step import TrainOneStep
from mindrestore.training.trainer import train

pytestmark = pytest.mark.usefixtures("prepared")


def quick(test):
    """Run without compiling, and with the fewest operators: for what is no matter of either."""
    return pytest.mark.usefixtures("mode", "layout")(
        pytest.mark.parametrize("mode, layout", [("pynative", "native")], indirect=True, ids=[""])(test)
    )


@pytest.fixture(scope="session")
def scenes(tmp_path_factory):
    """A folder with one small benchmark scene."""
    folder = tmp_path_factory.mktemp("scenes")
    clip = np.random.default_rng(0).integers(0, 256, (16, 20, 4), dtype=np.uint8)
    scipy.io.savemat(folder / "kobe.mat", {"orig": clip})
    return folder


@pytest.fixture
def configure(tmp_path, scenes):
    """``configure("key=value", ...)`` gives a run of seconds; its output folder is ``tmp_path / "run"``."""

    def configured(*overrides):
        return make_config(
            {
                "name": "tiny",
                "model": {"blocks": 2, "channels": 8},
                "data": {"frames": 2, "size": 16, "clips": 6},
                "evaluation": {"kind": "scenes", "path": str(scenes), "frames": 2},
                "training": {
                    "mode": "plain",
                    "steps": 4,
                    "batch_size": 2,
                    "learning_rate": 2e-3,
                    "validate_every": 2,
                    "save_every": 3,
                    "log_every": 1,
                },
                "output": str(tmp_path / "run"),
            },
            overrides,
        )

    return configured


# A run


def test_the_loss_falls(configure):
    folder = train(configure("training.steps=60", "evaluation.kind=captures"))
    losses = [line["loss"] for line in lines_of(folder) if "loss" in line]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])


@quick
def test_what_a_run_leaves(configure, tmp_path, capsys):
    config = configure("training.steps=5", "training.log_every=2")
    folder = train(config)
    assert folder == tmp_path / "run"
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.ckpt",
        "config.yaml",
        "last.ckpt",
        "last_state.ckpt",
        "log.jsonl",
        "previous_state.ckpt",
    ]
    assert load_config(folder / "config.yaml") == config
    lines = lines_of(folder)
    assert [(line["step"], *sorted(line.keys() - {"step"})) for line in lines] == [
        (2, "learning_rate", "loss", "seconds"),
        (2, "seconds", "validation_psnr"),
        (4, "learning_rate", "loss", "seconds"),
        (4, "seconds", "validation_psnr"),
        (5, "seconds", "validation_psnr"),
    ]
    scores = {line["step"]: line["validation_psnr"] for line in lines if "validation_psnr" in line}
    network, last = load_network(folder / "last.ckpt")
    assert last.kind == "revsci" and last.settings == network.settings == config.model.network_settings()
    assert last.mask == "random" and last.training == {"name": "tiny", "step": 5, "validation_psnr": None}
    best = read_metadata(folder / "best.ckpt").training
    assert best["validation_psnr"] == scores[best["step"]] == max(scores.values())
    state = load_arrays(folder / "last_state.ckpt")[0]
    for parameter in network.get_parameters():
        np.testing.assert_array_equal(parameter.asnumpy(), state[f"network/{parameter.name}"])
    printed = capsys.readouterr()
    assert "Compiling the training step" in printed.err and "first step done in" in printed.err
    assert f"step 5: validation PSNR {scores[5]:.3f} dB" in printed.err and printed.out == ""


@quick
def test_checkpoints_record_a_fixed_mask(configure, tmp_path):
    folder = train(configure("mask.fixed=true", "mask.seed=3", "mask.density=0.4", "training.steps=1"))
    assert read_metadata(folder / "last.ckpt").mask == fingerprint(random_mask(2, 16, 16, 0.4, 3))
    mask = random_mask(2, 20, 24, 0.3, 7)
    scipy.io.savemat(tmp_path / "mask.mat", {"mask": mask.transpose(1, 2, 0)})
    folder = train(configure(f"mask.path={tmp_path / 'mask.mat'}", f"output={tmp_path / 'other'}", "training.steps=1"))
    assert read_metadata(folder / "best.ckpt").mask == fingerprint(mask)


@quick
def test_captures_need_no_validation(configure, tmp_path):
    folder = train(configure("evaluation.kind=captures", "evaluation.path=null", "training.steps=1"))
    assert sorted(path.name for path in folder.glob("*.ckpt")) == ["last.ckpt", "last_state.ckpt"]


@quick
def test_a_run_starts_from_given_weights(configure, tmp_path):
    former = train(configure("training.steps=1"))
    folder = train(
        configure(
            f"training.initial={former / 'last.ckpt'}",
            f"output={tmp_path / 'other'}",
            "training.seed=9",
            "training.steps=1",
            "training.learning_rate=1e-30",
        )
    )
    for parameter, same in zip(*(load_network(run / "last.ckpt")[0].get_parameters() for run in (former, folder))):
        np.testing.assert_array_equal(parameter.asnumpy(), same.asnumpy())


@quick
@pytest.mark.parametrize("coupling", ["two_way", "multi_group"])
def test_a_run_adds_blocks_to_a_network(configure, tmp_path, coupling):
    """The deeper network begins as the former one: its new blocks add nothing, but learn."""
    former = train(configure("training.steps=1", "model.blocks=1", f"model.coupling={coupling}"))
    given = ("model.blocks=3", f"model.coupling={coupling}", f"output={tmp_path / 'deeper'}")
    deeper = (*given, f"training.initial={former / 'last.ckpt'}")
    job = snapshot_job.snapshot_job(configure(*deeper, "training.new_blocks=2"))
    of_former = load_network(former / "last.ckpt")[0]
    _, measurement, mask, *estimate = (Tensor(array[None]) for array in job.samples[0] if array is not None)
    inputs = (measurement, mask, *estimate)
    np.testing.assert_allclose(job.network(*inputs).asnumpy(), of_former(*inputs).asnumpy(), atol=1e-6)
    folder = train(configure(*deeper, "training.new_blocks=2", "training.steps=2"))
    arrays = load_arrays(folder / "last.ckpt")[0]
    assert all(np.abs(arrays[name]).max() > 0 for name in arrays if name.startswith("layers.") and ".2." in name)
    for settings, words in (
        ((*deeper, "training.new_blocks=3"), "training.new_blocks=3: they are added to .* 3 blocks in all"),
        ((*given, "training.new_blocks=2"), "training.new_blocks=2: they are added to"),
        ((*given, f"training.initial={folder / 'last.ckpt'}", "training.new_blocks=2"), r"it has layers\.1\..* is to be new"),
        ((*deeper, "training.new_blocks=1"), "an even number" if coupling == "multi_group" else r"missing \(layers\.1"),
    ):
        with pytest.raises(UserError, match=words):
            snapshot_job.snapshot_job(configure(*settings))


# Stopping and going on


@quick
@pytest.mark.parametrize("training_mode", ["plain", "reversible"])
def test_a_longer_run_goes_on_from_a_shorter_one(configure, tmp_path, training_mode):
    """Three steps and then two more are five, in weights, moments, data, schedule, log and best score."""
    common = (
        f"training.mode={training_mode}",
        "training.schedule.kind=step",
        "training.schedule.every_epochs=1",
        "training.clip_norm=0.1",
        "training.average=0.9",
        "model.blocks=1",
        "model.start=gap_tv",
    )
    unbroken = train(configure(*common, "training.steps=5", f"output={tmp_path / 'unbroken'}"))
    broken = train(configure(*common, "training.steps=3"))
    assert train(configure(*common, "training.steps=5"), resume=True) == broken
    assert_same_state(unbroken, broken)
    assert any(name.startswith("average/") for name in load_arrays(broken / "last_state.ckpt")[0])
    # the shorter run also validated at its end
    expected, found = ([{**line, "seconds": 0} for line in lines_of(folder)] for folder in (unbroken, broken))
    assert [line for line in found if not (line["step"] == 3 and "validation_psnr" in line)] == expected


@quick
def test_the_number_of_workers_changes_nothing(configure, tmp_path):
    alone = train(configure("model.start=gap_tv"))
    assert_same_state(alone, train(configure("model.start=gap_tv", "training.workers=3", f"output={tmp_path / 'three'}")))


@pytest.fixture
def started(fresh_environment):
    """``started(config, path)`` starts ``mindrestore train`` as a user does; its messages go to a file beside ``path``."""
    processes = []

    def start(config, path, *arguments):
        path.write_text(json.dumps(config.model_dump()), encoding="utf-8")  # JSON is YAML
        command = [sys.executable, "-m", "mindrestore", "train", "--config", str(path), *arguments]
        with open(path.with_suffix(".err"), "w") as messages:
            processes.append(
                subprocess.Popen(command, stderr=messages, stdout=messages, env=fresh_environment, cwd=path.parent)
            )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()


@pytest.mark.parametrize(
    "number, training_mode", [(signal.SIGINT, "reversible"), pytest.param(signal.SIGTERM, "plain", marks=pytest.mark.long)]
)
def test_a_stopped_process_goes_on_to_bit_equal_weights(configure, started, tmp_path, number, training_mode):
    settings = (
        f"training.mode={training_mode}",
        "model.blocks=1",
        "training.steps=40",
        "training.save_every=1000",
        "evaluation.kind=captures",
    )  # which are not validated on
    unbroken = started(configure(*settings, f"output={tmp_path / 'unbroken'}"), tmp_path / "unbroken.yaml")
    config, path = configure(*settings), tmp_path / "stopped.yaml"
    process = started(config, path)
    folder, deadline = tmp_path / "run", time.monotonic() + 300
    while not (folder / "log.jsonl").exists() or (folder / "log.jsonl").read_text().count("\n") < 3:
        assert process.poll() is None and time.monotonic() < deadline, path.with_suffix(".err").read_text()[-2000:]
        time.sleep(0.005)
    process.send_signal(number)
    assert process.wait(60) in (128 + number, 128 + signal.SIGTERM)
    step = load_arrays(folder / "last_state.ckpt")[1]["step"]
    assert 3 <= step < 40
    # MindSpore's dataset engine turns SIGINT into SIGTERM
    said = path.with_suffix(".err").read_text()
    assert re.search(f"Stopped by SIG(INT|TERM) after step {step}; ", said) and "Trained" not in said
    assert read_metadata(folder / "last.ckpt").training["step"] == step
    assert started(config, path, "--resume").wait(300) == 0 and unbroken.wait(300) == 0
    assert_same_state(tmp_path / "unbroken", folder)
    losses = [
        [(line["step"], line["loss"]) for line in lines_of(run) if "loss" in line] for run in (tmp_path / "unbroken", folder)
    ]
    assert np.mean([loss for _, loss in losses[0][-5:]]) < np.mean([loss for _, loss in losses[0][:5]])
    assert losses[0] == losses[1] and [step for step, _ in losses[0]] == list(range(1, 41))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "run",
        "stopped.err",
        "stopped.yaml",
        "unbroken",
        "unbroken.err",
        "unbroken.yaml",
    ]


@quick
def test_a_run_is_not_overwritten_nor_invented(configure):
    with pytest.raises(UserError, match="last_state.ckpt: no such training state to resume"):
        train(configure(), resume=True)
    folder = train(configure("training.steps=1"))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match="holds a training run; go on with --resume"):
        train(configure())
    with pytest.raises(UserError, match="has already done its 1 steps; set training.steps higher"):
        train(configure("training.steps=1"), resume=True)
    with pytest.raises(UserError, match="belongs to a run with another network"):
        train(configure("model.channels=16"), resume=True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# What is refused


@quick
def test_a_loss_that_is_not_finite_is_refused(configure, tmp_path):
    with pytest.raises(UserError, match=r"step \d: the loss is (nan|inf); .* a smaller training.learning_rate") as refused:
        train(configure("training.learning_rate=1e30", "training.save_every=1", "training.validate_every=100"))
    step = load_arrays(tmp_path / "run" / "last_state.ckpt")[1]["step"]
    assert str(refused.value).startswith(f"step {step + 1}: ")
    assert f"batch held sample {2 * step} (rendered), sample {2 * step + 1} (rendered); " in str(refused.value)
    assert [line["step"] for line in lines_of(tmp_path / "run")] == list(range(1, step + 1))


class NumberedScenes:
    """Clips that tell their number; one of them, if any, is not finite."""

    notes = ()

    def __init__(self, spoilt=None):
        self.spoilt = spoilt

    def __len__(self):
        return 6

    def name(self, index):
        return f"scene {index}"

    def clip(self, index, rng):
        clip = rng.random((2, 16, 16), np.float32)
        if index == self.spoilt:
            clip[1, 3, 4] = np.nan
        return clip


@quick
def test_a_clip_that_is_not_finite_is_named_and_mended(configure, tmp_path, monkeypatch):
    """The failing step is not saved: once the clip is mended, the run goes on as if it had never been spoilt."""
    order = [Passes(6, 0)[number] for number in range(6)]
    config = configure("training.steps=3", "training.save_every=1")
    monkeypatch.setattr(snapshot_job, "training_clips", lambda *_: NumberedScenes(spoilt=order[3]))
    with pytest.raises(UserError) as refused:
        train(config)
    assert str(refused.value).startswith(
        f"step 2: the loss is nan; its batch held sample 2 (scene {order[2]}), "
        f"sample 3 (scene {order[3]}, which holds values that are not finite); "
    )
    assert f"--resume from {tmp_path / 'run' / 'last_state.ckpt'}, after step 1, " in str(refused.value)
    assert [
        read_metadata(tmp_path / "run" / "last.ckpt").training["step"],
        load_arrays(tmp_path / "run" / "last_state.ckpt")[1]["step"],
    ] == [1, 1]
    assert [line["step"] for line in lines_of(tmp_path / "run")] == [1]
    monkeypatch.setattr(snapshot_job, "training_clips", lambda *_: NumberedScenes())
    train(config, resume=True)
    assert_same_state(train(configure("training.steps=3", f"output={tmp_path / 'unbroken'}")), tmp_path / "run")


@quick
def test_weights_that_are_not_finite_are_not_saved(configure, tmp_path):
    with pytest.raises(UserError, match=r"step 1: \d+ weights are not finite after it, .* as nothing was saved yet"):
        train(configure("training.learning_rate=1e39", "training.save_every=1"))
    assert not list(tmp_path.rglob("*.ckpt"))


@quick
@pytest.mark.parametrize(
    "shape, words",
    [
        ((4, 24, 24), None),  # more planes than frames: the first are taken
        ((1, 24, 24), "mask.mat"),
        ((2, 12, 24), "does not fit clips of 2 frames of 16 x 16"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(configure, tmp_path, shape, words):
    path = tmp_path / "mask.mat"
    scipy.io.savemat(path, {"mask": random_mask(*shape, rng=0).transpose(1, 2, 0)})
    config = configure(f"mask.path={path}", "training.steps=1", "evaluation.kind=captures")
    if words is None:
        train(config)
    else:
        with pytest.raises(UserError, match=words):
            train(config)
        assert not list(tmp_path.rglob("*.ckpt"))


@quick
def test_a_clip_that_turns_out_unreadable_is_named(configure, tmp_path):
    for number in range(2):
        frame = tmp_path / "clips" / "bear" / f"{number}.png"
        frame.parent.mkdir(parents=True, exist_ok=True)
        frame.write_bytes(b"no picture")
    with pytest.raises(UserError, match="0.png"):
        train(configure("data.kind=davis", f"data.path={tmp_path / 'clips'}"))


# Steps


class Recorder:
    """An optimiser that notes what it is given."""

    def __call__(self, gradients):
        self.gradients = [gradient.asnumpy() for gradient in gradients]


def gradients_of_a_step(gradients, *batch, **settings):
    recorder = Recorder()
    count = len(gradients(*map(Tensor, batch))[1])
    loss = TrainOneStep(lambda parameters: gradients, [Update(recorder, [None] * count, 0)], **settings)(*map(Tensor, batch))
    return float(loss.asnumpy()), recorder.gradients


def a_batch(samples):
    rng = np.random.default_rng(0)
    clips = rng.random((samples, 2, 8, 8), dtype=np.float32)
    return clips, clips.sum(1), np.ones_like(clips)


@quick
@pytest.mark.parametrize("execution", ["whole", "pieces"])
def test_accumulation_is_the_whole_batch(execution):
    gradients = GRADIENTS[execution](create_model("revsci", blocks=1, channels=8), mse)
    seen = []

    def noted(clips, *inputs):
        seen.append(len(clips))
        return gradients(clips, *inputs)

    whole_loss, whole = gradients_of_a_step(noted, *a_batch(4))
    for parts in (2, 4):
        loss, accumulated = gradients_of_a_step(noted, *a_batch(4), accumulation=parts)
        assert loss == pytest.approx(whole_loss, rel=1e-5)
        for one, other in zip(accumulated, whole):
            assert np.linalg.norm(one - other) <= 1e-5 * np.linalg.norm(other)
    assert seen == [4, 4, 4, 2, 2, 4, 1, 1, 1, 1]  # whole once before each, to count the gradients


class TwoParts(nn.Cell):
    """A parameter that trains from the start, and one that is frozen at first."""

    def __init__(self):
        super().__init__()
        self.early, self.spynet_late = (
            Parameter(Tensor(np.zeros(3, np.float32)), name=name) for name in ("early", "spynet.late")
        )


@quick
def test_a_part_is_frozen_and_then_trains_as_if_it_began(mode, layout):
    """Moments included: Adam's first step moves by the rate whatever the gradient."""
    network, rates = TwoParts(), [0.1, 0.2, 0.3, 0.4]
    updates = adam_updates_with_late_part(
        network, rates, (0.9, 0.99), lambda name: "spynet" in name, first=2, late_rates=[9, 9, 0.15, 0.2]
    )
    asked = []

    def gradients(parameters):
        asked.append([parameter.name for parameter in parameters])
        return lambda *batch: (batch[0].mean(), (Tensor(np.ones(3, np.float32)),) * len(parameters))

    step = TrainOneStep(gradients, updates)
    early, late = [], []
    for _ in rates:
        step(Tensor(np.ones((1, 2), np.float32)))
        early.append(float(network.early.asnumpy()[0]))
        late.append(float(network.spynet_late.asnumpy()[0]))
    np.testing.assert_allclose(early, [-0.1, -0.3, -0.6, -1.0], atol=1e-5)
    np.testing.assert_allclose(late, [0, 0, -0.15, -0.35], atol=1e-5)
    assert asked == [["early"], ["early", "spynet.late"]]  # nothing is computed for what is frozen


@quick
def test_a_renewed_optimiser_steps_as_one_made_anew(mode, layout):
    """Steps of Adam whose gradients change: renewed every second step it does what two new ones do, one after the other."""
    gradients = np.random.default_rng(0).standard_normal((5, 5)).astype(np.float32)

    def moved(network, updates, steps):
        for step in steps:
            updates[0].optimizer((Tensor(gradients[step]),))
        return network.weight.asnumpy().copy()

    network, rates = Scaled(), [0.1, 0.2, 0.3, 0.4, 0.5]
    renewed = adam_updates(network, rates, (0.9, 0.99), renewed_every=2)
    kept = Scaled()
    expected = Scaled()
    places = []
    for first in (0, 2, 4):
        steps = range(first, min(first + 2, 5))
        moved(expected, adam_updates(expected, rates[first:], (0.9, 0.99)), steps)
        places.append(moved(network, renewed, steps))
        np.testing.assert_array_equal(places[-1], expected.weight.asnumpy())
    assert not np.allclose(moved(kept, adam_updates(kept, rates, (0.9, 0.99)), range(5)), places[-1], atol=1e-3)


@quick
def test_a_run_with_a_renewed_optimiser_goes_on_exactly(configure, tmp_path):
    """An epoch is three steps: the run is broken within one, and the optimiser is renewed at the next."""

    def configured(steps, *more):
        return configure("training.renew_optimiser=true", f"training.steps={steps}", "evaluation.kind=captures", *more)

    unbroken = train(configured(8, f"output={tmp_path / 'unbroken'}"))
    broken = train(configured(5))
    assert_same_state(unbroken, train(configured(8), resume=True))
    kept = train(configure("training.steps=8", "evaluation.kind=captures", f"output={tmp_path / 'kept'}"))
    assert any(
        (array != load_arrays(kept / "last_state.ckpt")[0][name]).any()
        for name, array in load_arrays(broken / "last_state.ckpt")[0].items()
    )


@quick
def test_what_is_said_to_be_trained_is_there(configure, tmp_path, capsys):
    for scored in (True, False):
        config = configure("training.steps=1", *([] if scored else ["evaluation.kind=captures"]))
        (tmp_path / "tiny.yaml").write_text(json.dumps(config.model_dump()))
        folder = tmp_path / f"scored_{scored}"
        assert (
            cli.main(["train", "--config", str(tmp_path / "tiny.yaml"), "--output", str(folder), "runtime.mode=pynative"]) == 0
        )
        said = capsys.readouterr().out
        named = re.findall(r"\S+\.(?:ckpt|jsonl)", said)
        assert len(named) == 2 + scored and all(Path(name).is_file() for name in named), said


@quick
def test_an_average_follows_the_weights_and_can_stand_in_for_them(mode, layout):
    network = TwoParts()
    average = Average(network, 0.5)
    for value in (1, 2):
        network.early.set_data(Tensor(np.full(3, value, np.float32)))
        average.update()
    with average.applied():
        assert network.early.asnumpy().tolist() == [1.25] * 3
    assert network.early.asnumpy().tolist() == [2] * 3


class Scaled(nn.Cell):
    """Each value times a weight of its own."""

    def __init__(self):
        super().__init__()
        self.weight = Parameter(Tensor(np.linspace(0.5, 1, 5, dtype=np.float32)), name="weight")

    def construct(self, x):
        return x * self.weight


@pytest.mark.parametrize("mode", ["graph", "pynative"], indirect=True)
@pytest.mark.parametrize("resumed", [False, True])
def test_applying_an_average_changes_nothing_of_the_training(mode, resumed):
    def state_after_five_steps(look):
        network = Scaled()
        updates = adam_updates(network, [0.1] * 5, (0.9, 0.99))
        if resumed:
            for parameter in updates[0].optimizer.get_parameters():
                parameter.set_data(Tensor(parameter.asnumpy()))
        average = Average(network, 0.5)
        step = TrainOneStep(partial(whole_gradients, network, mse), updates, average=average)
        x, losses = np.random.default_rng(0).random((2, 5), np.float32), []
        for _ in range(5):
            losses.append(float(step(Tensor(np.zeros_like(x)), Tensor(x)).asnumpy()))
            if look:
                with average.applied():
                    np.testing.assert_array_equal(network.weight.asnumpy(), average.averages[0].asnumpy())
        assert losses == sorted(losses, reverse=True)
        return [
            losses,
            *(parameter.asnumpy().copy() for parameter in updates[0].optimizer.get_parameters()),
            average.averages[0].asnumpy().copy(),
        ]

    for one, other in zip(state_after_five_steps(False), state_after_five_steps(True)):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mode", ["graph", "pynative"], indirect=True)
def test_gradients_are_clipped_to_a_global_norm(mode):
    def constant(clips, *inputs):
        return clips.mean(), (Tensor(np.full((2, 2), 3, np.float32)), Tensor(np.full(4, -4, np.float32)))

    norm = math.sqrt(4 * 9 + 4 * 16)  # 10
    for limit, factor in ((5, 0.5), (0.1, 0.01), (20, 1)):
        _, clipped = gradients_of_a_step(constant, *a_batch(2), clip_norm=limit)
        for one, other in zip(clipped, (np.full((2, 2), 3), np.full(4, -4))):
            np.testing.assert_allclose(one, factor * other, rtol=1e-5)
        assert math.sqrt(sum(np.sum(one**2) for one in clipped)) <= min(limit, norm) * 1.00001


def test_mse():
    clip, target = Tensor(np.array([[1, 2], [3, 4]], np.float32)), Tensor(np.array([[1, 0], [3, 0]], np.float32))
    assert float(mse(clip, target).asnumpy()) == 5


# Learning rates


@pytest.mark.parametrize(
    "schedule, expected",
    [
        (dict(), [8] * 6),
        (dict(kind="step", factor=0.5, every_epochs=1), [8, 8, 4, 4, 2, 2]),
        (dict(kind="step", factor=0.5, every_epochs=2), [8, 8, 8, 8, 4, 4]),
        (dict(kind="cosine", final=2), [2 + 3 * (1 + math.cos(math.pi * step / 6)) for step in range(6)]),
        (dict(warmup_steps=4), [2, 4, 6, 8, 8, 8]),
        (dict(kind="step", factor=0.5, every_epochs=1, warmup_steps=4), [2, 4, 3, 4, 2, 2]),
    ],
)
def test_schedules(schedule, expected):
    np.testing.assert_allclose(learning_rates(8, Schedule(**schedule), steps=6, steps_per_epoch=2), expected)


def test_the_published_decay():
    rates = learning_rates(2e-4, Schedule(kind="step"), steps=100 * 7, steps_per_epoch=7)
    assert rates[34] == 2e-4
    np.testing.assert_allclose([rates[35], rates[-1]], [2e-4 * 0.95, 2e-4 * 0.95**19])


@quick
def test_steps_are_taken_at_the_scheduled_rate(configure):
    """Adam's first step moves a weight by the learning rate, if its gradient is not tiny."""
    network = create_model("revsci", **configure().model.network_settings())
    before = {parameter.name: parameter.asnumpy() for parameter in network.get_parameters()}
    folder = train(configure("training.steps=1", "training.schedule.warmup_steps=4", "training.learning_rate=0.01"))
    after = {p.name: p.asnumpy() for p in load_network(folder / "last.ckpt")[0].get_parameters()}
    moved = np.concatenate([np.abs(after[name] - before[name]).ravel() for name in before])
    assert moved.max() == pytest.approx(0.01 / 4, rel=1e-3) and np.median(moved) > 0.9 * moved.max()
    assert lines_of(folder)[0]["learning_rate"] == 0.01 / 4


# Samples


class NumberedClips:
    """Clips whose first pixel tells their number; the rest is drawn."""

    def __len__(self):
        return 5

    def clip(self, index, rng):
        clip = rng.random((3, 8, 8), dtype=np.float32)
        clip[0, 0, 0] = index / 10
        return clip


@pytest.mark.parametrize("masks", [RandomMasks(), FixedMask(random_mask(3, 12, 12, rng=0))], ids=["random", "fixed"])
def test_a_sample_is_decided_by_seed_and_number(masks):
    def samples(seed=1):
        return SnapshotSamples(NumberedClips(), masks, with_estimate=True, read_noise=0.1, bits=8, seed=seed)

    in_order = samples()
    expected = [in_order[number] for number in range(12)]
    shuffled, others = samples(), samples(seed=2)
    for number in (7, 3, 11, 0, 4, 7):
        for one, other in zip(expected[number], shuffled[number]):
            np.testing.assert_array_equal(one, other, strict=True)
        assert not np.array_equal(expected[number].measurement, others[number].measurement)


def test_every_pass_takes_every_clip_in_an_order_of_its_own():
    samples = SnapshotSamples(NumberedClips(), RandomMasks())
    orders = [[round(10 * float(samples[5 * epoch + n].clip[0, 0, 0])) for n in range(5)] for epoch in range(6)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    assert len(set(map(tuple, orders))) > 3


def test_a_sample_is_measured_through_its_mask():
    whole = random_mask(3, 20, 24, rng=0)
    windows = {whole[:, top : top + 8, left : left + 8].tobytes(): (top, left) for top in range(13) for left in range(17)}
    samples, seen = SnapshotSamples(NumberedClips(), FixedMask(whole)), set()
    for number in range(30):
        clip, measurement, mask, estimate = samples[number]
        assert estimate is None and measurement.shape == (8, 8)
        np.testing.assert_array_equal(measurement, SnapshotImaging(mask).A(clip))
        seen.add(windows[mask.tobytes()])
    assert len(seen) > 20


@pytest.mark.parametrize("with_estimate", [False, True])
def test_batches_hold_the_samples_in_order_from_the_first_asked_for(with_estimate):
    samples = SnapshotSamples(NumberedClips(), RandomMasks(), with_estimate=with_estimate)
    with batches(samples, first=4, count=3, batch_size=2) as dataset:
        rows = list(dataset.create_tuple_iterator(output_numpy=True))
    assert len(rows) == 3
    for index, row in enumerate(rows):
        expected = [array for array in zip(*(samples[4 + 2 * index + n] for n in range(2))) if array[0] is not None]
        assert len(row) == len(expected) == 3 + with_estimate
        for column, arrays in zip(row, expected):
            np.testing.assert_array_equal(column, np.stack(arrays), strict=True)


# TensorBoard


@quick
def test_tensorboard_may_be_absent(configure, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)  # importing it fails
    folder = train(configure("training.steps=1"))
    assert not (folder / "tensorboard").exists() and lines_of(folder)


def test_tensorboard_gets_the_metrics_where_it_is_installed(tmp_path, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            written.append(folder)

        def add_scalar(self, *scalar):
            written.append(scalar)

        def add_image(self, name, image, step, dataformats):
            assert dataformats == "HWC" and image.dtype == np.uint8
            pictures.append((name, image, step))

        def close(self):
            written.append("closed")

    pictures = []
    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=SummaryWriter))
    log = training_log.TrainingLog(tmp_path, steps=3)
    log.metrics(2, loss=0.5)
    red = np.zeros((3, 4, 5), np.float32)
    red[0] = 1
    log.picture(2, "cat", [np.full((4, 5), 0.2, np.float32), red])
    log.close()
    assert written[:2] == [str(tmp_path / "tensorboard"), ("loss", 0.5, 2)] and written[-1] == "closed"
    [(name, image, step)] = pictures
    assert (name, step, image.shape) == ("validation/cat", 2, (4, 10, 3))
    assert (image[:, :5] == 51).all() and (image[:, 5:] == (255, 0, 0)).all()


def test_a_board_that_is_installed_takes_pictures(tmp_path):
    """The real package, where it is."""
    pytest.importorskip("tensorboardX", reason="tensorboardX, which writes for TensorBoard, is not installed")
    log = training_log.TrainingLog(tmp_path, steps=3)
    log.picture(2, "cat", [np.zeros((3, 16, 16), np.float32)] * 3)
    log.close()
    [file] = (tmp_path / "tensorboard").iterdir()
    assert b"validation/cat" in file.read_bytes() and b"\x89PNG" in file.read_bytes()


def test_a_resumed_log_drops_what_came_after_the_state(tmp_path):
    log = training_log.TrainingLog(tmp_path, steps=9)
    for step in (2, 4, 6):
        log.metrics(step, loss=float(step))
    log.close()
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"step": 7, "lo')  # the machine lost power here
    log = training_log.TrainingLog(tmp_path, steps=9, first=4)
    log.metrics(6, loss=0.0)
    log.close()
    assert [(line["step"], line["loss"]) for line in lines_of(tmp_path)] == [(2, 2.0), (4, 4.0), (6, 0.0)]


@pytest.mark.parametrize("size", [pytest.param(1e-3, marks=pytest.mark.long), 1.0, pytest.param(1e3, marks=pytest.mark.long)])
def test_clipping_leaves_directions_and_bounds_the_global_norm(prepared, size):
    rng = np.random.default_rng(0)
    shapes = ((3, 4), (5,), (1,)) * 400  # as many as a VRT has parameters
    gradients = [(size * rng.standard_normal(shape)).astype(np.float32) for shape in shapes]
    norm = np.sqrt(sum((gradient.astype(np.float64) ** 2).sum() for gradient in gradients))
    clipped = TrainOneStep(lambda parameters: None, [], clip_norm=0.7).clip(*map(Tensor, gradients))
    for given, made in zip(gradients, clipped):
        np.testing.assert_allclose(made.numpy(), given * min(1, 0.7 / norm), rtol=1e-5)
