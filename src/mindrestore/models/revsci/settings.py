"""What a RevSCI network is built from, checked before anything is built."""
from typing import NamedTuple

from mindrestore.errors import UserError
from mindrestore.models.revsci import coupling as couplings

COUPLINGS = ("two_way", "multi_group")
STARTS = ("normalised", "gap_tv")


class Widths(NamedTuple):
    """Channels of head and tail, outermost first; every one scales with ``channels`` (64 as published)."""

    inputs: int
    head: tuple  # outputs of the head's four convolutions
    last_kernel: tuple  # of the head's strided convolution
    tail: tuple  # outputs of the tail's four convolutions


def check(blocks, groups, coupling, colour, channels, start):
    """Raise ``UserError`` naming the setting that cannot be, and what it could be."""
    for name, value in (("blocks", blocks), ("groups", groups), ("channels", channels)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"RevSCI {name} is {value!r}; it must be a whole number of at least 1.")
    if coupling not in COUPLINGS:
        raise UserError(f"RevSCI coupling is {coupling!r}; choose one of {', '.join(COUPLINGS)}.")
    if start not in STARTS:
        raise UserError(f"RevSCI start is {start!r}; choose one of {', '.join(STARTS)}.")
    if not isinstance(colour, bool):
        raise UserError(f"RevSCI colour is {colour!r}; it must be true or false.")
    if channels % 8:
        raise UserError(f"RevSCI channels is {channels}; it must be a multiple of 8.")
    if coupling == "two_way" and groups != 2:
        raise UserError(f"RevSCI groups is {groups}; two_way coupling has exactly 2, more need multi_group.")
    if groups < 2 or channels % groups:
        raise UserError(f"RevSCI groups is {groups}; it must be at least 2 and divide the {channels} channels.")


def coupling_of(name, groups):
    """Return the ``Coupling`` called ``name``."""
    return couplings.two_way() if name == "two_way" else couplings.multi_group(groups)


def widths(colour, channels, start):
    """Return the widths of head and tail. A GAP-TV start has the estimate's channels and two residuals for inputs."""
    half, quarter = channels // 2, channels // 4
    outputs = 3 if colour else 1
    if colour:
        inputs, head, last_kernel, tail = 2, (quarter, quarter, half, channels), (1, 3, 3), (half, quarter, quarter, outputs)
    else:
        inputs, head, last_kernel, tail = 1, (quarter, half, half, channels), (3, 3, 3), (half, half, quarter, outputs)
    return Widths(outputs + 2 if start == "gap_tv" else inputs, head, last_kernel, tail)
