"""Training on videos: pairs of clips, by Adam. What a network adds is in its ``VideoKind``."""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import partial

from mindspore import nn

from mindrestore.checkpoints.weights import start_from
from mindrestore.config.video import VideoConfig, VideoTraining
from mindrestore.data.clip_lists import read_list
from mindrestore.data.frame_stores import training_stores
from mindrestore.data.subclips import HELD_OUT, RenderedSubclips, StoredSubclips
from mindrestore.data.video_samples import INTERPOLATED, VideoSamples
from mindrestore.errors import UserError
from mindrestore.models import kind_of, network_of
from mindrestore.models.kind import VideoKind
from mindrestore.training.average import Average
from mindrestore.training.gradients import GRADIENTS, MEAN_OVER_RANKS, executed
from mindrestore.training.job import Job
from mindrestore.training.loss_scale import needed_loss_scale
from mindrestore.training.losses import LOSSES
from mindrestore.training.optimizers import Update, adam_updates, adam_updates_with_late_part, learning_rates
from mindrestore.training.state import is_saved, state_path
from mindrestore.training.validation import video_validation


def video_job(config: VideoConfig) -> Job:
    """Return the ``Job`` of a ``VideoConfig``; ``UserError`` for settings that do not fit each other."""
    settings = config.training
    if config.data is None or config.data.kind == "stored" and not config.data.gt:
        raise UserError(
            f"configuration {config.name}: it has no data to train on; say which with data.kind=rendered, or "
            "data.gt=FOLDER and, where there is low quality of it, data.lq=FOLDER."
        )
    if config.interpolation:
        raise UserError("interpolation: space-time super-resolution is two networks; train each with its own configuration.")
    kind = kind_of(config.model.name)
    network = network_of(config.model, settings.seed)
    loaded = _read_first_weights(network, kind.first_weights(settings))
    freeze(network, settings.frozen)
    resumed = is_saved(state_path(config))  # the trainer starts no new run where there is a state, which holds every weight
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
        kind=kind.name,
        network=network,
        samples=samples,
        steps=settings.steps,
        rates=rates,
        updates=_updates(kind, network, settings, rates=rates, steps_per_pass=steps_per_pass),
        gradients=kind.with_inputs(network, gradients),
        validate=video_validation(config, network),
        average=Average.wanted(network, settings.average),
        mean_over_ranks=execution in MEAN_OVER_RANKS,
        loss_scale=loss_scale,
    )


def _updates(
    kind: VideoKind, network: nn.Cell, settings: VideoTraining, *, rates: list[float], steps_per_pass: int
) -> list[Update]:
    """Return what Adam moves from which step on: all parameters from the first, but for a part that the kind begins late."""
    late = kind.late_part(settings)
    if late is None:
        return adam_updates(network, rates, settings.betas)
    belongs, first, factor = late
    late_rates = learning_rates(factor * settings.learning_rate, settings.schedule, settings.steps, steps_per_pass)
    return adam_updates_with_late_part(network, rates, settings.betas, late=belongs, first=first, late_rates=late_rates)


def freeze(network: nn.Cell, texts: Sequence[str]) -> None:
    """Freeze every parameter whose name contains one of ``texts``; raise ``UserError`` for a text that no name contains."""
    for text in texts:
        frozen = [parameter for parameter in network.get_parameters() if text in parameter.name]
        if not frozen:
            raise UserError(
                f"training.frozen: no parameter's name contains {text!r}; the first names are "
                f"{', '.join(parameter.name for parameter in network.trainable_params()[:3])}."
            )
        for parameter in frozen:
            parameter.requires_grad = False


def refuse_untrained_frozen(network: nn.Cell, texts: Sequence[str], loaded: Container[str]) -> None:
    """Raise ``UserError`` where ``freeze`` froze random weights; ``loaded``: names of those that were read from files."""
    untrained = [
        parameter
        for parameter in network.get_parameters()
        if parameter.name not in loaded and any(text in parameter.name for text in texts)
    ]
    if untrained:
        raise UserError(
            f"training.frozen: {len(untrained)} of the parameters that it freezes are untrained, the first is "
            f"{untrained[0].name}; give a network that holds them with training.initial, or do not freeze them."
        )


def _read_first_weights(network: nn.Cell, sources: Sequence[tuple[str, str]]) -> frozenset[str]:
    """Set weights from files, pairs of a path and a prefix for the names in it; return the names of those set."""
    results = [start_from(network, source, prefix) for source, prefix in sources]
    for result in results:
        print(result.sentence)
    return frozenset().union(*(result.names for result in results))


def _samples(config: VideoConfig) -> VideoSamples:
    data, task = config.data, config.task
    frames = INTERPOLATED if task == "interpolate" else data.frames
    scale = config.scale
    if data.kind == "rendered":
        subclips = RenderedSubclips(frames, data.patch, data.clips, defocus=data.defocus, photographs=data.photographs)
    else:
        clips = [clip.name for clip in read_list(data.list)] if data.list else None
        stores = training_stores(data.gt, data.lq, blurred=config.degradation == "blur")
        subclips = StoredSubclips(
            *stores, frames=frames, patch=data.patch, scale=scale, clips=clips, held_out=HELD_OUT.get(data.held_out, ())
        )
        for note in subclips.notes:
            print(f"{note}; no subclip goes across.")
    return VideoSamples(
        subclips,
        task,
        degradation=config.degradation,
        scale=scale,
        sigma=data.sigma,
        time_reversal=data.time_reversal,
        colour_jitter=data.colour_jitter,
        pad_frames=data.pad_frames,
        seed=config.training.seed,
    )
