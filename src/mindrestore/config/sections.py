"""What all configurations share: strict sections, the device, the learning rate."""
from typing import Annotated, List, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Typed keys; an unknown one is refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


Sizes = Annotated[List[Annotated[int, Field(ge=0)]], Field(min_length=3, max_length=3)]  # (frames, height, width)


class Schedule(Section):
    """Learning rate: constant, ``rate * factor ** (epoch // every_epochs)``, or cosine to ``final``."""

    kind: Literal["constant", "step", "cosine"] = "constant"
    factor: float = Field(0.95, gt=0, le=1)
    every_epochs: int = Field(5, ge=1)
    final: float = Field(0.0, ge=0)
    warmup_steps: int = Field(0, ge=0)


class Runtime(Section):
    device: Literal["auto", "cpu", "gpu", "ascend"] = "auto"
    mode: Literal["graph", "pynative"] = "graph"
    threads: Optional[int] = Field(None, ge=1)


class Common(Section):
    """The keys at the top of every configuration file."""

    name: str
    runtime: Runtime = Runtime()
    output: Optional[str] = Field(None, description="folder of results; runs/<name> when training")
    checkpoint: Optional[str] = Field(None, description="weights to evaluate")
