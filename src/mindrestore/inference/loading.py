"""Find the network that a user means: a checkpoint of ours, published weights, or what ships with the package."""
from pathlib import Path

from mindrestore.checkpoints.convert import published_network
from mindrestore.checkpoints.native import load_network
from mindrestore.checkpoints.sources import is_mindspore_file
from mindrestore.errors import UserError
from mindrestore.files import existing

SHIPPED = Path(__file__).resolve().parent.parent / "assets" / "revsci_small.ckpt"


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
            raise UserError(f"configuration {config.name}: no weights; give --checkpoint, such as runs/{config.name}/best.ckpt.")
        checkpoint = SHIPPED
    path = existing(checkpoint, "checkpoint")
    if is_mindspore_file(path):
        network, metadata = load_network(path)
    else:
        network, metadata = published_network(path)
    wanted = config.model.network_settings()
    if configured and network.settings != wanted:
        differing = [f"{key} {network.settings[key]} instead of {wanted[key]}" for key in wanted
                     if network.settings[key] != wanted[key]]
        raise UserError(f"{path}: holds another network than configuration {config.name} says ({', '.join(differing)}); "
                        "leave --config away, or give the configuration it was trained with.")
    config.model = config.model.model_copy(update=network.settings)
    return network, metadata, path
