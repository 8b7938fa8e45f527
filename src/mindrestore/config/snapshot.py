"""Configurations of networks that reconstruct clips from coded snapshots."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from mindrestore.config.sections import Common, Count, Photographs, Rate, Schedule, Section, Seed, Training


class Mask(Section):
    """A mask from a file, or random ones: with ``fixed`` one for the whole run, otherwise one for each clip."""

    path: str | None = None
    density: float = Field(0.5, gt=0, lt=1)
    fixed: bool = False
    seed: Seed = 0


class Measure(Section):
    """Imperfections of the sensor: read noise in units of one frame's white, and bits of the converter."""

    read_noise: float = Field(0.0, ge=0)
    bits: int | None = Field(None, ge=1, le=16)


class Data(Section):
    """Clips to train on."""

    kind: Literal["rendered", "davis", "scenes"] = "rendered"
    path: str | None = None
    frames: int = Field(8, ge=1)
    size: int = Field(256, ge=8)
    view: Literal["scaled", "stretched", "whole"] = Field(
        "scaled",
        description="of stored frames (mindrestore.data.augmentation): a part at nearly its size; a part of any "
        "sides, stretched; all of them, stretched",
    )
    clips: int = Field(1000, ge=1, description="rendered clips that count as an epoch")
    defocus: float = Field(0.0, ge=0, description="of half of the rendered clips, up to so many pixels (standard deviation)")
    photographs: Photographs

    @model_validator(mode="after")
    def _has_path(self) -> "Data":
        if self.kind != "rendered" and not self.path:
            raise ValueError(f"path is missing: data of kind {self.kind} are read from a folder")
        if self.kind == "rendered" and self.view != "scaled":
            raise ValueError(f"view is {self.view!r}, which is for stored frames; rendered clips are made in their size")
        return self


class Evaluation(Section):
    """Scenes to score on: the rendered demonstration scenes, a folder of benchmark scenes, or a camera's captures."""

    kind: Literal["demo", "scenes", "captures"] = "demo"
    path: str | None = None
    frames: int = Field(8, ge=1)
    gap_tv: bool = Field(False, description="score GAP-TV beside the network")
    gap_tv_iterations: int = Field(100, ge=1)
    ensemble: bool = Field(False, description="average over mirror images and the reversal in time, in eight times the time")


class SnapshotTraining(Training):
    """The defaults are the recipe of the RevSCI paper's own code."""

    epochs: Count = 100
    steps: Count | None = Field(None, description="instead of epochs")
    batch_size: Count = 3
    learning_rate: Rate = 2e-4
    schedule: Schedule = Schedule(kind="step")
    loss: Literal["mse", "sqrt_mse"] = "mse"
    renew_optimiser: bool = Field(False, description="Adam begins anew with every epoch, as in the paper's own code")
    validate_every: Count = 1000
    save_every: Count = 1000
    log_every: Count = 10


class SnapshotConfig(Common):
    """A whole configuration file of a network that reconstructs from snapshots."""

    problem: ClassVar[str] = "snapshot"

    mask: Mask = Mask()
    measure: Measure = Measure()
    data: Data = Data()
    evaluation: Evaluation = Evaluation()
    training: SnapshotTraining = SnapshotTraining()
