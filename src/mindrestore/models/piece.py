"""Pieces: the parts that a network can be executed in, each a pure function of its inputs and its named weights.

A network calls a piece as it calls any cell, and in a whole graph a piece is an ordinary cell. ``mindrestore.executor``, which
executes networks piece by piece, intercepts these calls: it compiles each kind of piece once for each shape, however many
layers there are, and differentiates one piece at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from mindspore import Parameter, Tensor, nn

if TYPE_CHECKING:
    from mindrestore.native.operator import Operator

Weights = dict[str, Tensor]
Shape = tuple[int, ...]
Results = Tensor | tuple[Tensor, ...]  # of a piece that has one, or several


class ItemOperator(Protocol):
    """Computes items of an ``Itemwise`` natively.

    Tensors are items, constants, what is shared, and weights, one after the other.

    Attributes:
        forward_room: how many times as many values, by ``Itemwise.cost``, it may be given at a time forwards as backwards.
    """

    forward_room: int

    def forward(self, *tensors: Tensor) -> Tensor:
        """Return the result's items."""

    def backward(self, wanted: Sequence[int], gradient: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of the tensors at the places ``wanted``, given that of the result's items."""


class Executor(Protocol):
    """What executes pieces and sections in the place of their own calls.

    A tape returns ``mindrestore.executor.tape.Recorded`` in the place of tensors, and takes them as inputs.
    """

    def execute(self, piece: Piece, inputs: Sequence[Any]) -> Any:
        """Return the result of a piece."""

    def execute_section(self, section: Section, inputs: Sequence[Any]) -> Any:
        """Return the result of a section."""


executor: ContextVar[Executor | None] = ContextVar("executor", default=None)
"""The executor in charge; None: pieces compute as any cell does."""


class Piece(nn.Cell):
    """A function ``compute(w, *inputs)`` of tensors and of the weights ``w``, a dict of tensors by name.

    A subclass defines ``compute``. It may read attributes of the piece only if ``settings`` decides their values.

    Args:
        settings: hashable; pieces of one class and equal settings compute the same function.
        holders: cells, or single parameters, whose weights the function takes. The keyword is the prefix of their names:
            ``linear=cell`` gives ``w["linear.weight"]``. The piece does not own them.
    """

    compiled = False  # whether to compile it, which pays for many operators on large tensors of few shapes

    def __init__(self, settings: Hashable = (), **holders: nn.Cell | Parameter) -> None:
        super().__init__(auto_prefix=False)
        self.kind = (type(self).__name__, settings)
        weights = {}
        for key, holder in holders.items():
            if isinstance(holder, Parameter):
                weights[key] = holder
            else:
                weights.update({f"{key}.{name}": parameter for name, parameter in holder.parameters_and_names()})
        # past Cell.__setattr__, which would make the weights parameters of the piece and rename them
        self.__dict__["names"], self.__dict__["weights"] = tuple(weights), tuple(weights.values())

    def __call__(self, *inputs: Tensor | Shape) -> Results:
        in_charge = executor.get()
        return super().__call__(*inputs) if in_charge is None else in_charge.execute(self, inputs)

    def construct(self, *inputs: Tensor | Shape) -> Results:
        return self.compute(named(self.names, self.weights), *inputs)

    def native(self, *inputs: Tensor) -> Operator | None:
        """Return the native operator that computes the piece on these inputs, None for a piece that has none.

        Called only where native operators are available.
        """


class Rearrangement(Piece):
    """A piece without weights whose result is linear in its inputs, so that a tape need not store these."""

    def adjoint(self, shapes: Sequence[Shape | None], *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of the inputs, a tuple, given those of the results.

        shapes: of the inputs, None for an input that is no tensor; gradients: None for a result that the loss does not depend
            on.
        """
        raise NotImplementedError

    def native_adjoint(self, shapes: Sequence[Shape | None], *gradients: Tensor | None) -> Operator | None:
        """Return what computes ``adjoint`` of one input natively, or None where nothing does."""
        return None


class Itemwise(Piece):
    """A piece that treats items independently, such as windows or frames, so that it can be executed a few at a time.

    ``compute(w, shared, constants, *items)`` takes some of the items and returns as many. ``layout(*inputs)`` says how inputs
    are cut into items, ``enter`` cuts them and ``leave`` puts the results together. Both only rearrange and pad with zeros, and
    each is the adjoint of the other.

    Attributes:
        axis: of the items. If it is not axis 0, axis 0 counts images, each with items of its own.
        sizes: (entries along the axis of one item in each input, in the result).
        halo: neighbouring items on either side that an item depends on. They are computed too and dropped; the ends of the axis
            are padded as the piece pads its input.
        operator: what computes items natively, where native operators are available; None where there is none.
    """

    axis, sizes, halo = 0, (1, 1), 0
    operator: ItemOperator | None = None

    def layout(self, *inputs: Tensor) -> Any:
        """Return what ``enter`` and ``leave`` are called with; None: axis 0 of each input counts its items."""

    def enter(self, layout: Any, x: Tensor) -> Tensor:
        """Return the items of an input: (items, ...)."""
        return x

    def leave(self, layout: Any, items: Tensor) -> Tensor:
        """Undo ``enter`` for the result: (items, ...) -> the result's shape."""
        return items

    def cost(self, *items: Tensor) -> int:
        """Estimate the largest number of values that one item of one image becomes inside the piece.

        The larger, the fewer items are executed at a time.
        """
        return 8 * math.prod(items[0].shape[1:])

    def constants(self, layout: Any, *inputs: Tensor) -> Sequence[Tensor | None]:
        """Return further tensors of the items that have no gradient, each (items, ...) or None."""
        return ()

    def shared(self, w: Weights, items: int, *tables: Tensor | None) -> Sequence[Tensor]:
        """Return tensors that all items share, computed from weights and ``tables``, for ``items`` at a time."""
        return ()

    def tables(self, layout: Any) -> Sequence[Tensor | None]:
        """Return the constant tensors that ``shared`` takes, each may be None."""
        return ()

    def construct(self, *inputs: Tensor) -> Tensor:
        w = named(self.names, self.weights)
        return self.compute(w, (), (), *inputs)


class Added(Itemwise):
    """first + change(w, shared, constants, *others): invertible, ``first`` is the result minus the change.

    So a tape stores no inputs: they are recomputed from the result on the way back. Source: reversible residual networks (arXiv
    1707.04585).
    """

    def change(self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], *others: Tensor) -> Tensor:
        """Return what is added to the first input, of its shape."""
        raise NotImplementedError

    def compute(
        self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], first: Tensor, *others: Tensor
    ) -> Tensor:
        return first + self.change(w, shared, constants, *others)


class Section(nn.Cell):
    """A part of a network that is made of pieces, several tensors in and one out, which a tape may treat as one piece.

    The tape then stores only the inputs of the section, and executes it piece by piece a second time on the way back.

    Attributes:
        size: ``"stage"``, or ``"group"`` of blocks.
    """

    size: str | None = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        in_charge = executor.get()
        return self.inside(*inputs) if in_charge is None else in_charge.execute_section(self, inputs)

    def inside(self, *inputs: Tensor) -> Tensor:
        """Return the result of the section, computed by its pieces."""
        return super().__call__(*inputs)


def made_of_pieces(network: nn.Cell | Callable[..., Any]) -> bool:
    """Tell whether a network has pieces, so that ``mindrestore.executor`` can execute it."""
    return isinstance(network, nn.Cell) and any(isinstance(cell, Piece) for _, cell in network.cells_and_names())


def named(names: Sequence[str], tensors: Sequence[Tensor]) -> Weights:
    """Return a dict of ``tensors`` by name. Compiled code has no ``dict(zip(...))``."""
    result = {}
    for index in range(len(names)):
        result[names[index]] = tensors[index]
    return result
