"""Find the network that a user means: a checkpoint of ours, published weights, or what ships with the package."""
from typing import NamedTuple, Optional

from mindrestore.checkpoints.convert import published_network
from mindrestore.checkpoints.native import Metadata, load_network, read_metadata
from mindrestore.checkpoints.published import load_published_weights
from mindrestore.checkpoints.sources import is_mindspore_file
from mindrestore.errors import UserError
from mindrestore.files import existing
from mindrestore.inference.shipped import shipped
from mindrestore.models import create_model


def load_for_use(config, checkpoint=None, configured=False):
    """Return (network, ``Metadata``, path of its checkpoint), and set ``config.model`` to the network's settings.

    Args:
        config: ``mindrestore.config.Config``.
        checkpoint: path; ``config.checkpoint`` by default, and without a configuration file what ships.
        configured: whether ``config`` came from a file, so that its model settings are meant.

    Raises:
        UserError: no checkpoint given or found, or one of another network than configured.
    """
    checkpoint = checkpoint or config.checkpoint
    if checkpoint is None:
        if configured:
            raise UserError(f"configuration {config.name}: no weights; give --checkpoint, such as "
                            f"runs/{config.name}/best.ckpt.")
        checkpoint = shipped("sci")
    path = existing(checkpoint, "checkpoint")
    if is_mindspore_file(path):
        network, metadata = load_network(path)
    else:
        network, metadata = published_network(path)
    if configured:
        _check_settings(network, config.model, config.name, path)
    config.model = config.model.model_copy(update=network.settings)
    return network, metadata, path


FREE = ("img_size", "drop_path_rate")  # settings of a VRT that change nothing about its weights


class Loaded(NamedTuple):
    """A network ready to use, and whose weights it has."""

    network: object
    trained: bool
    origin: Optional[str]  # of its weights
    metadata: Optional[Metadata] = None


def load_video_network(model, checkpoint, name):
    """Build the VRT that a configuration describes, with weights if there are any.

    Args:
        model: ``mindrestore.config.video.VideoModel``.
        checkpoint: path of our own checkpoint or of published weights; None takes what ships for such a network, or
            leaves random numbers, which whoever shows a result must say.
        name: of the configuration, for an error.

    Returns:
        ``Loaded``.

    Raises:
        UserError: no such file, or weights of another network.
    """
    path = _shipped_for(model) if checkpoint is None else existing(checkpoint, "checkpoint")
    if path is None or not is_mindspore_file(path):
        network = create_model("vrt", **model.network_settings())
        if path is not None:
            load_published_weights(network, path)
        return Loaded(network, path is not None, path and str(path), Metadata("vrt", network.settings))
    network, metadata = load_network(path)
    if metadata.kind != "vrt":
        raise UserError(f"{path}: holds a {metadata.kind} network, expected a vrt as configuration {name} says.")
    _check_settings(network, model, name, path, FREE)
    return Loaded(network, True, str(path), metadata)


def _check_settings(network, model, name, path, free=()):
    """Raise ``UserError`` unless ``network`` is the ``model`` of configuration ``name``, ``free`` settings aside."""
    differing = _differing(network.settings, model, free)
    if differing:
        raise UserError(f"{path}: holds another network than configuration {name} says ({', '.join(differing)}); "
                        "leave --config away, or give the configuration it was trained with.")


def _differing(settings, model, free):
    """Name what ``settings`` of a network have that the ``model`` of a configuration has not."""
    wanted = model.network_settings()
    return [f"{key} {settings[key]} instead of {wanted[key]}" for key in wanted
            if key not in free and settings[key] != wanted[key]]


def _shipped_for(model):
    """Return the path of what ships for a network of these very settings, None if nothing does."""
    path = shipped(model.task)
    return path if path and not _differing(read_metadata(path).settings, model, FREE) else None
