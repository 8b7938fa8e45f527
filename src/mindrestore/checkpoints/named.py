"""Published weights by one word: ``006`` stands for a file of its authors, fetched once and kept.

The file of a word lies in the cache, beside it its SHA-256 from when it was first used (as ``sha256sum -c`` reads it): the
authors publish none. A file that has changed since is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mindrestore.checkpoints.download import Failed, alone, cache, download
from mindrestore.errors import UserError, nearest
from mindrestore.files import PathLike, sha256_of, write_text
from mindrestore.models import kinds
from mindrestore.models.kind import NetworkKind, PublishedFile


def published_files() -> Iterator[tuple[NetworkKind, PublishedFile]]:
    """Yield (kind of network, file) of all files that are known by a word."""
    for kind in kinds():
        for file in kind.published_files:
            yield kind, file


def named(word: str) -> tuple[NetworkKind, PublishedFile]:
    """Return (kind of network, file) that a word stands for; the file's name without its suffix is a word too.

    Raises ``UserError`` that names the nearest word, or all.
    """
    known = {word: found for found in published_files() for word in (Path(found[1].file).stem, found[1].name)}
    if word not in known:
        words = [file.name for _, file in published_files()]
        near = nearest(word, known)
        raise UserError(
            f"weights {word!r}: no published ones have this name; "
            + (f"did you mean {near}?" if near else f"choose one of {', '.join(words)}.")
        )
    return known[word]


def located(source: PathLike) -> Path:
    """Return the path of a checkpoint: ``source`` itself if it exists, or the file in the cache that the word ``source`` stands
    for, which is fetched if it is not there.

    Raises ``UserError``: neither, the file cannot be fetched, it fits no network, or it has changed since it was first used.
    """
    path = Path(source)
    if path.exists():
        return path
    words = {word for _, file in published_files() for word in (file.name, Path(file.file).stem)}
    if str(source) in words:
        return fetched(str(source))
    known = next((file.name for _, file in published_files() if file.file == path.name), None)
    hint = (
        f"; or fetch it by `mindrestore weights get {known}` and give {known}"
        if known
        else ("" if path.suffix or len(path.parts) > 1 else f", or the name of published weights ({', '.join(sorted(words))})")
    )
    raise UserError(f"{path}: no such checkpoint; give the path of an existing checkpoint{hint}.")


def place_of(file: PublishedFile) -> Path:
    """Return where in the cache a file lies, or would."""
    return cache() / file.file


def fetched(word: str) -> Path:
    """Return the path of the file that ``word`` stands for, fetched if it is not in the cache; raises as ``located`` does."""
    kind, file = named(word)
    path = place_of(file)
    if not path.exists():
        with alone(path):
            if not path.exists():  # another process may have fetched it while this one waited
                _fetch(kind, file, path)
    _check_digest(kind, file, path)
    return path


def _fetch(kind: NetworkKind, file: PublishedFile, path: Path) -> None:
    by_hand = f"fetch {file.file} by hand from {file.page} and put it at {path}"
    if file.address is None:
        raise UserError(f"weights {file.name}: only a person can fetch them, in a browser; {by_hand}.")
    part = path.with_name(f"{path.name}.part")
    try:
        download(file.address, part, file.megabytes)
    except Failed as error:
        raise UserError(f"{file.address}: {error}; mend that and try again, or {by_hand}.") from error
    try:
        _check_fit(kind, file, part)
    except UserError as error:
        part.unlink()
        raise UserError(
            f"{file.address}: what came from there was refused and removed ({str(error).rstrip('.')}); try again "
            f"later, or {by_hand}."
        ) from error
    _record(part, path)
    part.rename(path)


def _check_digest(kind: NetworkKind, file: PublishedFile, path: Path) -> None:
    """Record the digest of a file that is used for the first time, if it fits; refuse one that has changed since."""
    record = _record_of(path)
    if not record.exists():  # put there by hand
        _check_fit(kind, file, path)
        _record(path, path)
        return
    was, now = record.read_text(encoding="utf-8").split(" ")[0].strip(), sha256_of(path)
    if now != was:
        raise UserError(
            f"{path}: has changed since it was first used (SHA-256 {now[:12]}..., then {was[:12]}...); remove it "
            f"to fetch it again, or {record.name} beside it if the change is yours."
        )


def _check_fit(kind: NetworkKind, file: PublishedFile, path: Path) -> None:
    """Raise ``UserError`` if the weights in ``path`` are not, by name and shape, all those of the network they are for."""
    from mindrestore.checkpoints.sources import read_arrays  # which finds words by this module
    from mindrestore.checkpoints.weights import set_weights
    from mindrestore.models import network_of

    arrays = read_arrays(path)
    settings = kind.published_settings({name: array.shape for name, array in arrays.items()}) if kind.published_settings else {}
    network = network_of(kind.settings.of(settings))
    set_weights(network, arrays, path)
    count = sum(parameter.size for parameter in network.get_parameters())
    if count != file.parameters:
        raise UserError(f"{path}: holds a {kind.title} of {count:,} parameters, and {file.name} has {file.parameters:,}.")


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _record(content: Path, path: Path) -> None:
    """Write beside ``path`` the digest of ``content``, the file itself or what will be it."""
    write_text(_record_of(path), f"{sha256_of(content)}  {path.name}\n")
