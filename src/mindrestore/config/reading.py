"""Read settings: YAML, then overrides from the command line, then checks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from mindrestore.config import yaml_text
from mindrestore.config.flow import FlowConfig
from mindrestore.config.sections import Common, Section
from mindrestore.config.shipped import found
from mindrestore.config.snapshot import SnapshotConfig
from mindrestore.config.video import VideoConfig
from mindrestore.config.yaml_text import value_in, values_in
from mindrestore.errors import UserError, nearest, printable, shown
from mindrestore.files import PathLike
from mindrestore.models import DEFAULT, kind_of, names
from mindrestore.models.kind import NetworkKind
from mindrestore.readers.untrusted import text_of

NO_VALUE = ("", "null")  # of a key that may have none
CONFIGS: dict[str, type[Common]] = {"snapshot": SnapshotConfig, "video": VideoConfig, "flow": FlowConfig}
"""By the problem that a network solves: the class of its whole configuration."""
RENAMED = {"training.precision": "runtime.precision"}
"""By key of a former version, which configurations saved beside a run hold: the present key."""


def load_config(path: PathLike, overrides: Sequence[str] = ()) -> Common:
    """Read a configuration and apply overrides such as ``training.steps=100``.

    ``path`` is that of a file, or the name of a configuration that ships, such as ``small_denoise``.

    The value of an override is taken as it stands where the key takes text, as YAML elsewhere; nothing, or ``null``, is no
    value.

    Raises:
        UserError: a missing or unreadable file, an unknown key, a key given twice, or a value that cannot be.
    """
    path = found(path)
    content = values_in(text_of(path, "YAML file", yaml_text.MOST_TEXT), path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values such as 'name: my_run', found {type(content).__name__}.")
    content.setdefault("name", Path(path).stem)
    return make_config(content, overrides, path)


def make_config(content: MutableMapping[str, Any], overrides: Sequence[str] = (), origin: PathLike = "settings") -> Common:
    """Apply overrides to nested settings, in place, and check them; raises ``UserError`` that begins with ``origin``."""
    parts = [_parts(override) for override in overrides]
    _refuse_twice(parts)
    for (*section, name), override in zip(parts, overrides):
        if "model" in (*section, name):  # which says what the other keys are
            _section(content, section, override)[name] = _value(override, str if name == "name" else None)
    config = _class_of(content, origin)
    for (*section, name), override in zip(parts, overrides):
        _section(content, section, override)[name] = _value(override, _annotation(config, [*section, name]))
    _rename(content)
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
            raise UserError(
                f"{origin}: interpolation.model.name is {shown(inner.name)}, which restores no videos; give one "
                "that interpolates."
            )
        config = config.with_interpolation(inner)
    return config


def _kind_of(model: Any, default: str, key: str) -> NetworkKind:
    """Return the ``NetworkKind`` that a section ``model`` names, ``default`` where it names none; ``key`` is for an error."""
    name = model.get("name", default) if isinstance(model, dict) else default
    if not isinstance(name, str) or name not in names():
        raise UserError(f"{key} is {shown(name)}: unknown{_hint(name, names(), 'choose one of')}.")
    return kind_of(name)


def _parts(override: str) -> tuple[str, ...]:
    """Return the parts of the key of an ``override``, ``section.key=value``."""
    key, equals, _ = override.partition("=")
    parts = tuple(key.split("."))
    if not equals or not all(parts):
        raise UserError(f"{shown(override)}: an override is written key=value, such as training.steps=100.")
    return parts


def _refuse_twice(keys: Sequence[tuple[str, ...]]) -> None:
    """Raise ``UserError`` if one of ``keys`` is given twice, or lies in a section that another one gives whole."""
    for number, key in enumerate(keys):
        other = next((other for other in keys[:number] if other[: len(key)] == key or key[: len(other)] == other), None)
        if other is not None:
            both = "twice" if other == key else f"beside {'.'.join(other)}"
            raise UserError(f"{'.'.join(key)} is given {both} on the command line; give it once.")


def _section(content: MutableMapping[str, Any], names: Sequence[str], override: str) -> MutableMapping[str, Any]:
    """Return the section of ``content`` that an ``override`` goes into; sections that are not there are made."""
    for name in names:
        content = content.setdefault(name, {})
        if not isinstance(content, dict):
            raise UserError(f"{shown(override)}: {name} holds a value, not further keys.")
    return content


def _value(override: str, annotation: Any) -> Any:
    """Return the value of an ``override`` whose key takes values of type ``annotation``, None where it is not known."""
    text = override.partition("=")[2]
    kinds = [get_origin(kind) or kind for kind in _alternatives(annotation)]
    takes_none, lists = type(None) in kinds, any(get_args(kind) == (str,) for kind in _alternatives(annotation))
    if takes_none and text in NO_VALUE:
        return None
    if all(kind in (str, Literal, type(None)) for kind in kinds) and _is_text(annotation):
        return text
    try:
        return value_in(text, as_text=lists)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = printable(" ".join(str(error).split()))
        raise UserError(f"{shown(override)}: the value is not readable as YAML ({reason}).") from error


def _is_text(annotation: Any) -> bool:
    """Whether a type takes text alone, such as ``str | None`` or a choice of words."""
    choices = [choice for kind in _alternatives(annotation) if get_origin(kind) is Literal for choice in get_args(kind)]
    return annotation is not None and all(isinstance(choice, str) for choice in choices)


def _alternatives(annotation: Any) -> list[Any]:
    """Return the types that a type is one of, without what ``Annotated`` says of them."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for each in get_args(annotation) for kind in _alternatives(each)]
    return [annotation]


def _annotation(config: type[Section], key: Sequence[str]) -> Any:
    """Return the type of the values that a ``key`` takes, None if there is no such key."""
    try:
        return _fields(config, key[:-1])[key[-1]].annotation
    except (KeyError, StopIteration):
        return None


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
    key = printable(".".join(str(part) for part in error["loc"]))
    if error["type"] == "extra_forbidden":
        known = _fields(config, error["loc"][:-1])
        return f"unknown key {key}{_hint(error['loc'][-1], known, 'known keys are')}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key} is {shown(error['input'])}: {message}"


def _hint(word: object, known: Collection[str], listing: str) -> str:
    """Return a hint for an unknown word: the nearest known one, or a list of all."""
    near = nearest(word, known)
    return f" (did you mean {near}?)" if near else f" ({listing} {', '.join(known)})"


def _fields(config: type[Section], location: Sequence[str | int]) -> Mapping[str, FieldInfo]:
    """Return the fields, by key, of the section at ``location`` within ``config``."""
    for part in location:
        annotation = config.model_fields[part].annotation
        config = next(
            kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Section)
        )
    return config.model_fields
