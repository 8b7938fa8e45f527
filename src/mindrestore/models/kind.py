"""What mindrestore knows of a network: one object a kind of network, and beyond it nobody asks which network it is.

A kind belongs to a problem. Everything that trains, restores, evaluates or exports is chosen by the problem, and asks the kind,
or the settings, for what is the network's own.

    video      a clip in, a restored clip out
    snapshot   coded measurements and their mask in, a clip out
    flow       two images in, the motion between them out
"""
from dataclasses import dataclass
from typing import Tuple

from mindrestore.errors import UserError
from mindrestore.models.signature import Port, Signature

PROBLEMS = ("video", "snapshot", "flow")
INTERPOLATED_FRAMES = 4  # that interpolation takes, to make the one in their middle


@dataclass(frozen=True)
class VideoAbilities:
    """What a network of given settings can do for videos.

    Attributes:
        tasks: names of ``mindrestore restore --task``; the first is what its configurations train and evaluate it for.
        scale: how many times the height and width of what goes in come out.
        window: (frames, height, width) that tiles are multiples of in height and width, and whole axes are padded to.
        interpolates: four frames go in, the one between the middle two comes out.
        takes_noise_level: as one more channel, the standard deviation for white = 1.
        channels, out_channels: of a frame that goes in, the noise level aside, and that comes out.
        features: channels of the features in full size, which say how large a tile memory is enough for.
        clip: (frames, height, width) trained on, which an exported file takes unless asked otherwise.
    """

    tasks: Tuple[str, ...]
    scale: int = 1
    window: Tuple[int, int, int] = (1, 1, 1)
    interpolates: bool = False
    takes_noise_level: bool = False
    channels: int = 3
    out_channels: int = 3
    features: int = 0
    clip: Tuple[int, int, int] = (6, 64, 64)


@dataclass(frozen=True)
class SnapshotAbilities:
    """What a network of given settings can do with snapshots.

    Attributes:
        tasks: as of videos.
        colour: it reconstructs RGB from behind a Bayer filter.
        corrects_estimate: it is given a first estimate of the clip too (``mindrestore.data.snapshots.starting_estimate``).
    """

    tasks: Tuple[str, ...] = ("sci",)
    colour: bool = False
    corrects_estimate: bool = False


@dataclass(frozen=True)
class FlowAbilities:
    """What a network that finds motion can do: no task by itself, it is a part of others."""

    tasks: Tuple[str, ...] = ()


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
        part_of: title and a configuration of the network that it is a part of, if it is trained but not used by itself.
    """

    problem = None
    settings = None
    free_settings = ()
    training_keys = None
    shipped = {}
    published_settings = None
    part_of = None

    @property
    def name(self):
        """As configurations, checkpoints and ``create_model`` have it."""
        return self.settings.model_fields["name"].default

    @property
    def title(self):
        """As messages and tables have it."""
        return self.settings.title

    def network(self, settings, seed=0):
        """Build the cell of ``settings``, an object of the kind's type, its first weights by ``seed`` and nothing else."""
        raise NotImplementedError

    def execution(self, training):
        """Return how a step of training is executed, as one graph, ``"whole"``, or piece by piece, ``"pieces"``: a key of
        ``mindrestore.training.gradients.GRADIENTS``, or ``"auto"``.
        """
        return "whole"

    # Export

    def default_size(self, network):
        """Return (frames, height, width) of an exported file unless asked otherwise; height and width None if free."""
        raise UserError(f"the {self.name} network has no exporter.")

    def signature(self, network, frames, height, width, batch):
        """Return the ``Signature`` of an exported file; height and width are None if free."""
        raise UserError(f"the {self.name} network has no exporter.")

    def any_size(self, network):
        """Return a cell that computes what ``network`` does, for any height and width; asked for where these are free."""
        raise NotImplementedError

    def onnx(self, network, signature, new_graph):
        """Return ``network`` as an ONNX graph, drawn on ``new_graph()`` (``mindrestore.deploy.onnx_graph.Graph``).

        Raises ``UserError`` that says why it cannot be one.
        """
        raise UserError(f"format onnx: a {self.title} is not written as ONNX; choose mindir, which runs on every device.")


class VideoKind(NetworkKind):
    """A kind of network that restores clips: (N, D, C, H, W) -> (N, D', C', s H, s W), float32, 0–1.

    ``settings.abilities`` are ``VideoAbilities``.
    """

    problem = "video"

    def default_size(self, network):
        return network.abilities.clip

    def signature(self, network, frames, height, width, batch):
        able = network.abilities
        if able.interpolates and frames != INTERPOLATED_FRAMES:
            raise UserError(f"frame interpolation takes exactly {INTERPOLATED_FRAMES} frames, those around the one that it "
                            f"makes; {frames} were asked for.")
        level = ", then the noise level: its standard deviation, white being 1" if able.takes_noise_level else ""
        channels = able.channels + able.takes_noise_level
        clip = Port("clip", (batch, frames, channels, height, width), (0, 1), f"frames, RGB{level}")
        content = "the frame in the middle of four" if able.interpolates else "the frames, restored"
        restored = Port("restored", (batch, 1 if able.interpolates else frames, able.out_channels, able.scale * height,
                                     able.scale * width), (0, 1), f"{content}; not clamped")
        use = ("give every four frames that follow each other; the result lies between the middle two" if able.interpolates else
               f"cut a clip into tiles of {frames} x {height} x {width} that overlap, average or cut off what they share")
        return Signature((clip,), (restored,), (frames, height, width), able.window,
                         f"{use}; reflect at its end, bottom and right what is smaller, and cut that off again; clamp to 0..1")

    # Training

    def execution(self, training):
        return training.execution

    def first_weights(self, training):
        """Return the files that a training begins with: pairs of a path and what to put before the names in it."""
        return [(training.initial, "")] if training.initial else []

    def prepare(self, network, training, given, resumed):
        """Make a network ready to be trained, its first weights read and some parameters frozen.

        Args:
            network: the cell.
            training: section of the configuration.
            given: names of the parameters that were read from files.
            resumed: whether the run goes on from a state that holds every weight.

        Raises:
            UserError: it cannot be trained so.
        """

    def late_part(self, training):
        """Return (``belongs(name)``, first step, factor of the learning rate) of parameters that begin late, or None."""

    def samples(self, network, samples):
        """Return the samples that the network is trained on, with further inputs of its own after those of ``samples``."""
        return samples

    def with_inputs(self, network, gradients):
        """Return ``gradients`` (see ``mindrestore.training.gradients``) for samples with those further inputs."""
        return gradients


class SnapshotKind(NetworkKind):
    """A kind of network that reconstructs clips from snapshots, called as ``mindrestore.models.revsci.RevSCI`` is.

    ``settings.abilities`` are ``SnapshotAbilities``.
    """

    problem = "snapshot"


class FlowKind(NetworkKind):
    """A kind of network that finds motion, called as ``mindrestore.models.vrt.SpyNet`` is; a part of others.

    ``settings.abilities`` are ``FlowAbilities``.
    """

    problem = "flow"
