"""From a path, a task or the settings of a configuration to a network with its weights; every file is read once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mindrestore import models
from mindrestore.checkpoints.named import located
from mindrestore.checkpoints.native import Metadata, load_arrays, metadata_in
from mindrestore.checkpoints.sources import Arrays, Source, described, is_mindspore_file, prefixes, read_arrays
from mindrestore.checkpoints.weights import set_weights, stripped
from mindrestore.errors import UserError, printable, shown, some_of
from mindrestore.files import PathLike
from mindrestore.models import kind_of, kinds, names, network_of
from mindrestore.models.kind import NetworkKind
from mindrestore.models.settings import Settings

if TYPE_CHECKING:
    from mindspore import nn

ASSETS = Path(__file__).resolve().parent.parent / "assets"


class Loaded(NamedTuple):
    """A network ready to use, and where its weights come from.

    Attributes:
        network: the cell.
        trained: whether its weights are those of a file, not random numbers.
        origin: path of that file.
        metadata: what the file says of the network; of published weights, what their names and shapes say.
    """

    network: nn.Cell
    trained: bool
    origin: str | None
    metadata: Metadata | None = None


class FileContents(NamedTuple):
    """What a file holds: arrays by name, and what it says of their network, None for published weights."""

    path: Path
    arrays: Arrays
    metadata: Metadata | None


def load(path: PathLike) -> Loaded:
    """Return the network of a file as ``Loaded``.

    Args:
        path: of a checkpoint of ours, or of published weights, whose network is recognised by their names and shapes; or a
            word for published weights, such as ``"006"`` (``mindrestore.checkpoints.named``).

    Raises:
        UserError: no such file, or no network that is known in it.
    """
    contents = _read(path)
    if contents.metadata:
        network, metadata = _built(contents), contents.metadata
    else:
        network, metadata = recognised(contents.arrays, contents.path)
    return Loaded(network, True, str(contents.path), metadata)


def create_model(name: str, pretrained: PathLike | None = None, **settings: Any) -> nn.Cell:
    """Build a network by name, as ``mindrestore.models.create_model``, with weights.

    Args:
        name: of the kind of network.
        pretrained: weights: a word such as ``"006"``, whose file is fetched when it is first used, or a path; None leaves them
            random.
        **settings: of the network, where they shall differ from what the weights say, such as ``img_size``.

    Raises:
        UserError: as ``mindrestore.models.create_model`` and ``load``, or weights that do not fit.
    """
    if pretrained is None:
        return models.create_model(name, **settings)
    kind, contents = kind_of(name), _read(pretrained)
    if contents.metadata and contents.metadata.kind != name:
        raise UserError(f"{contents.path}: holds a {printable(contents.metadata.kind)} network, expected a {name}.")
    of_file = _settings_in(contents) if contents.metadata else _published_settings(contents, kind)
    network = models.create_model(name, **{**of_file.network_settings(), **settings})
    set_weights(network, contents.arrays, contents.path)
    return network


def load_for_task(task: str) -> Loaded | None:
    """Return the network that ships for a task as ``Loaded``, None if none does."""
    path = shipped(task)
    return None if path is None else load(path)


def load_for_settings(settings: Settings, path: PathLike | None, name: str) -> Loaded:
    """Return the network of a configuration as ``Loaded``.

    Args:
        settings: section ``model`` of the configuration.
        path: of our own checkpoint or of published weights; None takes the weights that ship for such a network. Where none
            do, they stay random and ``trained`` is false: whoever shows a result must say so.
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


def load_network(path: PathLike) -> tuple[nn.Cell, Metadata]:
    """Build the network that ``save_network`` wrote to ``path``; return it and its ``Metadata``.

    Raises ``UserError`` if the file is absent, no checkpoint, cut short, not mindrestore's, or does not fit.
    """
    arrays, record = load_arrays(path)
    contents = FileContents(Path(path), arrays, metadata_in(path, record))
    return _built(contents), contents.metadata


def published_network(source: Source, kind: str | None = None) -> tuple[nn.Cell, Metadata]:
    """Build the network whose published weights are in the file ``source``; return it and its ``Metadata``.

    ``kind`` is the network's ("revsci", "vrt" or one's own), or None to recognise it. Raises ``UserError`` if the source
    cannot be read or holds no network we know.
    """
    return recognised(read_arrays(source), described(source), kind)


def recognised(arrays: Arrays, where: PathLike, kind: str | None = None) -> tuple[nn.Cell, Metadata]:
    """As ``published_network``, of ``arrays`` by name; ``where`` names their source in an error."""
    if kind is None:
        candidates = (candidate for candidate in kinds() if candidate.published_settings)
    elif kind in names() and kind_of(kind).published_settings:
        candidates = [kind_of(kind)]
    else:
        expected = " or ".join(candidate.name for candidate in kinds() if candidate.published_settings)
        raise UserError(f"kind {kind!r}: no such network; expected {expected}.")
    shapes = {name: array.shape for name, array in arrays.items()}
    reasons = []
    for candidate in candidates:
        try:
            network = network_of(candidate.settings.of(candidate.published_settings(shapes)))
        except UserError as error:
            reasons.append(str(error))
        else:
            set_weights(network, arrays, where)
            return network, Metadata(candidate.name, network.settings)
    raise UserError(f"{where}: {' '.join(reasons)} {_about_names(shapes)}")


def _about_names(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return a sentence that shows the first names of weights that were not recognised, and what is in front of them."""
    for prefix in prefixes(shapes):
        inner = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
        for kind in (kind for kind in kinds() if kind.published_settings):
            try:
                kind.published_settings(inner)
            except UserError:
                continue
            return f"Behind {printable(prefix)} its names are those of a {kind.title}; {stripped(prefix)}."
    return f"Its names are {some_of(shapes)}."


def shipped(task: str) -> Path | None:
    """Return the path of the checkpoint that ships for a task, None if none does."""
    paths = (ASSETS / kind.shipped[task] for kind in kinds() if task in kind.shipped)
    return next((path for path in paths if path.exists()), None)


def _read(path: PathLike) -> FileContents:
    path = located(path)
    if is_mindspore_file(path):
        arrays, record = load_arrays(path)
        return FileContents(path, arrays, metadata_in(path, record))
    return FileContents(path, read_arrays(path), None)


def _built(contents: FileContents) -> nn.Cell:
    """Build the network of a checkpoint of ours."""
    settings = _settings_in(contents)
    held = sum(array.size for array in contents.arrays.values() if isinstance(array, np.ndarray))
    if held < settings.least_numbers():
        raise UserError(
            f"{contents.path}: holds {held} numbers, where the network that its settings describe has "
            f"{shown(settings.least_numbers())} or more; the file is damaged."
        )
    network = network_of(settings)
    set_weights(network, contents.arrays, contents.path)
    return network


def _settings_in(contents: FileContents) -> Settings:
    """Return the ``Settings`` in a checkpoint of ours."""
    metadata = contents.metadata
    try:
        return kind_of(metadata.kind).settings.of(metadata.settings)
    except UserError as error:
        raise UserError(f"{contents.path}: its settings build no {printable(metadata.kind)} network: {error}") from error


def _shipped_like(settings: Settings, kind: NetworkKind) -> FileContents | None:
    """Return the contents of the checkpoint that ships for a network of exactly these settings, None if none does."""
    tasks = settings.abilities.tasks
    path = shipped(tasks[0]) if tasks else None
    if path is None:
        return None
    contents = _read(path)
    same = contents.metadata.kind == kind.name and not _differing(_settings_in(contents), settings, kind)
    return contents if same else None


def _check(contents: FileContents, settings: Settings, kind: NetworkKind, name: str) -> None:
    """Raise ``UserError`` for a checkpoint of ours whose network has other settings; published weights pass."""
    if contents.metadata is None:
        return
    if contents.metadata.kind != kind.name:
        raise UserError(
            f"{contents.path}: holds a {printable(contents.metadata.kind)} network, expected a {kind.name} as "
            f"configuration {name} says."
        )
    _refuse_other(contents.path, file_settings=_settings_in(contents), settings=settings, kind=kind, name=name)


def _published_settings(contents: FileContents, kind: NetworkKind) -> Settings:
    """Return the settings of the network that published weights belong to; raise ``UserError`` if it is not of this kind."""
    if not kind.published_settings:
        return kind.settings()
    try:
        return kind.settings.of(kind.published_settings({name: array.shape for name, array in contents.arrays.items()}))
    except UserError as error:
        raise UserError(f"{contents.path}: {error}") from error


def _check_published(contents: FileContents, settings: Settings, kind: NetworkKind, name: str) -> None:
    """Raise ``UserError`` where the shapes of published weights say that their network has other settings."""
    try:
        file_settings = _published_settings(contents, kind) if kind.published_settings else settings
    except UserError:
        return
    _refuse_other(contents.path, file_settings=file_settings, settings=settings, kind=kind, name=name)


def _refuse_other(path: Path, *, file_settings: Settings, settings: Settings, kind: NetworkKind, name: str) -> None:
    differing = _differing(file_settings, settings, kind)
    if differing:
        raise UserError(
            f"{path}: holds another network than configuration {name} says ({', '.join(differing)}); "
            "leave --config away, or give the configuration it was trained with."
        )


def _differing(file_settings: Settings, settings: Settings, kind: NetworkKind) -> list[str]:
    """Return a text for each setting of a file that differs from ``settings``, but for ``kind.free_settings``."""
    in_file, configured = file_settings.network_settings(), settings.network_settings()
    return [
        f"{key} {in_file[key]} instead of {configured[key]}"
        for key in configured
        if key not in kind.free_settings and in_file[key] != configured[key]
    ]
