"""YAML as configurations are written in it: plain values, every key once, nothing that unfolds to more than it says."""

from __future__ import annotations

from typing import Any

import yaml

from mindrestore.errors import shown
from mindrestore.files import PathLike
from mindrestore.readers.untrusted import reading

KIND = "YAML file"
MOST_TEXT = 2**16  # bytes; the longest configuration has a twentieth
MOST_VALUES = 10_000
LONGEST = 4096  # letters of a value, as of a path
DEEPEST = 30
MOST_BITS = 53  # of a whole number, as many as a float holds


class _Loader(yaml.SafeLoader):
    """Refuses keys that are there twice, and more values than a configuration has."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        if isinstance(node, yaml.MappingNode):
            _refuse_duplicates(node)
        return super().construct_mapping(node, deep)


class _TextLoader(yaml.BaseLoader):
    """Takes every value as text: ``011`` is no number, ``no`` not false."""


def values_in(text: str, path: PathLike) -> Any:
    """Return the values that the ``text`` of a configuration spells; ``UserError``, which names ``path``, if it spells none."""
    with reading(path, KIND):
        return _loaded(text, _Loader)


def value_in(text: str, as_text: bool = False) -> Any:
    """Return the value that the ``text`` of a key spells, with ``as_text`` as text or lists of text.

    Raises ``yaml.YAMLError`` or ``ValueError`` if it spells none.
    """
    return _loaded(text, _TextLoader if as_text else _Loader)


def _loaded(text: str, loader: type[yaml.SafeLoader] | type[yaml.BaseLoader]) -> Any:
    if len(text) > MOST_TEXT:
        raise ValueError(f"it is longer than {MOST_TEXT} letters")
    _refuse_extremes(text)
    value = yaml.load(text, loader)
    _count(value)
    return value


def _refuse_extremes(text: str) -> None:
    """Raise ``ValueError`` for values that are too many, too long or nested too deeply, before they are made by recursion."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError("its values are nested too deeply")
        if count > MOST_VALUES:
            raise ValueError(f"it has more than {MOST_VALUES} values")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > LONGEST:
            raise ValueError(f"it has a value of {len(event.value)} letters, expected {LONGEST} at most")


def _count(value: Any) -> None:
    """Raise ``ValueError`` if ``value`` unfolds, by its aliases, to more than ``MOST_VALUES`` values, contains itself, or has a
    number beyond ``MOST_BITS``.
    """
    pending, count = [value], 0
    while pending:
        value = pending.pop()
        count += 1
        if count > MOST_VALUES:
            raise ValueError(f"it unfolds to more than {MOST_VALUES} values")
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise ValueError(f"it has a whole number of {value.bit_length()} bits, expected {MOST_BITS} at most")
        pending += [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []


def _refuse_duplicates(node: yaml.MappingNode) -> None:
    seen = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                raise ValueError(
                    f"line {key.start_mark.line + 1} has the key {shown(key.value)}, as has line "
                    f"{seen[key.value]}; give it once"
                )
            seen[key.value] = key.start_mark.line + 1
