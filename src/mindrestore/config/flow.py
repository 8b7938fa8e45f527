"""Configurations of networks that estimate flow, which are trained before the network that they are a part of."""

from typing import ClassVar

from pydantic import Field

from mindrestore.config.sections import Common, Count, Photographs, Rate, Schedule, Section, Training


class FlowData(Section):
    """Pairs of rendered frames, whose motion is known."""

    patch: int = Field(64, ge=32, multiple_of=32, description="height and width")
    sigma: float = Field(0.0, ge=0, le=255, description="largest noise level, of half of the pairs, for white = 255")
    scale: Count = Field(1, description="largest factor by which frames are reduced, as super-resolution sees them")
    photographs: Photographs
    clips: Count = Field(1000, description="pairs that count as a pass")


class FlowTraining(Training):
    """``batch_size`` is the total over all devices."""

    steps: Count = 1000
    batch_size: Count = 8
    learning_rate: Rate = 4e-4
    betas: tuple[float, float] = (0.9, 0.99)
    schedule: Schedule = Schedule(kind="cosine", final=1e-6)
    validate_every: Count = 250
    save_every: Count = 250
    log_every: Count = 25


class FlowConfig(Common):
    """A whole configuration file of a network that finds motion."""

    problem: ClassVar[str] = "flow"

    data: FlowData = FlowData()
    training: FlowTraining = FlowTraining()
