"""What all configurations share: the network, the device, learning rate and steps of training."""

from functools import cache
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model, model_validator

from mindrestore.data.photographs import TRAIN_PHOTOGRAPHS
from mindrestore.models.kind import NetworkKind
from mindrestore.models.settings import Settings
from mindrestore.sections import Section

Sizes = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=3, max_length=3)]  # (frames, height, width)
Photographs = Annotated[
    list[Literal[TRAIN_PHOTOGRAPHS]],
    Field(default_factory=lambda: [*TRAIN_PHOTOGRAPHS], min_length=1, description="that clips are rendered from"),
]


class Schedule(Section):
    """Learning rate: constant, ``rate * factor ** (epoch // every_epochs)``, or cosine to ``final``."""

    kind: Literal["constant", "step", "cosine"] = "constant"
    factor: float = Field(0.95, gt=0, le=1)
    every_epochs: int = Field(5, ge=1)
    final: float = Field(0.0, ge=0)
    warmup_steps: int = Field(0, ge=0)


Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Training(Section):
    """Keys of every training; where there is no default here, each problem has its own."""

    batch_size: Count
    accumulation: Count = Field(1, description="parts a batch is worked off in")
    learning_rate: Rate
    schedule: Schedule
    workers: Count = Field(1, description="samples that a process makes at a time")
    clip_norm: Rate | None = None
    seed: Seed = 0
    average: float | None = Field(None, gt=0, lt=1, description="decay of a running average of the weights (EMA)")
    validate_every: Count = Field(description="steps")
    save_every: Count = Field(description="steps")
    log_every: Count = Field(description="steps")
    keep: int = Field(0, ge=0, description="networks of former saves to keep, as step_N.ckpt")
    initial: str | None = Field(None, description="checkpoint to start from")

    @model_validator(mode="after")
    def _divides(self) -> "Training":
        if self.batch_size % self.accumulation:
            raise ValueError(f"accumulation is {self.accumulation}; it must divide the batch size {self.batch_size}")
        return self


class Runtime(Section):
    """On what a run computes, and how."""

    device: Literal["auto", "cpu", "gpu", "ascend"] = "auto"
    mode: Literal["graph", "pynative"] = "graph"
    threads: int | None = Field(None, ge=1)
    precision: Literal["float32", "float16"] = Field("float32", description="of matrix products and convolutions")
    native: bool = Field(True, description="operators of our own on a CPU, where there is a C++ compiler")


class Common(Section):
    """The keys at the top of every configuration file.

    A subclass is of the configurations of one ``problem``; ``of_kind`` makes of it that of one kind of network.
    """

    problem: ClassVar[str]

    name: str
    model: Settings
    training: Training
    runtime: Runtime = Runtime()
    output: str | None = Field(None, description="folder of results; runs/<name> when training")
    checkpoint: str | None = Field(None, description="weights to evaluate")

    @classmethod
    @cache
    def of_kind(cls, kind: NetworkKind) -> type["Common"]:
        """Return this class with the settings of a ``NetworkKind`` as section ``model``, and its keys in ``training``."""
        training = cls.model_fields["training"].annotation
        if kind.training_keys:
            training = create_model(training.__name__, __base__=(kind.training_keys, training))
        return create_model(
            cls.__name__, __base__=cls, __doc__=cls.__doc__, model=section(kind.settings), training=section(training)
        )


def section(keys: type[Section]) -> tuple[type[Section], Any]:
    """Return (type, default) of a section as pydantic's ``create_model`` takes it: each key has its default."""
    return keys, Field(default_factory=keys)
