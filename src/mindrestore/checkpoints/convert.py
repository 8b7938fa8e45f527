"""Published checkpoints into our own: ``mindrestore convert in.pth out.ckpt``."""

from __future__ import annotations

from pathlib import Path

from mindrestore.checkpoints.loading import published_network, recognised
from mindrestore.checkpoints.mindspore_file import check_suffix
from mindrestore.checkpoints.native import METADATA_ENTRY, save_network
from mindrestore.checkpoints.sources import arrays_in, described, read_contents
from mindrestore.errors import UserError
from mindrestore.files import PathLike, check_writable

__all__ = ["convert", "published_network"]


def convert(source: PathLike, target: PathLike, kind: str | None = None) -> str:
    """Write the published weights in the file ``source`` to ``target``, a checkpoint of our own (.ckpt).

    ``kind`` is the network's ("revsci", "vrt" or one's own), or None to recognise it. Returns one line that says what was
    written. Raises ``UserError`` if the source cannot be read or holds no network we know.
    """
    check_suffix(Path(target))
    check_writable(target)
    contents = read_contents(source)
    if METADATA_ENTRY in contents:
        raise UserError(f"{source}: is mindrestore's own already; expected a published checkpoint.")
    network, metadata = recognised(arrays_in(contents, described(source)), described(source), kind)
    save_network(target, network, metadata.kind, metadata.settings)
    listed = ", ".join(f"{name} {value}" for name, value in metadata.settings.items())
    count = sum(parameter.size for parameter in network.get_parameters())
    return f"{source} -> {Path(target)}: {metadata.kind} ({listed}), {count:,} parameters"
