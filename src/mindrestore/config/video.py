"""Configurations of networks that restore videos; the defaults of their training are VRT's published recipe."""

from functools import cache
from typing import ClassVar, Literal

from pydantic import Field, create_model, model_validator

from mindrestore.config.sections import Common, Count, Photographs, Rate, Schedule, Section, Seed, Sizes, Training, section
from mindrestore.data.named_sets import DEMO, SETS
from mindrestore.models.kind import NetworkKind
from mindrestore.models.settings import Settings
from mindrestore.tiling import BLENDS, PUBLISHED


class VideoData(Section):
    """Clips to train on: stored in folders or LMDBs, or rendered from photographs."""

    kind: Literal["stored", "rendered"] = "stored"
    gt: str | None = Field(None, description="ground truth: folder of clips or LMDB; needed where clips are stored")
    lq: str | None = Field(
        None,
        description="low quality, likewise; if left out, what lies beside ground truth in a clip (GoPro, DVD), or made from it",
    )
    list: str | None = Field(None, description="list of the clips to use")
    held_out: Literal["none", "reds4", "official"] = "none"
    frames: int = Field(6, ge=1)
    pad_frames: int | None = Field(None, ge=1, description="repeat the last frame up to so many")
    patch: int = Field(256, ge=16, description="height and width of ground truth")
    sigma: tuple[float, float] = (0, 50)
    time_reversal: bool = False
    colour_jitter: bool = False
    clips: int = Field(1000, ge=1, description="rendered clips that count as a pass")
    defocus: float = Field(0.0, ge=0, description="of half of the rendered clips, up to so many pixels (standard deviation)")
    photographs: Photographs

    @model_validator(mode="after")
    def _rises(self) -> "VideoData":
        if not 0 <= self.sigma[0] <= self.sigma[1] <= 255:
            raise ValueError(f"sigma is {list(self.sigma)}; it must rise, within 0 to 255")
        return self


class VideoTraining(Training):
    """``batch_size`` is the total over all devices; ``initial`` may be a checkpoint of another task."""

    steps: Count = 300_000
    batch_size: Count = 8
    learning_rate: Rate = 4e-4
    betas: tuple[float, float] = (0.9, 0.99)
    schedule: Schedule = Schedule(kind="cosine", final=1e-7)
    frozen: list[str] = Field([], description="parameters whose names contain one of these are not trained at all")
    execution: Literal["auto", "whole", "stages", "groups", "pieces"] = Field(
        "auto",
        description="of a step: as one graph; piece by piece, of which, of groups of them or of whole stages nothing "
        "is kept but what goes in: the larger, the less memory; auto: pieces, on Ascend one graph",
    )
    loss: Literal["charbonnier"] = "charbonnier"
    validate_every: Count = 5000
    save_every: Count = 5000
    log_every: Count = 100


TASKS = ("sr", "deblur", "denoise", "interpolate", "space-time-sr")


class Tiling(Section):
    """Tiles that a clip is restored in, as (frames, height, width); 0 is the whole axis."""

    tile: Sizes = list(PUBLISHED.tile)
    overlap: Sizes = list(PUBLISHED.overlap)
    blend: Literal[tuple(BLENDS)] = "published"


class Interpolation(Section):
    """The network that doubles the frame rate before ``model`` upscales: together, space-time super-resolution."""

    model: Settings
    tiling: Tiling = Tiling(tile=[0, 0, 0])
    checkpoint: str | None = None


class VideoEvaluation(Section):
    """Clips to score on: a data set as it is unpacked, at ``path``, folders of one's own, at ``gt`` and ``lq``, or the
    demonstration scenes.

    Without low quality it is made from ground truth; without ground truth frames are restored and nothing is scored.
    """

    set: Literal[("folder", DEMO, *SETS)] = "folder"
    path: str | None = Field(None, description="folder of the data set")
    gt: str | None = Field(None, description="ground truth: frames, a video, or a folder of such clips")
    lq: str | None = Field(None, description="low quality, likewise")
    clips: list[str] | None = Field(None, min_length=1, description="only these")
    frames: int | None = Field(None, ge=1, description="only the first so many of each clip")
    degradation: Literal["bicubic", "gaussian", "blur", "noise"] | None = Field(
        None, description="of the set's low quality, or to make it by; bicubic, blur or noise by the task"
    )
    sigma: float | None = Field(None, ge=0, le=255, description="noise level of denoising, for white = 255")
    seed: Seed = 0
    ensemble: bool = Field(False, description="average over mirror images and the reversal in time, in eight times the time")
    save_frames: bool = False


class VideoConfig(Common):
    """A whole configuration file of a network that restores videos."""

    problem: ClassVar[str] = "video"

    tiling: Tiling = Tiling()
    interpolation: Interpolation | None = None
    data: VideoData | None = None
    evaluation: VideoEvaluation = VideoEvaluation()
    training: VideoTraining = VideoTraining()
    published: str | None = Field(None, description="published figure and its source, printed beside the result")

    @property
    def task(self) -> str:
        """Return one of ``TASKS``."""
        return "space-time-sr" if self.interpolation else self.model.abilities.tasks[0]

    @property
    def scale(self) -> int:
        """Return the factor by which height and width grow."""
        return self.model.abilities.scale

    @property
    def degradation(self) -> str | None:
        """Return how low quality is made, or called in a data set; None for interpolation, which leaves frames out."""
        by_task = {"sr": "bicubic", "space-time-sr": "bicubic", "deblur": "blur", "denoise": "noise"}
        return self.evaluation.degradation or by_task.get(self.task)

    @model_validator(mode="after")
    def _fits(self) -> "VideoConfig":
        reduces = self.evaluation.degradation in ("bicubic", "gaussian")
        allowed = {
            "sr": reduces,
            "space-time-sr": reduces,
            "deblur": self.evaluation.degradation == "blur",
            "denoise": self.evaluation.degradation == "noise",
            "interpolate": False,
        }
        if self.evaluation.degradation and not allowed[self.task]:
            raise ValueError(
                f"evaluation.degradation is {self.evaluation.degradation!r}, which does not belong to the task {self.task}"
            )
        parts = [part.model.abilities.tasks[0] for part in (self.interpolation, self) if part]
        if self.interpolation and parts != ["interpolate", "sr"]:
            raise ValueError("interpolation.model must interpolate (pa_frames 0, no nonblind_denoising) and model upscale")
        if self.evaluation.sigma is not None and self.task != "denoise":
            raise ValueError(f"evaluation.sigma is for denoising; the task is {self.task}")
        self.model.check_training(self.training)
        return self

    @classmethod
    @cache
    def with_interpolation(cls, kind: NetworkKind) -> type["VideoConfig"]:
        """Return this class with the settings of a ``NetworkKind`` for the network that interpolates."""
        interpolation = create_model(
            "Interpolation", __base__=Interpolation, __doc__=Interpolation.__doc__, model=section(kind.settings)
        )
        return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, interpolation=(interpolation | None, None))
