"""How VRT is trained; the defaults are the published recipe."""
from typing import Literal, Optional, Tuple

from pydantic import Field, model_validator

from mindrestore.config.sections import Schedule, Section


class VideoData(Section):
    """Clips to train on: stored in folders or LMDBs, or rendered from photographs."""

    kind: Literal["stored", "rendered"] = "stored"
    gt: Optional[str] = Field(None, description="ground truth: folder of clips or LMDB")
    lq: Optional[str] = Field(None, description="low quality, likewise; made from ground truth if left out")
    list: Optional[str] = Field(None, description="list of the clips to use")
    held_out: Literal["none", "reds4", "official"] = "none"
    frames: int = Field(6, ge=1)
    pad_frames: Optional[int] = Field(None, ge=1, description="repeat the last frame up to so many")
    patch: int = Field(256, ge=16, description="height and width of ground truth")
    sigma: Tuple[float, float] = (0, 50)
    time_reversal: bool = False
    colour_jitter: bool = False
    clips: int = Field(1000, ge=1, description="rendered clips that count as a pass")

    @model_validator(mode="after")
    def _has_path(self):
        if self.kind == "stored" and not self.gt:
            raise ValueError("gt is missing: the folder of clips, or the LMDB, to train on")
        if not 0 <= self.sigma[0] <= self.sigma[1] <= 255:
            raise ValueError(f"sigma is {list(self.sigma)}; it must rise, within 0 to 255")
        return self


class VideoTraining(Section):
    """``batch_size`` is the total over all devices."""

    steps: int = Field(300_000, ge=1)
    batch_size: int = Field(8, ge=1)
    accumulation: int = Field(1, ge=1, description="parts a batch is worked off in")
    learning_rate: float = Field(4e-4, gt=0)
    betas: Tuple[float, float] = (0.9, 0.99)
    schedule: Schedule = Schedule(kind="cosine", final=1e-7)
    flow_frozen_steps: int = Field(20_000, ge=0, description="steps before SpyNet and alignment are trained too")
    flow_rate: float = Field(0.125, gt=0, description="their learning rate over that of the rest")
    loss: Literal["charbonnier"] = "charbonnier"
    clip_norm: Optional[float] = Field(None, gt=0)
    average: Optional[float] = Field(None, gt=0, lt=1, description="decay of a running average of the weights (EMA)")
    seed: int = 0
    validate_every: int = Field(5000, ge=1, description="steps")
    save_every: int = Field(5000, ge=1, description="steps")
    log_every: int = Field(100, ge=1, description="steps")
    initial: Optional[str] = Field(None, description="checkpoint to start from, also of another task")
    initial_flow: Optional[str] = Field(None, description="weights of SpyNet to start from")

    @model_validator(mode="after")
    def _divides(self):
        if self.batch_size % self.accumulation:
            raise ValueError(f"accumulation is {self.accumulation}; it must divide the batch size {self.batch_size}")
        return self
