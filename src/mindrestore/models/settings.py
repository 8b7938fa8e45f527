"""Settings of networks: what a network is built from, checked once, with a sentence for every mistake.

One type a network is the section ``model`` of its configurations, what its checkpoints hold, and what its class takes.
"""
from typing import Annotated, ClassVar, List, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from mindrestore.errors import UserError, nearest
from mindrestore.sections import Section

Whole = Annotated[int, Field(strict=True, ge=1)]
Flag = Annotated[bool, Field(strict=True)]
Counts = List[Whole]
Three = Annotated[Counts, Field(min_length=3, max_length=3)]  # (frames, height, width)


class Settings(Section):
    """Settings of one kind of network; each has a default.

    A subclass names its kind by the default of ``name`` and says what messages and tables call it by ``title``. How settings
    fit each other is for a ``model_validator`` of its own, which raises ``ValueError`` with a whole sentence.
    """

    model_config = ConfigDict(frozen=True)

    title: ClassVar[str]
    name: str

    @classmethod
    def of(cls, given):
        """Return the settings ``given`` as a dict; raises ``UserError`` that names what cannot be, and what could be."""
        try:
            return cls(**given)
        except ValidationError as error:
            raise UserError(cls._sentence(error.errors()[0], given)) from error

    @property
    def abilities(self):
        """What such a network can do, see ``mindrestore.models.kind``."""
        raise NotImplementedError

    def network_settings(self):
        """Return all settings but the name as a dict of JSON values: what a checkpoint holds."""
        return self.model_dump(exclude={"name"})

    def check_training(self, training):
        """Raise ``ValueError`` where the section ``training`` of a configuration asks for what such a network has not."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_flag_for_a_number(cls, value, info):
        if isinstance(value, bool) and cls.model_fields[info.field_name].annotation is not bool:
            raise PydanticCustomError("flag", "Input should not be true or false")
        return value

    @classmethod
    def _sentence(cls, error, given):
        if error["type"] == "value_error":
            return error["msg"].removeprefix("Value error, ")
        key, *place = error["loc"]
        if error["type"] == "extra_forbidden":
            return cls._unknown(key)
        field = cls.model_fields[key]
        if place:  # within a list
            value, expected = error["input"], _expected(get_args(field.annotation)[0])
        else:
            value, expected = given.get(key), _expected(field.annotation, field.metadata)
        return f"{cls.title} {key} is {value!r}; {expected or error['msg']}."

    @classmethod
    def _unknown(cls, key):
        """Say that there is no setting called ``key``, and which it might have been."""
        known = [name for name in cls.model_fields if name != "name"] + ["seed"]
        near = nearest(key, known)
        hint = f" Did you mean {near!r}?" if near else ""
        return f"model {cls.model_fields['name'].default}: unknown setting {key!r}, it has {', '.join(known)}.{hint}"


def _expected(annotation, limits=()):
    """Say in words what a setting takes, as its type and its limits say; None for the types and limits that are seldom."""
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        limits = [limit for each in more for limit in (each.metadata if isinstance(each, FieldInfo) else [each])]
        return _expected(annotation, limits)
    if get_origin(annotation) is Union:  # Optional
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


def _limit(limits, name):
    return next((getattr(limit, name) for limit in limits if hasattr(limit, name)), None)
