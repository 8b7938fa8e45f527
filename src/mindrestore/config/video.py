"""Configurations of VRT, which restores videos."""
from typing import Annotated, List, Literal, Optional

from pydantic import Field, model_validator

from mindrestore.config.sections import Common, Section, Sizes
from mindrestore.config.video_training import VideoData, VideoTraining

Counts = List[Annotated[int, Field(ge=1)]]  # one a stage
TASKS = ("sr", "deblur", "denoise", "interpolate", "space_time_sr")


class VideoModel(Section):
    """Settings of ``mindrestore.models.create_model("vrt")``, which checks how they fit each other; the defaults are
    those of published task 001.
    """

    name: Literal["vrt"] = "vrt"
    upscale: Literal[1, 2, 3, 4, 8] = 4
    in_chans: int = Field(3, ge=1)
    out_chans: int = Field(3, ge=1)
    img_size: Sizes = [6, 64, 64]
    window_size: Sizes = [6, 8, 8]
    depths: Counts = [8] * 7 + [4] * 6
    indep_reconsts: List[int] = [11, 12]
    embed_dims: Counts = [120] * 7 + [180] * 6
    num_heads: Counts = [6] * 13
    mul_attn_ratio: float = Field(0.75, ge=0, le=1)
    mlp_ratio: float = Field(2.0, gt=0)
    qkv_bias: bool = True
    qk_scale: Optional[float] = None
    drop_path_rate: float = Field(0.2, ge=0, lt=1)
    pa_frames: Literal[0, 2, 4, 6] = Field(2, description="0: none, which interpolates, or denoises without flows")
    deformable_groups: int = Field(12, ge=1)
    num_feat: int = Field(64, ge=1, description="channels at the size of the result")
    nonblind_denoising: bool = False

    def network_settings(self):
        return self.model_dump(exclude={"name"})

    @property
    def task(self):
        """What such a network is for: one of ``TASKS`` but the last."""
        if self.upscale > 1:
            return "sr"
        if self.nonblind_denoising:
            return "denoise"
        return "interpolate" if self.pa_frames == 0 else "deblur"


class Tiling(Section):
    """What the network is given at a time, as (frames, height, width); 0 is all there are."""

    tile: Sizes = [12, 256, 256]
    overlap: Sizes = [2, 20, 20]
    blend: Literal["published", "feathered"] = "published"


class Interpolation(Section):
    """The network that doubles the frame rate before ``model`` upscales: together, space-time super-resolution."""

    model: VideoModel
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
    """A whole configuration file of VRT."""

    model: VideoModel = VideoModel()
    tiling: Tiling = Tiling()
    interpolation: Optional[Interpolation] = None
    data: Optional[VideoData] = None
    evaluation: VideoEvaluation = VideoEvaluation()
    training: VideoTraining = VideoTraining()
    published: Optional[str] = Field(None, description="published figure and its source, printed beside the result")

    @property
    def task(self):
        """One of ``TASKS``."""
        return "space_time_sr" if self.interpolation else self.model.task

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
        if self.interpolation and (self.interpolation.model.task, self.model.task) != ("interpolate", "sr"):
            raise ValueError("interpolation.model must interpolate (pa_frames 0, no nonblind_denoising) and model upscale")
        if self.evaluation.sigma is not None and self.task != "denoise":
            raise ValueError(f"evaluation.sigma is for denoising; the task is {self.task}")
        if self.training.initial_flow and self.model.pa_frames == 0:
            raise ValueError("training.initial_flow: this network has no SpyNet to take it (model.pa_frames is 0); leave it "
                             "away")
        recompute = self.training.recompute
        for part, stages in (("attention", recompute.attention), ("mlp", recompute.mlp)):
            if max(stages, default=0) >= len(self.model.depths):
                raise ValueError(f"training.recompute.{part} has stage {max(stages)}; the stages of this network are 0 to "
                                 f"{len(self.model.depths) - 1}, one for each of model.depths")
        return self
