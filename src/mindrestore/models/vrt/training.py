"""What VRT adds to training: stochastic depth, late training of SpyNet and alignment, recomputation.

Source: arXiv 2201.12288, section 4, and its training code.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from mindrestore.errors import UserError
from mindrestore.models.kind import Samples
from mindrestore.sections import Section

if TYPE_CHECKING:
    from mindspore import Parameter, Tensor

    from mindrestore.models.kind import Gradients, GradientsOf
    from mindrestore.models.vrt.network import VRT

LATE = ("spynet", "deform")  # in the names of parameters that are frozen at first
FLOW = "spynet."  # prefix of the names of SpyNet's parameters
Stages = list[Annotated[int, Field(ge=0)]]


class Recompute(Section):
    """Gradient checkpointing (arXiv 1604.06174): parts whose inputs alone are stored, computed a second time on the way back.

    The lists hold stages, counted from 0 as in ``model.indep_reconsts``: 0 to 6, then the groups of stage 8.
    """

    attention: Stages = []
    mlp: Stages = []
    second_groups: bool = Field(False, description="attention of the second group of blocks in each of stages 0 to 6 as well")


class VRTTrainingKeys(Section):
    """Keys of VRT's own in the section ``training``; the defaults are the published recipe."""

    flow_frozen_steps: int = Field(20_000, ge=0, description="steps before SpyNet and alignment are trained too")
    flow_rate: float = Field(
        0.125, gt=0, description="their highest learning rate over that of the rest; a cosine ends both alike"
    )
    recompute: Recompute = Recompute()
    initial_flow: str | None = Field(None, description="weights of SpyNet to start from")


def is_late(name: str) -> bool:
    """Tell whether a parameter belongs to SpyNet or the alignment, which are frozen at first."""
    return any(part in name for part in LATE)


def refuse_untrained_flow(network: VRT, training: VRTTrainingKeys, loaded: Collection[str]) -> None:
    """Raise ``UserError`` if an untrained SpyNet would be frozen, at first or throughout.

    Alignment may be frozen untrained: its first offsets are zero, so it follows the flows.

    Args:
        network: ``VRT`` before its first step, some of its parameters frozen.
        training: section of the configuration.
        loaded: names of the parameters that were read from files.
    """
    flow = [
        parameter for parameter in network.get_parameters() if parameter.name.startswith(FLOW) and parameter.name not in loaded
    ]
    never = any(not parameter.requires_grad for parameter in flow)
    if flow and (never or training.flow_frozen_steps):
        setting = "training.frozen" if never else f"training.flow_frozen_steps={training.flow_frozen_steps}"
        raise UserError(
            f"{setting} freezes SpyNet, which finds motion, and {len(flow)} of its parameters are untrained; give them with "
            "training.initial_flow=FILE, the published file (spynet_sintel_final-3d2a1287.pth, trained on Sintel) or your own "
            "(python train.py --config configs/vrt/small_flow.yaml makes runs/vrt_small_flow/last.ckpt), or train SpyNet from "
            "the first step on with training.flow_frozen_steps=0 'training.frozen=[]'."
        )


class DroppingSamples:
    """Samples, each with the multipliers of stochastic depth (arXiv 1603.09382): 0 (dropped) or 1 / keep probability.

    Args:
        samples: ``VideoSamples``.
        drop_rates: of each block, for its two multipliers, of attention and of the MLP.
    """

    def __init__(self, samples: Samples, drop_rates: Sequence[float]) -> None:
        self.samples, self.keep = samples, 1 - np.repeat(np.asarray(drop_rates, np.float32), 2)
        self.columns, self.seed = (*samples.columns, "multipliers"), samples.seed
        self.holds_lock = False  # this class comes with MindSpore, which processes that make samples do not load

    def __len__(self) -> int:
        return len(self.samples)

    def name(self, number: int) -> str:
        return self.samples.name(number)

    def __getitem__(self, number: int) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng([self.seed, number, len(self.keep)])
        return (*self.samples[number], (rng.random(self.keep.shape, np.float32) < self.keep) / self.keep)


def dropping_gradients(network: VRT, gradients: GradientsOf) -> GradientsOf:
    """Adapt ``gradients`` to samples of ``DroppingSamples``, whose last input is the multipliers (``VRT.dropping``)."""

    def of_parameters(parameters: Sequence[Parameter]) -> Gradients:
        of_network = gradients(parameters)

        def value_and_gradients(target: Tensor, clip: Tensor, multipliers: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
            with network.dropping(multipliers):
                return of_network(target, clip)

        return value_and_gradients

    return of_parameters
