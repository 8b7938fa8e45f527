"""What mindrestore knows of a network: one object for each kind of network. No other code asks which network it has.

A kind belongs to a problem. What trains, restores, evaluates or exports is chosen by the problem, and asks the kind, or the
settings, for whatever differs from network to network.

    video      a clip in, a restored clip out
    snapshot   coded measurements and their mask in, a clip out
    flow       two images in, the motion between them out
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mindrestore.errors import UserError
from mindrestore.models.signature import OnnxGraph, Port, Signature

if TYPE_CHECKING:
    import numpy as np
    from mindspore import Parameter, Tensor, nn

    from mindrestore.models.settings import Settings
    from mindrestore.sections import Section

    Gradients = Callable[..., tuple[Tensor, tuple[Tensor, ...]]]  # (target, *inputs) -> (loss, gradients of the parameters)
    GradientsOf = Callable[[Sequence[Parameter]], Gradients]

PROBLEMS = ("video", "snapshot", "flow")
INTERPOLATED_FRAMES = 4  # inputs of frame interpolation; its output lies in their middle
FreeSize = tuple[int, int | None, int | None]  # frames, height, width; height and width None where they are free


@dataclass(frozen=True)
class VideoAbilities:
    """What a network of given settings can do for videos.

    Attributes:
        tasks: names of ``mindrestore restore --task``; the first is what its configurations train and evaluate it for.
        scale: height and width of the output over those of the input.
        window: (frames, height, width) of attention. Height and width of tiles are multiples of it, and whole axes are padded
            to multiples.
        interpolates: the input is four frames, the output one frame between the middle two.
        takes_noise_level: its input has one more channel, the standard deviation of the noise for white = 1.
        channels, out_channels: of an input frame, without the noise level, and of an output frame.
        features: channels of the features at full size, by which the default tile is chosen to fit into memory.
        clip: (frames, height, width) trained on, the default size of an exported file.
    """

    tasks: tuple[str, ...]
    scale: int = 1
    window: tuple[int, int, int] = (1, 1, 1)
    interpolates: bool = False
    takes_noise_level: bool = False
    channels: int = 3
    out_channels: int = 3
    features: int = 0
    clip: tuple[int, int, int] = (6, 64, 64)


@dataclass(frozen=True)
class SnapshotAbilities:
    """What a network of given settings can do with snapshots.

    Attributes:
        tasks: as of videos.
        colour: it reconstructs RGB from behind a Bayer filter.
        corrects_estimate: it takes a first estimate of the clip too (``mindrestore.data.snapshots.starting_estimate``).
    """

    tasks: tuple[str, ...] = ("sci",)
    colour: bool = False
    corrects_estimate: bool = False


@dataclass(frozen=True)
class FlowAbilities:
    """What a network that finds motion can do: no task by itself, it is a part of others."""

    tasks: tuple[str, ...] = ()


Abilities = VideoAbilities | SnapshotAbilities | FlowAbilities


@dataclass(frozen=True)
class PublishedFile:
    """A file of weights that the authors of a network publish, which ``--checkpoint NAME`` stands for.

    Attributes:
        name: one word for it, such as ``"006"``.
        file: its name, as published.
        task: what its network is for, in words.
        page: where its authors publish it.
        address: of the file itself, None where only a person can fetch it from ``page``.
        megabytes: its size (1e6 bytes) to within a few per cent, by which an answer that is something else is told.
        parameters: of its network.
        configuration: name of the configuration that ships for it, None if there is none.
        figure: what its authors publish of it, empty if nothing.
        licence: of the weights, as its authors name it.
    """

    name: str
    file: str
    task: str
    page: str
    address: str | None
    megabytes: float
    parameters: int
    configuration: str | None
    figure: str = ""
    licence: str = "not stated"


class VideoTraining(Protocol):
    """Keys of the section ``training`` that networks for videos share, see ``mindrestore.config.video``."""

    execution: str
    initial: str | None


class Samples(Protocol):
    """Training samples by number, see ``mindrestore.data.video_samples``."""

    columns: tuple[str, ...]
    seed: int
    holds_lock: bool

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> tuple[np.ndarray, ...]: ...

    def name(self, number: int) -> str:
        """Return the clip that a sample is cut out of."""


class NetworkKind:
    """A kind of network; an object of a subclass of ``VideoKind``, ``SnapshotKind`` or ``FlowKind``.

    Attributes:
        problem: ``"video"``, ``"snapshot"`` or ``"flow"``.
        settings: subclass of ``mindrestore.models.settings.Settings``. Its default ``name`` is the kind's.
        free_settings: names of settings that may differ between a configuration and the checkpoint it is used with.
        training_keys: subclass of ``Section`` with the keys that it adds to the section ``training``, or None.
        shipped: by task, files in ``mindrestore/assets`` (or absolute paths) of trained checkpoints.
        published_settings: where weights of the kind are published, a method ``published_settings(shapes)`` that returns the
            settings, as a dict without the name, of the network that weights of these shapes (by name) belong to, and raises
            ``UserError`` ("is no ...") if there is none; otherwise None.
        published_files: the ``PublishedFile``s of such weights.
        part_of: title and a configuration of the network that it is a part of, if it is trained but not used by itself.
    """

    problem: str | None = None
    settings: type[Settings] | None = None
    free_settings: tuple[str, ...] = ()
    training_keys: type[Section] | None = None
    shipped: Mapping[str, str] = {}
    published_settings: Callable[[Mapping[str, tuple[int, ...]]], dict[str, Any]] | None = None
    published_files: Sequence[PublishedFile] = ()
    part_of: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """As configurations, checkpoints and ``create_model`` have it."""
        return self.settings.model_fields["name"].default

    @property
    def title(self) -> str:
        """As messages and tables have it."""
        return self.settings.title

    def network(self, settings: Settings, seed: int = 0) -> nn.Cell:
        """Build the cell of ``settings``, an object of the kind's type. ``seed`` alone decides its first weights.

        Tables of evaluation name what its method ``multiply_adds(frames, height, width)`` returns, if it has one: how many one
        clip, or one measurement, of that size as given takes.
        """
        raise NotImplementedError

    def execution(self, training: Section) -> str:
        """Return how a training step is executed: ``"whole"``, as one graph, ``"pieces"``, piece by piece, another key of
        ``mindrestore.training.gradients.GRADIENTS``, or ``"auto"``.
        """
        return "whole"

    # Export

    def default_size(self, network: nn.Cell) -> FreeSize:
        """Return the default (frames, height, width) of an exported file; height and width None if free."""
        raise UserError(f"the {self.name} network has no exporter.")

    def signature(self, network: nn.Cell, frames: int, height: int | None, width: int | None, batch: int | None) -> Signature:
        """Return the ``Signature`` of an exported file; height and width, or batch, are None if free."""
        raise UserError(f"the {self.name} network has no exporter.")

    def any_size(self, network: nn.Cell) -> nn.Cell:
        """Return a cell that computes ``network`` for any height and width; called only to export a file of free size."""
        raise NotImplementedError

    def onnx(self, network: nn.Cell, signature: Signature, new_graph: Callable[[], OnnxGraph]) -> OnnxGraph:
        """Return ``network`` as an ONNX graph, drawn on ``new_graph()`` (``mindrestore.deploy.onnx_graph.Graph``).

        Raises ``UserError`` that says why it cannot be one.
        """
        raise UserError(f"format onnx: a {self.title} is not written as ONNX; choose mindir, which runs on every device.")


class VideoKind(NetworkKind):
    """A kind of network that restores clips: (N, D, C, H, W) -> (N, D', C', s H, s W), float32, 0–1.

    ``settings.abilities`` are ``VideoAbilities``.
    """

    problem = "video"

    def default_size(self, network: nn.Cell) -> FreeSize:
        return network.abilities.clip

    def signature(self, network: nn.Cell, frames: int, height: int, width: int, batch: int | None) -> Signature:
        can = network.abilities
        if can.interpolates and frames != INTERPOLATED_FRAMES:
            raise UserError(
                f"frame interpolation takes exactly {INTERPOLATED_FRAMES} frames, those around the one that it "
                f"makes; {frames} were asked for."
            )
        level = ", then the noise level: its standard deviation, white being 1" if can.takes_noise_level else ""
        channels = can.channels + can.takes_noise_level
        clip = Port("clip", (batch, frames, channels, height, width), (0, 1), f"frames, RGB{level}")
        content = "the frame in the middle of four" if can.interpolates else "the frames, restored"
        restored = Port(
            "restored",
            (batch, 1 if can.interpolates else frames, can.out_channels, can.scale * height, can.scale * width),
            (0, 1),
            f"{content}; not clamped",
        )
        use = (
            "give every four frames that follow each other; the result lies between the middle two"
            if can.interpolates
            else f"cut a clip into tiles of {frames} x {height} x {width} that overlap, average or cut off what they share"
        )
        use += "; reflect at its end, bottom and right what is smaller, and cut that off again; clamp to 0..1"
        return Signature((clip,), (restored,), tile=(frames, height, width), window=can.window, use=use)

    # Training

    def execution(self, training: VideoTraining) -> str:
        return training.execution

    def first_weights(self, training: VideoTraining) -> list[tuple[str, str]]:
        """Return the weights that training starts from: pairs (path, prefix of the names in the file)."""
        return [(training.initial, "")] if training.initial else []

    def prepare(self, network: nn.Cell, training: VideoTraining, loaded: Collection[str], resumed: bool) -> None:
        """Prepare a network for training, after its first weights are read and some parameters frozen.

        Args:
            network: the cell.
            training: section of the configuration.
            loaded: names of the parameters that were read from files.
            resumed: whether the run continues from a saved state, which holds every weight.

        Raises:
            UserError: the network cannot be trained with these settings.
        """

    def late_part(self, training: VideoTraining) -> tuple[Callable[[str], bool], int, float] | None:
        """Return (``belongs(name)``, first step, factor of the learning rate) of parameters whose training starts late, or
        None.
        """

    def samples(self, network: nn.Cell, samples: Samples) -> Samples:
        """Return ``samples``, each with the further inputs that the network takes in training appended."""
        return samples

    def with_inputs(self, network: nn.Cell, gradients: GradientsOf) -> GradientsOf:
        """Return ``gradients`` (see ``mindrestore.training.gradients``) adapted to samples with those further inputs."""
        return gradients


class SnapshotKind(NetworkKind):
    """A kind of network that reconstructs clips from snapshots, called as ``mindrestore.models.revsci.RevSCI`` is.

    ``settings.abilities`` are ``SnapshotAbilities``.
    """

    problem = "snapshot"

    def new_weights(self, network: nn.Cell, training: Section) -> dict[str, np.ndarray]:
        """Return, by name, the weights that training begins with where ``training.initial`` has none for them."""
        return {}


class FlowKind(NetworkKind):
    """A kind of network that finds motion, called as ``mindrestore.models.vrt.SpyNet`` is; a part of others.

    ``settings.abilities`` are ``FlowAbilities``.
    """

    problem = "flow"
