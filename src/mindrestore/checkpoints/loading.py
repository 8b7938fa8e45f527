"""From a path, a task or the settings of a configuration to a network with its weights; every file is read once."""
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

from mindspore import nn

from mindrestore.checkpoints.native import Metadata, load_arrays, metadata_in
from mindrestore.checkpoints.sources import Arrays, Source, is_mindspore_file, read_arrays
from mindrestore.checkpoints.weights import set_weights
from mindrestore.errors import UserError, printable
from mindrestore.files import PathLike, existing
from mindrestore.models import kind_of, kinds, names, network_of
from mindrestore.models.settings import Settings

ASSETS = Path(__file__).resolve().parent.parent / "assets"


class Loaded(NamedTuple):
    """A network ready to use, and whose weights it has.

    Attributes:
        network: the cell.
        trained: whether it has weights of a file, not random numbers.
        origin: path of that file.
        metadata: what the file says of the network; of published weights, what their names and shapes say.
    """

    network: object
    trained: bool
    origin: Optional[str]
    metadata: Optional[Metadata] = None


class FileContents(NamedTuple):
    """What a file holds: arrays by name, and what it says of their network, None where the weights are published ones."""

    path: Path
    arrays: dict
    metadata: Optional[Metadata]


def load(path: PathLike) -> Loaded:
    """Return what a file holds as ``Loaded``: a checkpoint of ours, or published weights of a network that is recognised by
    their names and shapes.

    Raises:
        UserError: no such file, or nothing in it that is known.
    """
    contents = _read(path)
    if contents.metadata:
        network, metadata = _built(contents), contents.metadata
    else:
        network, metadata = recognised(contents.arrays, contents.path)
    return Loaded(network, True, str(contents.path), metadata)


def load_for_task(task: str) -> Optional[Loaded]:
    """Return the network that ships for a task as ``Loaded``, None if none does."""
    path = shipped(task)
    return path and load(path)


def load_for_settings(settings: Settings, path: Optional[PathLike], name: str) -> Loaded:
    """Return the network of a configuration as ``Loaded``.

    Args:
        settings: section ``model`` of the configuration.
        path: of our own checkpoint or of published weights; None takes what ships for such a network, or leaves random numbers,
            which whoever shows a result must say.
        name: of the configuration, for an error.

    Raises:
        UserError: no such file, or weights of another network.
    """
    kind = kind_of(settings.name)
    if path is None:
        contents = _shipped_like(settings, kind)
        if contents is None:
            network = network_of(settings)
            return Loaded(network, False, None, Metadata(kind.name, network.settings))
    else:
        contents = _read(path)
        _check(contents, settings, kind, name)
    if contents.metadata:
        return Loaded(_built(contents), True, str(contents.path), contents.metadata)
    network = network_of(settings)
    try:
        set_weights(network, contents.arrays, contents.path)
    except UserError:
        _check_published(contents, settings, kind, name)  # says more
        raise
    return Loaded(network, True, str(contents.path), Metadata(kind.name, network.settings))


def load_network(path: PathLike) -> Tuple[nn.Cell, Metadata]:
    """Build the network that ``save_network`` wrote to ``path``; return it and its ``Metadata``.

    Raises ``UserError`` if the file is absent, no checkpoint, cut short, not mindrestore's, or does not fit.
    """
    arrays, record = load_arrays(path)
    contents = FileContents(path, arrays, metadata_in(path, record))
    return _built(contents), contents.metadata


def published_network(source: Source, kind: Optional[str] = None) -> Tuple[nn.Cell, Metadata]:
    """Build the network whose published weights are in the file ``source``; return it and its ``Metadata``.

    ``kind`` is the name of the network's, or None to recognise it. Raises ``UserError`` if the source cannot be read or is no
    network we know.
    """
    return recognised(read_arrays(source), source, kind)


def recognised(arrays: Arrays, source: Source, kind: Optional[str] = None) -> Tuple[nn.Cell, Metadata]:
    """As ``published_network``, of the ``arrays`` by name that were read from ``source``."""
    if kind is None:
        candidates = (each for each in kinds() if each.published_settings)
    elif kind in names() and kind_of(kind).published_settings:
        candidates = [kind_of(kind)]
    else:
        known = " or ".join(each.name for each in kinds() if each.published_settings)
        raise UserError(f"kind {kind!r}: no such network; expected {known}.")
    shapes = {name: array.shape for name, array in arrays.items()}
    reasons = []
    for candidate in candidates:
        try:
            network = network_of(candidate.settings.of(candidate.published_settings(shapes)))
        except UserError as error:
            reasons.append(str(error))
        else:
            set_weights(network, arrays, source)
            return network, Metadata(candidate.name, network.settings)
    raise UserError(f"{source}: {' '.join(reasons)}")


def shipped(task: str) -> Optional[Path]:
    """Return the path of the checkpoint that ships for a task, None if none does."""
    paths = (ASSETS / kind.shipped[task] for kind in kinds() if task in kind.shipped)
    return next((path for path in paths if path.exists()), None)


def _read(path):
    path = existing(path, "checkpoint")
    if is_mindspore_file(path):
        arrays, record = load_arrays(path)
        return FileContents(path, arrays, metadata_in(path, record))
    return FileContents(path, read_arrays(path), None)


def _built(contents):
    """Build the network of one of our checkpoints."""
    network = network_of(_settings_in(contents))
    set_weights(network, contents.arrays, contents.path)
    return network


def _settings_in(contents):
    """Return the ``Settings`` that one of our checkpoints holds."""
    metadata = contents.metadata
    try:
        return kind_of(metadata.kind).settings.of(metadata.settings)
    except UserError as error:
        raise UserError(f"{contents.path}: its settings build no {printable(metadata.kind)} network: {error}") from error


def _shipped_like(settings, kind):
    """Return what ships for a network of these very settings as ``FileContents``, None if nothing does."""
    path = shipped(next(iter(settings.abilities.tasks), None))
    contents = path and _read(path)
    same = contents and contents.metadata.kind == kind.name and not _differing(_settings_in(contents), settings, kind)
    return contents if same else None


def _check(contents, settings, kind, name):
    """Raise ``UserError`` unless one of our checkpoints is of a network of these settings."""
    if contents.metadata is None:
        return
    if contents.metadata.kind != kind.name:
        raise UserError(f"{contents.path}: holds a {printable(contents.metadata.kind)} network, expected a {kind.name} as "
                        f"configuration {name} says.")
    _refuse_other(contents, _settings_in(contents), settings, kind, name)


def _check_published(contents, settings, kind, name):
    """Raise ``UserError`` where published weights say that their network is not one of these settings."""
    shapes = {name: array.shape for name, array in contents.arrays.items()}
    try:
        file_settings = kind.settings.of(kind.published_settings(shapes)) if kind.published_settings else settings
    except UserError:
        return
    _refuse_other(contents, file_settings, settings, kind, name)


def _refuse_other(contents, file_settings, settings, kind, name):
    differing = _differing(file_settings, settings, kind)
    if differing:
        raise UserError(f"{contents.path}: holds another network than configuration {name} says ({', '.join(differing)}); "
                        "leave --config away, or give the configuration it was trained with.")


def _differing(file_settings, settings, kind):
    """Name what the settings in a file have that ``settings`` have not, what may differ aside."""
    file_settings, wanted = file_settings.network_settings(), settings.network_settings()
    return [f"{key} {file_settings[key]} instead of {wanted[key]}" for key in wanted
            if key not in kind.free_settings and file_settings[key] != wanted[key]]
