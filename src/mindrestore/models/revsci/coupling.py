"""Reversible couplings: a block is a list of steps ``target += residual(source)`` between groups of channels.

A step does not change its source, so it is undone by ``target -= residual(source)``, and a block by undoing its steps from last
to first. Forward, inverse and reversible training need nothing else of a block.
Source: RevSCI (arXiv 2103.03089), section 3.2; multi-group as in its code.
"""

from __future__ import annotations

from typing import NamedTuple


class Coupling(NamedTuple):
    """How the groups of a block's input are combined."""

    names: tuple[str, ...]  # published name of each step's residual, within the block
    steps: tuple[tuple[int, int], ...]  # (target, source) group of each step, in order
    reverses: bool  # whether the groups leave in reversed order

    @property
    def groups(self) -> int:
        return 1 + max(target for target, _ in self.steps)


def two_way() -> Coupling:
    """y1 = x1 + f(x2); y2 = x2 + g(y1)"""
    return Coupling(("f1", "g1"), ((0, 1), (1, 0)), False)


def multi_group(groups: int) -> Coupling:
    """y0 = x_{n-1} + F0(x0); y_i = x_{n-1-i} + F_i(y_{i-1})

    y_i takes the place of the x it is made from, x_{n-1-i}, so the groups leave in reversed order.
    """
    steps = ((groups - 1, 0),) + tuple((groups - 1 - i, groups - i) for i in range(1, groups))
    return Coupling(tuple(f"f.{i}.nn_layer" for i in range(groups)), steps, True)
