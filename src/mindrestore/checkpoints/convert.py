"""Published checkpoints into our own: ``mindrestore convert in.pth out.ckpt``."""
from pathlib import Path

from mindrestore.checkpoints import mindspore_file
from mindrestore.checkpoints.native import METADATA_ENTRY, Metadata, save_network
from mindrestore.checkpoints.published import set_weights
from mindrestore.checkpoints.sources import is_mindspore_file, read_arrays
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.models.revsci.published import settings_from_shapes as revsci_settings
from mindrestore.models.vrt.published import settings_from_shapes as vrt_settings

SETTINGS_FROM_SHAPES = {"revsci": revsci_settings, "vrt": vrt_settings}
"""For each kind of network, what reads its settings off the names and shapes of a published checkpoint."""


def convert(source, target, kind=None):
    """Write the published weights in the file ``source`` to ``target``, a checkpoint of our own (.ckpt).

    ``kind`` is the network's ("revsci" or "vrt"), or None to recognise it. Returns one line that says what was written. Raises
    ``UserError`` if the source cannot be read or is no network we know.
    """
    if is_mindspore_file(source) and METADATA_ENTRY in mindspore_file.read(source):
        raise UserError(f"{source}: is mindrestore's own already; expected a published checkpoint.")
    network, metadata = published_network(source, kind)
    save_network(target, network, metadata.kind, metadata.settings)
    listed = ", ".join(f"{name} {value}" for name, value in metadata.settings.items())
    count = sum(parameter.size for parameter in network.get_parameters())
    return f"{source} -> {Path(target)}: {metadata.kind} ({listed}), {count:,} parameters"


def published_network(source, kind=None):
    """Build the network whose published weights are in the file ``source``; return it and its ``Metadata``.

    Arguments and errors as for ``convert``.
    """
    if kind not in (None, *SETTINGS_FROM_SHAPES):
        raise UserError(f"kind {kind!r}: no such network; expected {' or '.join(SETTINGS_FROM_SHAPES)}.")
    arrays = read_arrays(source)
    shapes = {name: array.shape for name, array in arrays.items()}
    kind, settings, network = _recognised(shapes, source, [kind] if kind else SETTINGS_FROM_SHAPES)
    set_weights(network, arrays, source)
    return network, Metadata(kind, settings)


def _recognised(shapes, source, kinds):
    """Return kind, settings and a new network of the first of ``kinds`` that ``shapes`` can belong to."""
    reasons = []
    for kind in kinds:
        try:
            settings = SETTINGS_FROM_SHAPES[kind](shapes)
            return kind, settings, create_model(kind, **settings)
        except UserError as error:
            reasons.append(str(error))
    raise UserError(f"{source}: {' '.join(reasons)}")
