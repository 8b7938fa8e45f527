"""Settings of RevSCI, checked before anything is built."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from mindrestore.models.kind import SnapshotAbilities
from mindrestore.models.revsci import coupling as couplings
from mindrestore.models.settings import Flag, Settings, Whole


class RevSCISettings(Settings):
    """Settings of a RevSCI; the defaults are the paper's network of 50 two-way blocks."""

    title: ClassVar[str] = "RevSCI"

    name: Literal["revsci"] = "revsci"
    blocks: Whole = Field(50, description="reversible blocks")
    groups: Whole = Field(2, description="groups that a block's channels are split into; 2 for two_way")
    coupling: Literal["two_way", "multi_group"] = "two_way"
    colour: Flag = Field(False, description="the measurement is an RGGB mosaic and the output RGB")
    channels: Whole = Field(64, description="width inside the blocks; every other layer's width scales with it")
    start: Literal["normalised", "gap_tv"] = Field(
        "normalised",
        description="as published, the measurement divided by the sum of the masks; or an estimate of the clip "
        "(mindrestore.sensing.gap_tv), which the network corrects",
    )

    @property
    def abilities(self) -> SnapshotAbilities:
        return SnapshotAbilities(colour=self.colour, corrects_estimate=self.start == "gap_tv")

    def least_numbers(self) -> int:
        convolutions = 2 * self.blocks * self.groups  # of 3 x 3 x 3
        return 27 * convolutions * (self.channels // self.groups) ** 2

    @model_validator(mode="after")
    def _fits(self) -> RevSCISettings:
        if self.channels % 8:
            raise ValueError(f"RevSCI channels is {self.channels}; it must be a multiple of 8.")
        if self.coupling == "two_way" and self.groups != 2:
            raise ValueError(f"RevSCI groups is {self.groups}; two_way coupling has exactly 2, more need multi_group.")
        if self.groups < 2 or self.channels % self.groups:
            raise ValueError(f"RevSCI groups is {self.groups}; it must be at least 2 and divide the {self.channels} channels.")
        return self


class Widths(NamedTuple):
    """Channels of head and tail in the order of the layers; all scale with ``channels`` (64 as published)."""

    inputs: int
    head: tuple[int, ...]  # outputs of its four convolutions
    last_kernel: tuple[int, int, int]  # of the strided convolution of the head
    tail: tuple[int, ...]  # outputs of its four convolutions


def coupling_of(name: str, groups: int) -> couplings.Coupling:
    """Return the ``Coupling`` called ``name``."""
    return couplings.two_way() if name == "two_way" else couplings.multi_group(groups)


def widths(colour: bool, channels: int, start: str) -> Widths:
    """Return the widths of head and tail. The inputs of a GAP-TV start are the channels of the estimate and two residuals."""
    half, quarter = channels // 2, channels // 4
    outputs = 3 if colour else 1
    if colour:
        inputs, head, last_kernel, tail = 2, (quarter, quarter, half, channels), (1, 3, 3), (half, quarter, quarter, outputs)
    else:
        inputs, head, last_kernel, tail = 1, (quarter, half, half, channels), (3, 3, 3), (half, half, quarter, outputs)
    return Widths(outputs + 2 if start == "gap_tv" else inputs, head, last_kernel, tail)
