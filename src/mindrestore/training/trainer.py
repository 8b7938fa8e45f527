"""Train a network as a configuration says: build, run, validate, save, resume."""
from pathlib import Path

import yaml
from mindspore import Model, nn

from mindrestore.checkpoints import native, published
from mindrestore.data.providers import training_clips
from mindrestore.data.snapshots import FixedMask, RandomMasks, SnapshotSamples
from mindrestore.errors import UserError
from mindrestore.evaluation.scenes import evaluation_mask, evaluation_scenes
from mindrestore.evaluation.scoring import reconstruct_scene, score
from mindrestore.files import write_text
from mindrestore.inference.snapshots import Reconstructor
from mindrestore.models import create_model
from mindrestore.sensing.masks import fingerprint, load_mask, random_mask
from mindrestore.training.callbacks import Progress, Save, Validate
from mindrestore.training.dataset import batches
from mindrestore.training.gradients import GRADIENTS
from mindrestore.training.log import TrainingLog
from mindrestore.training.losses import LOSSES
from mindrestore.training.schedules import learning_rates
from mindrestore.training.state import restore_state, save_state
from mindrestore.training.step import TrainOneStep

ADAM_BETAS = (0.9, 0.999)
ADAM_EPSILON = 1e-8


def train(config, resume=False):
    """Train; write ``last_state.ckpt`` (to resume from), ``last.ckpt``, ``best.ckpt``, ``log.jsonl`` and ``config.yaml``.

    Args:
        config: ``mindrestore.config.Config``.
        resume: go on from the state in the output folder, exactly as if the run had never stopped.

    Returns:
        The output folder.

    Raises:
        UserError: settings that do not fit each other, or a folder that holds a run while ``resume`` is false.
    """
    settings = config.training
    folder = Path(config.output or f"runs/{config.name}")
    state = folder / "last_state.ckpt"
    if state.exists() and not resume:
        raise UserError(f"{folder}: holds a training run; go on with --resume, or choose another folder with output=...")
    if resume and not state.exists():
        raise UserError(f"{state}: no such training state to resume; train without --resume first.")

    network = create_model(config.model.name, **config.model.network_settings(), seed=settings.seed)
    if settings.initial:
        published.load_published_weights(network, settings.initial)
    samples, mask_record = _samples(config)
    steps_per_epoch = max(1, len(samples.clips) // settings.batch_size)
    steps = settings.steps or settings.epochs * steps_per_epoch
    rates = learning_rates(settings.learning_rate, settings.schedule, steps, steps_per_epoch)
    optimizer = nn.Adam(network.trainable_params(), rates, *ADAM_BETAS, ADAM_EPSILON)
    progress = restore_state(state, network, optimizer) if resume else {"step": 0, "best": None}
    first = progress["step"]
    if first >= steps:
        raise UserError(f"{folder}: this run has already done its {steps} steps; set training.steps higher to go on.")

    write_text(folder / "config.yaml", yaml.safe_dump(config.model_dump(), sort_keys=False))
    log = TrainingLog(folder, steps, first)
    gradients = GRADIENTS[settings.mode](network, LOSSES[settings.loss])
    step_cell = TrainOneStep(gradients, optimizer, settings.accumulation, settings.clip_norm)

    def save_network(path, step, psnr=None):
        native.save_network(path, network, config.model.name, network.settings, mask_record,
                            {"name": config.name, "step": step, "validation_psnr": psnr})

    def save(step):
        save_network(folder / "last.ckpt", step)
        save_state(state, network, optimizer, {"step": step, "best": validate.best})

    counter = Progress(log, rates, first, settings.log_every)
    validate = Validate(log, counter, _validation(config, network), lambda step, psnr: save_network(
        folder / "best.ckpt", step, psnr), settings.validate_every, steps, progress["best"])
    callbacks = [counter, validate] if validate.validate else [counter]
    data = batches(samples, first * settings.batch_size, steps - first, settings.batch_size)
    try:
        with data as dataset, Save(log, counter, save, settings.save_every, steps) as saving:
            Model(step_cell).train(1, dataset, callbacks=[*callbacks, saving], dataset_sink_mode=False)
    finally:
        log.close()
    return folder


def _samples(config):
    """Return (samples, how a checkpoint records the mask)."""
    clips = training_clips(config.data, config.model.colour)
    if config.mask.path:
        mask = load_mask(config.mask.path, config.data.frames)
        masks, record = FixedMask(mask), fingerprint(mask)
    elif config.mask.fixed:
        mask = random_mask(config.data.frames, config.data.size, config.data.size, config.mask.density, config.mask.seed)
        masks, record = FixedMask(mask), fingerprint(mask)
    else:
        masks, record = RandomMasks(config.mask.density), native.RANDOM_MASK
    samples = SnapshotSamples(clips, masks, config.model.colour, config.model.start == "gap_tv",
                              config.measure.read_noise, config.measure.bits, config.training.seed)
    return samples, record


def _validation(config, network):
    """Return a function that gives the mean PSNR of the evaluation scenes; ``None`` for captures, which have no truth."""
    if config.evaluation.kind == "captures":
        return None
    reconstruct = Reconstructor(network)
    scenes = [scene for scene in evaluation_scenes(config).values() if scene]

    def validate():
        scores = []
        for scene in scenes:
            chosen = evaluation_mask(config, *scene.clip.shape[-2:], config.evaluation.frames, scene.mask)
            scores.append(score(scene.name, reconstruct_scene(scene, chosen.mask, reconstruct)).psnr)
        return sum(scores) / len(scores)
    return validate
