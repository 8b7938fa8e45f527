"""Training of networks that estimate flow on rendered frames, whose flow is known: supervised, at all scales."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from mindspore import Tensor, nn, ops

from mindrestore.checkpoints.weights import start_from
from mindrestore.config.flow import FlowConfig, FlowData
from mindrestore.data.flow_samples import FlowSamples
from mindrestore.data.photographs import HELD_OUT_PHOTOGRAPHS
from mindrestore.metrics import psnr
from mindrestore.models import network_of
from mindrestore.ops.warp import warp
from mindrestore.training.average import Average
from mindrestore.training.gradients import GRADIENTS, MEAN_OVER_RANKS, executed
from mindrestore.training.job import Job, Show, nobody
from mindrestore.training.loss_scale import needed_loss_scale
from mindrestore.training.optimizers import adam_updates, learning_rates

EPSILON = 1e-6
VALIDATION_PAIRS = 24
VALIDATION_SEED = 1


def flow_job(config: FlowConfig) -> Job:
    """Return the ``Job`` of a ``FlowConfig``; ``UserError`` for settings that do not fit each other."""
    settings, data = config.training, config.data
    network = network_of(config.model, settings.seed)
    if settings.initial:
        print(start_from(network, settings.initial).sentence)
    samples = FlowSamples(
        data.patch, data.sigma, data.clips, seed=settings.seed, photographs=data.photographs, scale=data.scale
    )
    rates = learning_rates(settings.learning_rate, settings.schedule, settings.steps, max(1, data.clips // settings.batch_size))
    loss_scale, execution = needed_loss_scale(), executed("auto", network)
    return Job(
        kind=config.model.name,
        network=network,
        samples=samples,
        steps=settings.steps,
        rates=rates,
        updates=adam_updates(network, rates, settings.betas),
        gradients=partial(GRADIENTS[execution], network, end_point_error, loss_scale=loss_scale),
        validate=_validation(network, data),
        average=Average.wanted(network, settings.average),
        mean_over_ranks=execution in MEAN_OVER_RANKS,
        loss_scale=loss_scale,
    )


def end_point_error(flows: Sequence[Tensor], truth: Tensor) -> Tensor:
    """Mean end-point error in pixels of full size, summed over the scales.

    Args:
        flows: (B, 2, H, W), (B, 2, H / 2, W / 2), ..., each in pixels of its own scale.
        truth: (B, 2, H, W).
    """
    total = 0.0
    for flow in flows:
        scale = truth.shape[2] // flow.shape[2]
        target = truth if scale == 1 else ops.avg_pool2d(truth, scale, scale)
        error = scale * flow - target
        total = total + ops.sqrt((error * error).sum(1) + EPSILON).mean()
    return total


def _validation(network: nn.Cell, data: FlowData) -> Callable[[Show], float]:
    """Return a function that gives the PSNR, in dB, of held-out neighbours warped along the flow against the images, and shows
    the first of them: neighbour, warped, image. It prints at once the PSNR of neighbours that are not warped, which a network
    that finds no motion reaches too.
    """
    samples = FlowSamples(data.patch, seed=VALIDATION_SEED, photographs=HELD_OUT_PHOTOGRAPHS, scale=data.scale)
    _, images, neighbours = (np.stack(arrays) for arrays in zip(*(samples[number] for number in range(VALIDATION_PAIRS))))
    print(f"Held-out neighbours that are not warped: {psnr(neighbours, images, channel_axis=1):.2f} dB.")

    def validate(show: Show = nobody) -> float:
        flow = network(Tensor(images), Tensor(neighbours))[0]
        warped = warp(Tensor(neighbours), flow, "border").numpy()
        show("neighbours", [neighbours[0], warped[0], images[0]])
        return psnr(warped, images, channel_axis=1)

    return validate
