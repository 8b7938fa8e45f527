"""Settings of networks: one type for configurations, checkpoints and classes, and a sentence for every mistake."""

from typing import Annotated, ClassVar, Literal, Optional

import pytest
from pydantic import Field, ValidationError

from mindrestore.config import configuration_of
from mindrestore.errors import UserError
from mindrestore.models import BUILT_IN, create_model, kind_of
from mindrestore.models.revsci import RevSCI, RevSCISettings
from mindrestore.models.settings import Counts, Flag, Settings, Three, Whole
from mindrestore.models.vrt import VRT, VRTSettings

SMALL = dict(
    upscale=1,
    img_size=(2, 64, 64),
    window_size=(2, 8, 8),
    depths=(1,) * 8,
    indep_reconsts=(),
    embed_dims=(4,) * 8,
    num_heads=(1,) * 8,
    deformable_groups=2,
)


class Wide(Settings):
    """A setting of every type that has words of its own, and some that have none."""

    title: ClassVar[str] = "Wide"

    name: Literal["wide"] = "wide"
    count: Whole = 1
    any_count: Annotated[int, Field(strict=True)] = 1
    flag: Flag = False
    mode: Literal["one", "two"] = "one"
    scale: Literal[2, 4] = 2
    sizes: Three = [1, 1, 1]
    counts: Counts = [1]
    share: float = Field(0.5, ge=0, lt=1)
    factor: Annotated[float, Field(gt=0)] | None = None
    older: Optional[Annotated[float, Field(gt=0)]] = None  # noqa: UP045 - as networks of others may write it
    any_number: float = 0.0
    below: float = Field(0.0, lt=3)
    path: str = "x"
    few: int = Field(1, le=3)
    names: list[str] = []


@pytest.mark.parametrize(
    "given, said",
    [
        (dict(count=0), "count is 0; it must be a whole number of at least 1"),
        (dict(count=1.0), "count is 1.0; it must be a whole number of at least 1"),
        (dict(count=True), "count is True; it must be a whole number of at least 1"),
        (dict(count="2"), "count is '2'; it must be a whole number of at least 1"),
        (dict(count=None), "count is None; it must be a whole number of at least 1"),
        (dict(any_count=1.5), "any_count is 1.5; it must be a whole number"),
        (dict(flag=1), "flag is 1; it must be true or false"),
        (dict(flag="yes"), "flag is 'yes'; it must be true or false"),
        (dict(mode="three"), "mode is 'three'; choose one of one, two"),
        (dict(scale=3), "scale is 3; choose one of 2, 4"),
        (dict(scale=True), "scale is True; choose one of 2, 4"),
        (dict(sizes=[1, 2]), "sizes is [1, 2]; it must be a list of 3"),
        (dict(sizes=7), "sizes is 7; it must be a list of 3"),
        (dict(counts=[1, 0]), "counts is 0; it must be a whole number of at least 1"),
        (dict(share=1), "share is 1; it must be a number from 0 to below 1"),
        (dict(share=float("nan")), "share is nan; it must be a number from 0 to below 1"),
        (dict(share=True), "share is True; it must be a number from 0 to below 1"),
        (dict(factor=0), "factor is 0; it must be a number above 0"),
        (dict(older=0), "older is 0; it must be a number above 0"),
        (dict(any_number="x"), "any_number is 'x'; it must be a number"),
        (dict(below=3), "below is 3; it must be a number below 3"),
        (dict(path=3), "path is 3; Input should be a valid string"),
        (dict(few=4), "few is 4; Input should be less than or equal to 3"),
        (dict(names=[1]), "names is 1; Input should be a valid string"),
    ],
)
def test_every_mistake_is_a_sentence(given, said):
    with pytest.raises(UserError) as caught:
        Wide.of(given)
    assert str(caught.value) == f"Wide {said}."


def test_unknown_settings_name_the_nearest():
    with pytest.raises(UserError, match="model wide: unknown setting 'shares', it has count, .*seed. Did you mean 'share'"):
        Wide.of(dict(shares=1))


@pytest.mark.parametrize("name", BUILT_IN)
def test_one_type_serves_configurations_checkpoints_and_classes(name):
    kind = kind_of(name)
    settings = kind.settings()
    assert kind.name == name == settings.name and "name" not in settings.network_settings()
    assert kind.settings.of(settings.network_settings()) == settings  # what a checkpoint holds
    config = configuration_of(kind)
    assert config.model_fields["model"].annotation is kind.settings and config.problem == kind.problem
    with pytest.raises(ValidationError):
        settings.name = "other"


def test_a_class_takes_settings_by_name_or_as_an_object(prepared):
    pairs = [
        (VRT(**SMALL), VRT(VRTSettings(**SMALL))),
        (RevSCI(blocks=1, channels=8), RevSCI(RevSCISettings(blocks=1, channels=8))),
    ]
    for (one, other), made in zip(pairs, (create_model("vrt", **SMALL), create_model("revsci", blocks=1, channels=8))):
        assert one.settings == other.settings == made.settings and one.abilities == other.abilities == made.abilities
    assert pairs[0][0].settings["img_size"] == [2, 64, 64] and pairs[0][0].settings["num_feat"] == 64
    with pytest.raises(UserError, match="VRT upscale is 5; choose one of 1, 2, 3, 4, 8"):
        VRT(upscale=5)
