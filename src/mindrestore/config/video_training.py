"""How networks that restore videos are trained; the defaults are VRT's published recipe."""
from typing import List, Literal, Optional, Tuple

from pydantic import Field, model_validator

from mindrestore.config.sections import Count, Rate, Schedule, Section, Training


class VideoData(Section):
    """Clips to train on: stored in folders or LMDBs, or rendered from photographs."""

    kind: Literal["stored", "rendered"] = "stored"
    gt: Optional[str] = Field(None, description="ground truth: folder of clips or LMDB; needed where clips are stored")
    lq: Optional[str] = Field(None, description="low quality, likewise; if left out, what lies beside ground truth in a clip "
                              "(GoPro, DVD), or made from it")
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
    def _rises(self):
        if not 0 <= self.sigma[0] <= self.sigma[1] <= 255:
            raise ValueError(f"sigma is {list(self.sigma)}; it must rise, within 0 to 255")
        return self


class VideoTraining(Training):
    """``batch_size`` is the total over all devices; ``initial`` may be a checkpoint of another task."""

    steps: Count = 300_000
    batch_size: Count = 8
    learning_rate: Rate = 4e-4
    betas: Tuple[float, float] = (0.9, 0.99)
    schedule: Schedule = Schedule(kind="cosine", final=1e-7)
    frozen: List[str] = Field([], description="parameters whose names contain one of these are not trained at all")
    execution: Literal["auto", "whole", "stages", "groups", "pieces"] = Field(
        "auto", description="of a step: as one graph; piece by piece, of which, of groups of them or of whole stages nothing "
        "is kept but what goes in: the larger, the less memory; auto: pieces on a CPU, else one graph")
    loss: Literal["charbonnier"] = "charbonnier"
    average: Optional[float] = Field(None, gt=0, lt=1, description="decay of a running average of the weights (EMA)")
    validate_every: Count = 5000
    save_every: Count = 5000
    log_every: Count = 100
