"""Settings of networks, checked once, with a sentence for every mistake.

Each network has one type of settings: the section ``model`` of its configurations, the settings in its checkpoints, and the
argument of its class are all of that type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from mindrestore.errors import UserError, nearest, shown
from mindrestore.sections import Section

if TYPE_CHECKING:
    from typing_extensions import Self

    from mindrestore.models.kind import Abilities

Whole = Annotated[int, Field(strict=True, ge=1)]
Flag = Annotated[bool, Field(strict=True)]
Counts = list[Whole]
Three = Annotated[Counts, Field(min_length=3, max_length=3)]  # (frames, height, width)


class Settings(Section):
    """Settings of one kind of network; each has a default.

    The default of ``name`` is the name of the kind; ``title`` is its name in messages and tables. A subclass checks how
    settings fit each other in a ``model_validator`` that raises ``ValueError`` with a whole sentence.
    """

    model_config = ConfigDict(frozen=True)

    title: ClassVar[str]
    name: str

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings of ``values`` by name; raises ``UserError`` that names the wrong one and what is allowed."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise UserError(cls._sentence(error.errors()[0], values)) from error

    @property
    def abilities(self) -> Abilities:
        """What a network of these settings can do, see ``mindrestore.models.kind``."""
        raise NotImplementedError

    def least_numbers(self) -> int:
        """Return how many numbers the weights of such a network hold at least: a file that has fewer is not built from."""
        return 0

    def network_settings(self) -> dict[str, Any]:
        """Return all settings but the name as a dict of JSON values, as checkpoints hold them."""
        return self.model_dump(exclude={"name"})

    def check_training(self, training: Section) -> None:
        """Raise ``ValueError`` if the section ``training`` of a configuration does not fit the network."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[info.field_name].annotation is not bool:
            raise PydanticCustomError("flag", "Input should not be true or false")
        return value

    @classmethod
    def _sentence(cls, error: ErrorDetails, values: Mapping[str, Any]) -> str:
        """Return pydantic's first error as one sentence."""
        if error["type"] == "value_error":
            return error["msg"].removeprefix("Value error, ")
        key, *place = error["loc"]
        if error["type"] == "extra_forbidden":
            return cls._unknown(key)
        field = cls.model_fields[key]
        if place:  # within a list
            value, expected = error["input"], _expected(get_args(field.annotation)[0])
        else:
            value, expected = values.get(key), _expected(field.annotation, field.metadata)
        return f"{cls.title} {key} is {shown(value)}; {expected or error['msg']}."

    @classmethod
    def _unknown(cls, key: str) -> str:
        """Return the sentence for an unknown setting ``key``, with the most similar one."""
        known = [name for name in cls.model_fields if name != "name"] + ["seed"]
        near = nearest(key, known)
        hint = f" Did you mean {near!r}?" if near else ""
        return f"model {cls.model_fields['name'].default}: unknown setting {shown(key)}, it has {', '.join(known)}.{hint}"


def _expected(annotation: Any, limits: Sequence[Any] = ()) -> str | None:
    """Return in words what values a setting takes, by its type and limits; None for types and limits without words here."""
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        limits = [limit for each in more for limit in (each.metadata if isinstance(each, FieldInfo) else [each])]
        return _expected(annotation, limits)
    if get_origin(annotation) in (Union, UnionType):  # X | None
        return _expected(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return f"choose one of {', '.join(map(str, get_args(annotation)))}"
    if get_origin(annotation) is list:
        length = _limit(limits, "max_length")
        return "it must be a list" if length is None else f"it must be a list of {length}"
    if annotation is bool:
        return "it must be true or false"
    least, above, below, *others = (_limit(limits, name) for name in ("ge", "gt", "lt", "le", "multiple_of"))
    if any(limit is not None for limit in others):
        return None
    if annotation is int and above is None and below is None:
        return "it must be a whole number" + ("" if least is None else f" of at least {least}")
    if annotation is float:
        low = "" if least is above is None else f" above {above:g}" if least is None else f" from {least:g}"
        return f"it must be a number{low}" + ("" if below is None else f" to below {below:g}" if low else f" below {below:g}")
    return None


def _limit(limits: Sequence[Any], name: str) -> Any:
    return next((getattr(limit, name) for limit in limits if hasattr(limit, name)), None)
