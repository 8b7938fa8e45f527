"""Training of VRT: the published recipe. Source: arXiv 2201.12288, section 4, and its training code."""
from functools import partial
from pathlib import Path

import numpy as np

from mindrestore.checkpoints.fine_tuning import start_from
from mindrestore.data.clip_lists import read_list
from mindrestore.data.frame_stores import training_stores
from mindrestore.data.video_samples import INTERPOLATED, VideoSamples
from mindrestore.data.video_windows import HELD_OUT, RenderedWindows, StoredWindows
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.runtime import device
from mindrestore.training.average import Average
from mindrestore.training.gradients import GRADIENTS, REDUCED
from mindrestore.training.job import Job
from mindrestore.training.loss_scale import needed_loss_scale
from mindrestore.training.losses import LOSSES
from mindrestore.training.schedules import learning_rates
from mindrestore.training.updates import adam_updates_with_late_part
from mindrestore.training.video_validation import video_validation

LATE = ("spynet", "deform")  # in the names of parameters that are frozen at first
FLOW = "spynet."  # begins the names of those that find motion


def video_job(config):
    """Return the ``Job`` of a ``VideoConfig``; ``UserError`` for settings that do not fit each other."""
    settings = config.training
    if config.data is None or config.data.kind == "stored" and not config.data.gt:
        raise UserError(f"configuration {config.name}: it has no data to train on; say which with data.kind=rendered, or "
                        "data.gt=FOLDER and, where there is low quality of it, data.lq=FOLDER.")
    if config.interpolation:
        raise UserError("interpolation: space-time super-resolution is two networks; train each with its own configuration.")
    network = create_model("vrt", **config.model.network_settings(), seed=settings.seed)
    given = _first_weights(network, settings)
    freeze(network, settings.frozen)
    if not _goes_on(config):
        refuse_untrained_frozen(network, settings, given)
    network.recompute_parts(**settings.recompute.model_dump())
    samples = DroppingSamples(_samples(config), network.drop_rates)
    steps_per_pass = max(1, len(samples) // settings.batch_size)
    rates, late_rates = (learning_rates(highest, settings.schedule, settings.steps, steps_per_pass) for highest in (
        settings.learning_rate, settings.flow_rate * settings.learning_rate))
    updates = adam_updates_with_late_part(network, rates, settings.betas, _is_late, settings.flow_frozen_steps, late_rates)
    loss_scale = needed_loss_scale()
    execution = settings.execution if settings.execution != "auto" else "pieces" if device.name() == "cpu" else "whole"
    gradients = partial(dropping_gradients, GRADIENTS[execution], network, LOSSES[settings.loss], loss_scale=loss_scale)
    return Job("vrt", network, samples, settings.steps, rates, updates, gradients, video_validation(config, network),
               average=Average(network, settings.average) if settings.average else None, reduced=execution in REDUCED,
               loss_scale=loss_scale)


def dropping_gradients(gradients, network, loss, parameters=None, loss_scale=None):
    """One of ``GRADIENTS`` of a VRT whose last input says what stochastic depth does to it (``VRT.dropping``)."""
    of_network = gradients(network, loss, parameters, loss_scale)
    if not any(network.drop_rates):
        return lambda target, clip, multipliers: of_network(target, clip)

    def value_and_gradients(target, clip, multipliers):
        with network.dropping(multipliers):
            return of_network(target, clip)
    return value_and_gradients


def freeze(network, parts):
    """Leave out of training every parameter whose name contains one of ``parts``; ``UserError`` if one is in no name."""
    for part in parts:
        found = [parameter for parameter in network.get_parameters() if part in parameter.name]
        if not found:
            raise UserError(f"training.frozen: no parameter's name contains {part!r}; the first names are "
                            f"{', '.join(parameter.name for parameter in network.trainable_params()[:3])}.")
        for parameter in found:
            parameter.requires_grad = False


def refuse_untrained_frozen(network, settings, given):
    """Raise ``UserError`` where untrained weights would be frozen: SpyNet's for a while or for good, others for good.

    Alignment may be frozen at first as it is: its offsets begin at zero, so it follows the flows.

    Args:
        network: ``VRT`` before its first step, some of its parameters frozen.
        settings: ``mindrestore.config.video_training.VideoTraining``.
        given: names of the parameters that were read from files.
    """
    untrained = [parameter for parameter in network.get_parameters() if parameter.name not in given]
    flow = [parameter for parameter in untrained if parameter.name.startswith(FLOW)]
    never = [parameter for parameter in untrained if not parameter.requires_grad]
    never_flow = any(not parameter.requires_grad for parameter in flow)
    if flow and (never_flow or settings.flow_frozen_steps):
        setting = "training.frozen" if never_flow else f"training.flow_frozen_steps={settings.flow_frozen_steps}"
        raise UserError(
            f"{setting} freezes SpyNet, which finds motion, and {len(flow)} of its parameters are untrained; give them with "
            "training.initial_flow=FILE, the published file (spynet_sintel_final-3d2a1287.pth, trained on Sintel) or your own "
            "(python train.py --config configs/vrt/small_flow.yaml makes runs/vrt_small_flow/last.ckpt), or train SpyNet from "
            "the first step on with training.flow_frozen_steps=0 'training.frozen=[]'.")
    if never:
        raise UserError(f"training.frozen: {len(never)} of the parameters that it freezes are untrained, the first is "
                        f"{never[0].name}; give a network that holds them with training.initial, or do not freeze them.")


def _first_weights(network, settings):
    """Set what files give of a network's weights; return the names."""
    taken = [start_from(network, source, prefix) for source, prefix in (
        (settings.initial, ""), (settings.initial_flow, FLOW)) if source]
    for each in taken:
        print(each.sentence)
    return frozenset().union(*(each.names for each in taken))


def _goes_on(config):
    """Whether a run is resumed: its state holds every weight. The trainer begins none where there is a state."""
    return (Path(config.output or f"runs/{config.name}") / "last_state.ckpt").exists()


class DroppingSamples:
    """Samples, each with the multipliers of stochastic depth (arXiv 1603.09382): 0 (dropped) or 1 / keep probability.

    Args:
        samples: ``VideoSamples``.
        drop_rates: of every block; each has two multipliers, of its attention and of its MLP.
    """

    def __init__(self, samples, drop_rates):
        self.samples, self.keep = samples, 1 - np.repeat(np.asarray(drop_rates, np.float32), 2)
        self.columns = (*samples.columns, "multipliers")

    def __len__(self):
        return len(self.samples)

    def name(self, number):
        return self.samples.name(number)

    def __getitem__(self, number):
        rng = np.random.default_rng([self.samples.seed, number, len(self.keep)])
        return (*self.samples[number], (rng.random(self.keep.shape, np.float32) < self.keep) / self.keep)


def _is_late(name):
    return any(part in name for part in LATE)


def _samples(config):
    data, task = config.data, config.task
    frames = INTERPOLATED if task == "interpolate" else data.frames
    scale = config.model.upscale
    if data.kind == "rendered":
        windows = RenderedWindows(frames, data.patch, data.clips)
    else:
        clips = [clip.name for clip in read_list(data.list)] if data.list else None
        stores = training_stores(data.gt, data.lq, blurred=config.degradation == "blur")
        windows = StoredWindows(*stores, frames, data.patch, scale, clips, HELD_OUT.get(data.held_out, ()))
    return VideoSamples(windows, task, config.degradation, scale, data.sigma, data.time_reversal, data.colour_jitter,
                        data.pad_frames, config.training.seed)
