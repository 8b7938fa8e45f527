"""Read settings: YAML, then overrides from the command line, then checks."""
from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from mindrestore.config.flow import FlowConfig
from mindrestore.config.sections import Common, Section
from mindrestore.config.shipped import found
from mindrestore.config.snapshot import SnapshotConfig
from mindrestore.config.video import VideoConfig
from mindrestore.errors import UserError, nearest
from mindrestore.files import PathLike
from mindrestore.models import DEFAULT, kind_of, names
from mindrestore.models.kind import NetworkKind

CONFIGS: dict[str, type[Common]] = {"snapshot": SnapshotConfig, "video": VideoConfig, "flow": FlowConfig}
"""By the problem that a network solves: the class of its whole configuration."""
RENAMED = {"training.precision": "runtime.precision"}
"""By key of a former version, which configurations saved beside a run hold: the present key."""


def load_config(path: PathLike, overrides: Sequence[str] = ()) -> Common:
    """Read a configuration and apply overrides such as ``training.steps=100``.

    ``path`` is that of a file, or the name of a configuration that ships, such as ``small_denoise``.

    Raises:
        UserError: a missing or unreadable file, an unknown key, or a value that cannot be.
    """
    path = found(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a readable YAML file ({reason}).") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values such as 'name: my_run', found {type(content).__name__}.")
    content.setdefault("name", Path(path).stem)
    return make_config(content, overrides, path)


def make_config(content: MutableMapping[str, Any], overrides: Sequence[str] = (), origin: PathLike = "settings") -> Common:
    """Apply overrides to nested settings, in place, and check them; raises ``UserError`` that begins with ``origin``."""
    for override in overrides:
        _apply(content, override)
    _rename(content)
    config = _class_of(content, origin)
    try:
        return config.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{origin}: {_sentence(error.errors()[0], config).rstrip('.')}.") from error


def configuration_of(kind: NetworkKind) -> type[Common]:
    """Return the class of whole configurations of a ``NetworkKind``."""
    return CONFIGS[kind.problem].of_kind(kind)


def _class_of(content: Mapping[str, Any], origin: PathLike) -> type[Common]:
    """Return the class of the configuration that ``content`` is, by the networks that it names."""
    kind = _kind_of(content.get("model"), DEFAULT, f"{origin}: model.name")
    config = configuration_of(kind)
    interpolation = content.get("interpolation")
    if "interpolation" in config.model_fields:
        model = interpolation.get("model") if isinstance(interpolation, dict) else None
        inner = _kind_of(model, kind.name, f"{origin}: interpolation.model.name")
        if inner.problem != kind.problem:
            raise UserError(f"{origin}: interpolation.model.name is {inner.name!r}, which restores no videos; give one that "
                            "interpolates.")
        config = config.with_interpolation(inner)
    return config


def _kind_of(model: Any, default: str, key: str) -> NetworkKind:
    """Return the ``NetworkKind`` that a section ``model`` names, ``default`` where it names none; ``key`` is for an error."""
    name = model.get("name", default) if isinstance(model, dict) else default
    if not isinstance(name, str) or name not in names():
        raise UserError(f"{key} is {name!r}: unknown{_hint(name, names(), 'choose one of')}.")
    return kind_of(name)


def _apply(content: MutableMapping[str, Any], override: str) -> None:
    """Set the key that ``override``, ``key=value``, names; sections that are not there are made."""
    key, equals, text = override.partition("=")
    parts = key.split(".")
    if not equals or not all(parts):
        raise UserError(f"{override!r}: an override is written key=value, such as training.steps=100.")
    for part in parts[:-1]:
        content = content.setdefault(part, {})
        if not isinstance(content, dict):
            raise UserError(f"{override!r}: {part} holds a value, not further keys.")
    try:
        content[parts[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{override!r}: the value is not readable as YAML.") from error


def _rename(content: MutableMapping[str, Any]) -> None:
    """Move the values of ``RENAMED`` keys to their present keys."""
    for former, present in RENAMED.items():
        section, _, name = former.partition(".")
        keys = content.get(section)
        if isinstance(keys, dict) and name in keys:
            section, _, new_name = present.partition(".")
            content.setdefault(section, {}).setdefault(new_name, keys.pop(name))


def _sentence(error: Mapping[str, Any], config: type[Common]) -> str:
    """Return a pydantic error in words."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _fields(config, error["loc"][:-1])
        return f"unknown key {key}{_hint(error['loc'][-1], known, 'known keys are')}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key} is {error['input']!r}: {message}"


def _hint(word: object, known: Collection[str], listing: str) -> str:
    """Return a hint for an unknown word: the nearest known one, or a list of all."""
    near = nearest(word, known)
    return f" (did you mean {near}?)" if near else f" ({listing} {', '.join(known)})"


def _fields(config: type[Section], location: Sequence[str | int]) -> Mapping[str, FieldInfo]:
    """Return the fields, by key, of the section at ``location`` within ``config``."""
    for part in location:
        annotation = config.model_fields[part].annotation
        config = next(kind for kind in (annotation, *get_args(annotation))
                      if isinstance(kind, type) and issubclass(kind, Section))
    return config.model_fields
