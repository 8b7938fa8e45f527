"""Training on videos: pairs of clips, by Adam; what a network adds to it says its ``VideoKind``."""
from functools import partial
from pathlib import Path

from mindrestore.checkpoints.weights import start_from
from mindrestore.data.clip_lists import read_list
from mindrestore.data.frame_stores import training_stores
from mindrestore.data.subclips import HELD_OUT, RenderedSubclips, StoredSubclips
from mindrestore.data.video_samples import INTERPOLATED, VideoSamples
from mindrestore.errors import UserError
from mindrestore.models import kind_of, network_of
from mindrestore.training.average import Average
from mindrestore.training.gradients import GRADIENTS, MEAN_OVER_RANKS, executed
from mindrestore.training.job import Job
from mindrestore.training.loss_scale import needed_loss_scale
from mindrestore.training.losses import LOSSES
from mindrestore.training.optimizers import adam_updates, adam_updates_with_late_part, learning_rates
from mindrestore.training.validation import video_validation


def video_job(config):
    """Return the ``Job`` of a ``VideoConfig``; ``UserError`` for settings that do not fit each other."""
    settings = config.training
    if config.data is None or config.data.kind == "stored" and not config.data.gt:
        raise UserError(f"configuration {config.name}: it has no data to train on; say which with data.kind=rendered, or "
                        "data.gt=FOLDER and, where there is low quality of it, data.lq=FOLDER.")
    if config.interpolation:
        raise UserError("interpolation: space-time super-resolution is two networks; train each with its own configuration.")
    kind = kind_of(config.model.name)
    network = network_of(config.model, settings.seed)
    loaded = _read_first_weights(network, kind.first_weights(settings))
    freeze(network, settings.frozen)
    resumed = _goes_on(config)
    kind.prepare(network, settings, loaded, resumed)
    if not resumed:
        refuse_untrained_frozen(network, settings.frozen, loaded)
    samples = kind.samples(network, _samples(config))
    steps_per_pass = max(1, len(samples) // settings.batch_size)
    loss_scale = needed_loss_scale()
    execution = executed(kind.execution(settings), network)
    gradients = partial(GRADIENTS[execution], network, LOSSES[settings.loss], loss_scale=loss_scale)
    rates = learning_rates(settings.learning_rate, settings.schedule, settings.steps, steps_per_pass)
    return Job(
        kind=kind.name, network=network, samples=samples, steps=settings.steps, rates=rates,
        updates=_updates(kind, network, settings, rates, steps_per_pass), gradients=kind.with_inputs(network, gradients),
        validate=video_validation(config, network), average=Average(network, settings.average) if settings.average else None,
        mean_over_ranks=execution in MEAN_OVER_RANKS, loss_scale=loss_scale)


def _updates(kind, network, settings, rates, steps_per_pass):
    """Return what Adam moves, and when: all at once, but for a part that the network has begin late."""
    late = kind.late_part(settings)
    if late is None:
        return adam_updates(network, rates, settings.betas)
    belongs, first, factor = late
    late_rates = learning_rates(factor * settings.learning_rate, settings.schedule, settings.steps, steps_per_pass)
    return adam_updates_with_late_part(network, rates, settings.betas, belongs, first, late_rates)


def freeze(network, parts):
    """Leave out of training every parameter whose name contains one of ``parts``; ``UserError`` if one is in no name."""
    for part in parts:
        frozen = [parameter for parameter in network.get_parameters() if part in parameter.name]
        if not frozen:
            raise UserError(f"training.frozen: no parameter's name contains {part!r}; the first names are "
                            f"{', '.join(parameter.name for parameter in network.trainable_params()[:3])}.")
        for parameter in frozen:
            parameter.requires_grad = False


def refuse_untrained_frozen(network, parts, loaded):
    """Raise ``UserError`` where ``freeze`` kept weights from training that no file gave; ``given`` names those that one did."""
    never = [parameter for parameter in network.get_parameters()
             if parameter.name not in loaded and any(part in parameter.name for part in parts)]
    if never:
        raise UserError(f"training.frozen: {len(never)} of the parameters that it freezes are untrained, the first is "
                        f"{never[0].name}; give a network that holds them with training.initial, or do not freeze them.")


def _read_first_weights(network, sources):
    """Set what files give of a network's weights, pairs of a path and a prefix of names; return the names set."""
    taken = [start_from(network, source, prefix) for source, prefix in sources]
    for each in taken:
        print(each.sentence)
    return frozenset().union(*(each.names for each in taken))


def _goes_on(config):
    """Whether a run is resumed: its state holds every weight. The trainer begins none where there is a state."""
    return (Path(config.output or f"runs/{config.name}") / "last_state.ckpt").exists()


def _samples(config):
    data, task = config.data, config.task
    frames = INTERPOLATED if task == "interpolate" else data.frames
    scale = config.scale
    if data.kind == "rendered":
        subclips = RenderedSubclips(frames, data.patch, data.clips)
    else:
        clips = [clip.name for clip in read_list(data.list)] if data.list else None
        stores = training_stores(data.gt, data.lq, blurred=config.degradation == "blur")
        subclips = StoredSubclips(*stores, frames=frames, patch=data.patch, scale=scale, clips=clips,
                                  held_out=HELD_OUT.get(data.held_out, ()))
        for note in subclips.notes:
            print(f"{note}; no subclip goes across.")
    return VideoSamples(
        subclips, task, degradation=config.degradation, scale=scale, sigma=data.sigma, time_reversal=data.time_reversal,
        colour_jitter=data.colour_jitter, pad_frames=data.pad_frames, seed=config.training.seed)
