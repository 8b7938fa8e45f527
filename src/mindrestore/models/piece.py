"""Pieces: the parts that a network can be executed in, each a pure function of its inputs and its named weights.

A network calls its pieces as it calls any cell, and in one graph with everything around it a piece is nothing else. What
executes networks piece by piece (``mindrestore.executor``) takes these calls over: it compiles each kind of piece once for
each shape, whatever the number of layers, and differentiates one piece at a time.
"""
import math
from contextvars import ContextVar
from typing import Dict, Hashable, Sequence, Union

from mindspore import Parameter, Tensor, nn

executor = ContextVar("executor", default=None)
"""What takes the calls of pieces and sections over, an object with ``execute(piece, inputs)`` and ``execute_section(section,
inputs)``; None: nothing does.
"""


class Piece(nn.Cell):
    """A function ``compute(w, *inputs)`` of tensors and of the weights ``w``, a dict of tensors by name.

    A subclass defines ``compute``, which depends on its own attributes in nothing but what ``settings`` says.

    Args:
        settings: hashable; pieces of one class and equal settings compute the same function.
        holders: cells, or single parameters, whose weights the piece is a function of. Their names in ``w`` begin with the
            keyword: ``linear=cell`` gives ``w["linear.weight"]``. The piece does not own them.
    """

    compiled = False  # whether compiling pays: many operators on large tensors, at a few shapes

    def __init__(self, settings: Hashable = (), **holders: Union[nn.Cell, Parameter]):
        super().__init__(auto_prefix=False)
        self.kind = (type(self).__name__, settings)
        weights = {}
        for key, holder in holders.items():
            if isinstance(holder, Parameter):
                weights[key] = holder
            else:
                weights.update({f"{key}.{name}": parameter for name, parameter in holder.parameters_and_names()})
        # beside the attributes of the cell, which would make the weights its own and rename them
        self.__dict__["names"], self.__dict__["weights"] = tuple(weights), tuple(weights.values())

    def __call__(self, *inputs):
        taker = executor.get()
        return super().__call__(*inputs) if taker is None else taker.execute(self, inputs)

    def construct(self, *inputs):
        return self.compute(named(self.names, self.weights), *inputs)

    def native(self, *inputs):
        """Return the piece on these inputs as one native operator, None for a piece that has none.

        It is an object with ``forward()``, which returns the result, and ``backward(gradient, wanted)``, which returns what
        ``mindrestore.executor.piecewise.Run.backward`` does. Asked for only where native operators are available.
        """


class Rearrangement(Piece):
    """A piece without weights whose result is linear in its inputs, so that a tape need not keep these."""

    def adjoint(self, shapes, *gradients):
        """Return the gradients of the inputs, a tuple, given those of the results.

        shapes: of the inputs, None for what is no tensor; gradients: None for a result that the loss does not depend on.
        """
        raise NotImplementedError


class Itemwise(Piece):
    """A piece that treats items by themselves, such as windows or frames, so that it can be executed some at a time.

    ``compute(w, shared, constants, *items)`` takes some of the items and returns as many. Before and after,
    ``layout(*inputs)`` says how inputs are cut into items, ``enter`` does it and ``leave`` undoes it; each is the adjoint of
    the other, as they only rearrange and pad with zeros.

    Attributes:
        axis: of the items; where it is not the first one, that counts images, each of which has items of its own.
        sizes: entries along the axis of one item in each input, and in the result.
        halo: items on either side that an item depends on. They are computed along and dropped; at both ends of the axis the
            piece does what it does at the ends of its input.
        operator: what computes items natively, where native operators are available: an object with ``forward(*tensors)`` and
            ``backward(wanted, gradient, *tensors)``, which returns the gradients of the tensors at the places ``wanted``. The
            tensors are items, constants, what is shared, and weights. None where there is none.
    """

    axis, sizes, halo = 0, (1, 1), 0
    operator = None

    def layout(self, *inputs):
        """Return what ``enter`` and ``leave`` need to know; None: the first axis of each input counts its items."""

    def enter(self, layout, x):
        """Return the items of an input: (items, ...)."""
        return x

    def leave(self, layout, items):
        """Return what the items stand for."""
        return items

    def cost(self, *items):
        """Return how many numbers one item, of one image, is at most on its way through the piece, about: the more, the fewer
        are taken at a time.
        """
        return 8 * math.prod(items[0].shape[1:])

    def constants(self, layout, *inputs):
        """Return further tensors of the items, which no gradient is taken of, each (items, ...) or None."""
        return ()

    def shared(self, w, items, *tables):
        """Return tensors that all items share, made of the weights, for ``items`` at a time and ``tables``."""
        return ()

    def tables(self, layout):
        """Return constant tensors that ``shared`` needs, None where there are none."""
        return ()

    def construct(self, *inputs):
        w = named(self.names, self.weights)
        return self.compute(w, (), (), *inputs)


class Added(Itemwise):
    """first + change(w, shared, constants, *others): what was added to can be had again from the result and the others.

    So a tape keeps neither: it follows from what the pieces after it leave. The source of reversible training (arXiv
    1707.04585).
    """

    def change(self, w, shared, constants, *others):
        raise NotImplementedError

    def compute(self, w, shared, constants, first, *others):
        return first + self.change(w, shared, constants, *others)


class Section(nn.Cell):
    """A part of a network that is made of pieces, several tensors in and one out, which a tape may take for one piece.

    It then keeps what goes into the section alone, and executes it piece by piece a second time on the way back.

    Attributes:
        size: how much such a section is: ``"stage"``, or ``"group"`` of blocks.
    """

    size = None

    def __call__(self, *inputs):
        taker = executor.get()
        return self.inside(*inputs) if taker is None else taker.execute_section(self, inputs)

    def inside(self, *inputs: Tensor) -> Tensor:
        """Return what the section makes of its inputs, by its pieces."""
        return super().__call__(*inputs)


def made_of_pieces(network) -> bool:
    """Tell whether a network can be executed piece by piece (``mindrestore.executor``)."""
    return isinstance(network, nn.Cell) and any(isinstance(cell, Piece) for _, cell in network.cells_and_names())


def named(names: Sequence[str], tensors: Sequence[Tensor]) -> Dict[str, Tensor]:
    """Return a dict of ``tensors`` by name; for graphs too."""
    result = {}
    for index in range(len(names)):
        result[names[index]] = tensors[index]
    return result
