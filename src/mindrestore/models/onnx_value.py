"""Values of an ONNX graph in the place of tensors: calling a network with them draws it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from mindrestore.models.signature import OnnxGraph


class Drawn:
    """A value of a graph in the place of a tensor.

    The number of clips is free. ``shape`` is that of a single clip; that of the value has it times the number of clips along
    axis 0, whatever axis 0 counts. So nothing may be cut, joined or moved along it.
    """

    def __init__(self, graph: OnnxGraph, name: str, shape: tuple[int, ...]) -> None:
        self.graph, self.name, self.shape = graph, name, tuple(shape)

    def node(self, operator: str, *others: Any, shape: tuple[int, ...] | None = None, **attributes: Any) -> Drawn:
        """Add a node of this value and ``others``; shape: of its result, by default that of this value."""
        names = (other.name if isinstance(other, Drawn) else other for other in others)
        return Drawn(self.graph, self.graph(operator, self.name, *names, **attributes), shape or self.shape)

    def __add__(self, other: Drawn | np.ndarray | float) -> Drawn:
        return self._with("Add", other)

    def __sub__(self, other: Drawn | np.ndarray | float) -> Drawn:
        return self._with("Sub", other)

    def __mul__(self, other: Drawn | np.ndarray | float) -> Drawn:
        return self._with("Mul", other)

    def __truediv__(self, other: Drawn | np.ndarray | float) -> Drawn:
        return self._with("Div", other)

    def __getitem__(self, slices: tuple[slice, ...]) -> Drawn:
        ranges = [part.indices(length)[:2] for part, length in zip(slices, self.shape)]
        cut = [axis for axis, (of_axis, length) in enumerate(zip(ranges, self.shape)) if of_axis != (0, length)]
        if not cut:
            return self
        starts, ends_ = ([ranges[axis][side] for axis in cut] for side in (0, 1))
        shape = [last - first for first, last in ranges] + list(self.shape[len(ranges) :])
        return self.node("Slice", starts, ends_, cut, shape=tuple(shape))

    def reshape(self, *shape: int) -> Drawn:
        """As of a tensor."""
        known = math.prod(length for length in shape if length != -1)
        shape = tuple(math.prod(self.shape) // known if length == -1 else length for length in shape)
        return self if shape == self.shape else self.node("Reshape", [-1, *shape[1:]], shape=shape)

    def permute(self, *axes: int) -> Drawn:
        """As of a tensor."""
        return self.node("Transpose", perm=list(axes), shape=tuple(self.shape[axis] for axis in axes))

    def mean(self, axes: tuple[int, ...], keepdim: Literal[True]) -> Drawn:
        """As of a tensor, one axis after the other: ONNX Runtime adds up in float32, and the sum of a clip is off by 1e-5."""
        mean = self
        for axis in reversed(axes):
            shape = tuple(1 if at == axis else length for at, length in enumerate(mean.shape))
            mean = mean.node("ReduceMean", axes=[axis], shape=shape)
        return mean

    def gathered(self, places: np.ndarray | Sequence[int], axis: int) -> Drawn:
        """Return the entries at ``places`` of an axis."""
        places = np.asarray(places)
        return self.node("Gather", places, axis=axis, shape=(*self.shape[:axis], *places.shape, *self.shape[axis + 1 :]))

    def with_zeros(self, axis: int, before: int, after: int) -> Drawn:
        """Pad along an axis; as ``mindrestore.ops.margins.with_zeros``."""
        if before == after == 0:
            return self
        pads = np.zeros((2, len(self.shape)), int)
        pads[:, axis] = before, after
        shape = tuple(length + before + after if at == axis else length for at, length in enumerate(self.shape))
        return self.node("Pad", pads.reshape(-1), np.float32(0), shape=shape)

    def resized(self, height: int, width: int, coordinates: str = "half_pixel") -> Drawn:
        """Resize images (N, C, H, W) bilinearly; coordinates: ``"half_pixel"`` or ``"align_corners"``."""
        of_axes = self.graph("Slice", self.graph("Shape", self.name), [0], [2])
        sizes = self.graph("Concat", of_axes, [height, width], axis=0)
        way = dict(mode="linear", coordinate_transformation_mode=coordinates)
        return self.node("Resize", "", "", sizes, shape=(*self.shape[:2], height, width), **way)

    def _with(self, operator: str, other: Drawn | np.ndarray | float) -> Drawn:
        other = other if isinstance(other, Drawn) else np.asarray(other, np.float32)
        return self.node(operator, other, shape=np.broadcast_shapes(self.shape, other.shape))


def joined(values: Sequence[Drawn], axis: int) -> Drawn:
    """Return ``values`` one after the other along an axis, not the first."""
    first, *others = values
    length = sum(value.shape[axis] for value in values)
    return first.node("Concat", *others, axis=axis, shape=(*first.shape[:axis], length, *first.shape[axis + 1 :]))
