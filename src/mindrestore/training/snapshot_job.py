"""Training on snapshots: clips measured through masks, validation on scenes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from mindspore import nn

from mindrestore.checkpoints import native
from mindrestore.checkpoints.sources import described, read_arrays
from mindrestore.checkpoints.weights import set_weights
from mindrestore.config.snapshot import SnapshotConfig
from mindrestore.data.providers import training_clips
from mindrestore.data.scenes import Scene
from mindrestore.data.snapshots import FixedMask, RandomMasks, SnapshotSamples
from mindrestore.errors import UserError
from mindrestore.evaluation.snapshot_results import reconstruct_scene, score
from mindrestore.evaluation.snapshot_scenes import evaluation_mask, evaluation_scenes
from mindrestore.models import kind_of, network_of
from mindrestore.restore.snapshots import Reconstructor
from mindrestore.sensing.masks import fingerprint, load_mask, random_mask
from mindrestore.training.average import Average
from mindrestore.training.gradients import GRADIENTS, MEAN_OVER_RANKS
from mindrestore.training.job import Job, Show, nobody
from mindrestore.training.loss_scale import needed_loss_scale
from mindrestore.training.losses import LOSSES, SQRT_LOSSES
from mindrestore.training.optimizers import adam_updates, learning_rates
from mindrestore.training.validation import shared_mean

ADAM_BETAS = (0.9, 0.999)


def snapshot_job(config: SnapshotConfig) -> Job:
    """Return the ``Job`` of a ``SnapshotConfig``; ``UserError`` for settings that do not fit each other."""
    settings = config.training
    network = network_of(config.model, settings.seed)
    new = kind_of(config.model.name).new_weights(network, settings)
    if settings.initial:
        _start_from(network, settings.initial, new)
    samples, mask = _samples(config)
    steps_per_epoch = max(1, len(samples) // settings.batch_size)
    steps = settings.steps or settings.epochs * steps_per_epoch
    rates = learning_rates(settings.learning_rate, settings.schedule, steps, steps_per_epoch)
    updates = adam_updates(network, rates, ADAM_BETAS, steps_per_epoch if settings.renew_optimiser else None)
    loss_scale = needed_loss_scale()
    execution = kind_of(config.model.name).execution(settings)
    return Job(
        kind=config.model.name,
        network=network,
        samples=samples,
        steps=steps,
        rates=rates,
        updates=updates,
        gradients=partial(GRADIENTS[execution], network, LOSSES[settings.loss], loss_scale=loss_scale),
        validate=_validation(config, network),
        average=Average.wanted(network, settings.average),
        mask=mask,
        sqrt_loss=settings.loss in SQRT_LOSSES,
        mean_over_ranks=execution in MEAN_OVER_RANKS,
        loss_scale=loss_scale,
    )


def _start_from(network: nn.Cell, initial: str, new: Mapping[str, np.ndarray]) -> None:
    """Set the weights that a run begins with: those of a file, and new ones that it lacks."""
    arrays = read_arrays(initial)
    there = next((name for name in new if name in arrays), None)
    if there:
        raise UserError(f"{described(initial)}: it has {there}, which is to be new; give a smaller training.new_blocks.")
    set_weights(network, {**arrays, **new}, described(initial))


def _samples(config: SnapshotConfig) -> tuple[SnapshotSamples, str]:
    """Return (samples, how a checkpoint records the mask)."""
    abilities = config.model.abilities
    clips = training_clips(config.data, abilities.colour)
    for note in clips.notes:
        print(f"{note}; no clip to train on goes across.")
    if config.mask.path:
        mask = load_mask(config.mask.path, config.data.frames)
        masks, record = FixedMask(mask), fingerprint(mask)
    elif config.mask.fixed:
        mask = random_mask(
            config.data.frames, config.data.size, config.data.size, density=config.mask.density, rng=config.mask.seed
        )
        masks, record = FixedMask(mask), fingerprint(mask)
    else:
        masks, record = RandomMasks(config.mask.density), native.RANDOM_MASK
    samples = SnapshotSamples(
        clips,
        masks,
        colour=abilities.colour,
        with_estimate=abilities.corrects_estimate,
        read_noise=config.measure.read_noise,
        bits=config.measure.bits,
        seed=config.training.seed,
    )
    return samples, record


def _validation(config: SnapshotConfig, network: nn.Cell) -> Callable[[Show], float] | None:
    """Return a function that gives the mean PSNR in dB of the scenes, and shows the first frame of the first one: measurement
    over mask sum, reconstruction, ground truth. ``None`` for captures, which have no ground truth.
    """
    if config.evaluation.kind == "captures":
        return None
    reconstruct = Reconstructor(network)
    scenes = [scene for scene in evaluation_scenes(config).values() if scene]

    def validate(show: Show = nobody) -> float:
        def psnr(scene: Scene) -> float:
            camera = evaluation_mask(config, *scene.clip.shape[-2:], config.evaluation.frames, scene.mask)
            reconstructions = reconstruct_scene(scene, camera.mask, reconstruct)
            if scene is scenes[0]:
                first = reconstructions[0]
                mean = first.measurement / np.maximum(camera.mask.sum(0), 1)
                show(scene.name, [mean, first.clip[..., 0, :, :], first.truth[..., 0, :, :]])
            return score(scene.name, reconstructions).psnr

        return shared_mean(psnr, scenes)

    return validate
