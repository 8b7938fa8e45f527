"""Configurations of networks that restore videos."""
from functools import cache
from typing import ClassVar, List, Literal, Optional

from pydantic import Field, create_model, model_validator

from mindrestore.config.sections import Common, Section, Sizes, section
from mindrestore.config.video_training import VideoData, VideoTraining
from mindrestore.models.settings import Settings

TASKS = ("sr", "deblur", "denoise", "interpolate", "space_time_sr")


class Tiling(Section):
    """What the network is given at a time, as (frames, height, width); 0 is all there are."""

    tile: Sizes = [12, 256, 256]
    overlap: Sizes = [2, 20, 20]
    blend: Literal["published", "feathered"] = "published"


class Interpolation(Section):
    """The network that doubles the frame rate before ``model`` upscales: together, space-time super-resolution."""

    model: Settings
    tiling: Tiling = Tiling(tile=[0, 0, 0])
    checkpoint: Optional[str] = None


class VideoEvaluation(Section):
    """Clips to score on: a data set as it is unpacked, at ``path``, folders of one's own, at ``gt`` and ``lq``, or the
    demonstration scenes.

    Without low quality it is made from ground truth; without ground truth frames are restored and nothing is scored.
    """

    set: Literal["folder", "demo", "reds4", "vid4", "udm10", "vimeo90k", "dvd", "gopro", "set8", "davis", "ucf101"] = "folder"
    path: Optional[str] = Field(None, description="folder of the data set")
    gt: Optional[str] = Field(None, description="ground truth: frames, a video, or a folder of such clips")
    lq: Optional[str] = Field(None, description="low quality, likewise")
    clips: Optional[List[str]] = Field(None, min_length=1, description="only these")
    frames: Optional[int] = Field(None, ge=1, description="only the first so many of each clip")
    degradation: Optional[Literal["bicubic", "gaussian", "blur", "noise"]] = Field(
        None, description="of the set's low quality, or to make it by; bicubic, blur or noise by the task")
    sigma: Optional[float] = Field(None, ge=0, le=255, description="noise level of denoising, for white = 255")
    seed: int = 0
    save_frames: bool = False


class VideoConfig(Common):
    """A whole configuration file of a network that restores videos."""

    problem: ClassVar[str] = "video"

    tiling: Tiling = Tiling()
    interpolation: Optional[Interpolation] = None
    data: Optional[VideoData] = None
    evaluation: VideoEvaluation = VideoEvaluation()
    training: VideoTraining = VideoTraining()
    published: Optional[str] = Field(None, description="published figure and its source, printed beside the result")

    @property
    def task(self):
        """One of ``TASKS``."""
        return "space_time_sr" if self.interpolation else self.model.abilities.tasks[0]

    @property
    def scale(self):
        """How many times the height and width of what is given are restored."""
        return self.model.abilities.scale

    @property
    def degradation(self):
        """How low quality is made, or called in a data set; None for interpolation, which leaves frames out."""
        by_task = {"sr": "bicubic", "space_time_sr": "bicubic", "deblur": "blur", "denoise": "noise"}
        return self.evaluation.degradation or by_task.get(self.task)

    @model_validator(mode="after")
    def _fits(self):
        reduces = self.evaluation.degradation in ("bicubic", "gaussian")
        allowed = {"sr": reduces, "space_time_sr": reduces, "deblur": self.evaluation.degradation == "blur",
                   "denoise": self.evaluation.degradation == "noise", "interpolate": False}
        if self.evaluation.degradation and not allowed[self.task]:
            raise ValueError(f"evaluation.degradation is {self.evaluation.degradation!r}, which does not belong to the "
                             f"task {self.task}")
        parts = [part.model.abilities.tasks[0] for part in (self.interpolation, self) if part]
        if self.interpolation and parts != ["interpolate", "sr"]:
            raise ValueError("interpolation.model must interpolate (pa_frames 0, no nonblind_denoising) and model upscale")
        if self.evaluation.sigma is not None and self.task != "denoise":
            raise ValueError(f"evaluation.sigma is for denoising; the task is {self.task}")
        self.model.check_training(self.training)
        return self

    @classmethod
    @cache
    def with_interpolation(cls, kind):
        """Return this class with the settings of a ``NetworkKind`` for the network that interpolates."""
        interpolation = create_model("Interpolation", __base__=Interpolation, __doc__=Interpolation.__doc__,
                                     model=section(kind.settings))
        return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, interpolation=(Optional[interpolation], None))
