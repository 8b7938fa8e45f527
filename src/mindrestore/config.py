"""Settings: read from YAML, overridden from the command line, checked against typed fields.

An unknown key or an impossible value is a ``UserError`` that names the key, and the nearest known one.
"""
import difflib
from pathlib import Path
from typing import List, Literal, Optional

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mindrestore.errors import UserError
from mindrestore.files import existing


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Model(Section):
    """Settings of ``mindrestore.models.create_model``."""

    name: Literal["revsci"] = "revsci"
    blocks: int = Field(50, ge=1)
    groups: int = Field(2, ge=2)
    coupling: Literal["two_way", "multi_group"] = "two_way"
    colour: bool = False
    channels: int = Field(64, ge=8)
    start: Literal["normalised", "gap_tv"] = "normalised"

    def network_settings(self):
        return self.model_dump(exclude={"name"})


class Mask(Section):
    """Either a file, or random masks: ``fixed`` draws one for the whole run, otherwise each clip gets its own."""

    path: Optional[str] = None
    density: float = Field(0.5, gt=0, lt=1)
    fixed: bool = False
    seed: int = 0


class Measure(Section):
    """Imperfections of the sensor: read noise in units of one frame's white, and bits of the converter."""

    read_noise: float = Field(0.0, ge=0)
    bits: Optional[int] = Field(None, ge=1, le=16)


class Data(Section):
    """Clips to train on."""

    kind: Literal["rendered", "davis", "scenes"] = "rendered"
    path: Optional[str] = None
    frames: int = Field(8, ge=1)
    size: int = Field(256, ge=8)
    clips: int = Field(1000, ge=1, description="rendered clips that count as an epoch")

    @model_validator(mode="after")
    def _has_path(self):
        if self.kind != "rendered" and not self.path:
            raise ValueError(f"path is missing: data of kind {self.kind} are read from a folder")
        return self


class Evaluation(Section):
    """Scenes to score on: the rendered demonstration scenes, a folder of benchmark scenes, or a camera's captures."""

    kind: Literal["demo", "scenes", "captures"] = "demo"
    path: Optional[str] = None
    frames: int = Field(8, ge=1)
    gap_tv: bool = Field(False, description="score GAP-TV beside the network")
    gap_tv_iterations: int = Field(100, ge=1)


class Schedule(Section):
    """Learning rate: constant, ``rate * factor ** (epoch // every_epochs)``, or cosine to ``final``."""

    kind: Literal["constant", "step", "cosine"] = "constant"
    factor: float = Field(0.95, gt=0, le=1)
    every_epochs: int = Field(5, ge=1)
    final: float = Field(0.0, ge=0)
    warmup_steps: int = Field(0, ge=0)


class Training(Section):
    mode: Literal["plain", "reversible"] = "reversible"
    epochs: int = Field(100, ge=1)
    steps: Optional[int] = Field(None, ge=1, description="instead of epochs")
    batch_size: int = Field(3, ge=1)
    accumulation: int = Field(1, ge=1, description="parts a batch is worked off in")
    learning_rate: float = Field(2e-4, gt=0)
    schedule: Schedule = Schedule()
    loss: Literal["mse", "sqrt_mse"] = "mse"
    clip_norm: Optional[float] = Field(None, gt=0)
    seed: int = 0
    validate_every: int = Field(1000, ge=1, description="steps")
    save_every: int = Field(1000, ge=1, description="steps")
    log_every: int = Field(10, ge=1, description="steps")
    initial: Optional[str] = Field(None, description="checkpoint to start from")

    @model_validator(mode="after")
    def _divides(self):
        if self.batch_size % self.accumulation:
            raise ValueError(f"accumulation is {self.accumulation}; it must divide the batch size {self.batch_size}")
        return self


class Runtime(Section):
    device: Literal["auto", "cpu", "gpu", "ascend"] = "auto"
    mode: Literal["graph", "pynative"] = "graph"
    threads: Optional[int] = Field(None, ge=1)


class Config(Section):
    """A whole configuration file."""

    name: str
    model: Model = Model()
    mask: Mask = Mask()
    measure: Measure = Measure()
    data: Data = Data()
    evaluation: Evaluation = Evaluation()
    training: Training = Training()
    runtime: Runtime = Runtime()
    output: Optional[str] = Field(None, description="folder of results; runs/<name> when training")
    checkpoint: Optional[str] = Field(None, description="weights to evaluate")


def load_config(path, overrides=()):
    """Read a configuration file and apply overrides such as ``training.steps=100``.

    Raises:
        UserError: a missing or unreadable file, an unknown key, or a value that cannot be.
    """
    path = existing(path, "configuration file")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a readable YAML file ({reason}).") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values such as 'name: my_run', found {type(content).__name__}.")
    content.setdefault("name", Path(path).stem)
    return make_config(content, overrides, path)


def make_config(content, overrides=(), origin="settings"):
    """Check a nested dictionary of settings, after applying overrides; raises ``UserError`` naming ``origin``."""
    for override in overrides:
        _apply(content, override)
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{origin}: {_sentence(error.errors()[0])}.") from error


def _apply(content, override):
    key, equals, text = override.partition("=")
    parts = key.split(".")
    if not equals or not all(parts):
        raise UserError(f"{override!r}: an override is written key=value, such as training.steps=100.")
    for part in parts[:-1]:
        content = content.setdefault(part, {})
        if not isinstance(content, dict):
            raise UserError(f"{override!r}: {part} holds a value, not further keys.")
    try:
        content[parts[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{override!r}: the value is not readable as YAML.") from error


def _sentence(error):
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = list(_fields(error["loc"][:-1]))
        near = difflib.get_close_matches(str(error["loc"][-1]), known, 1, 0.4)
        hint = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"
        return f"unknown key {key} ({hint})"
    message = error["msg"].removeprefix("Value error, ")
    return f"{key}: {message}" if error["type"] == "value_error" else f"{key} is {error['input']!r}: {message}"


def _fields(location) -> List[str]:
    section = Config
    for part in location:
        section = section.model_fields[part].annotation
    return section.model_fields
