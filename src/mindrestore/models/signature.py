"""Inputs and outputs of an exported network: names, shapes and ranges, in the order of its arguments; and where the description
that holds them lies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

from numpy.typing import ArrayLike


def description_of(path: Path) -> Path:
    """Return the path of the description beside an exported file: net.onnx.json of net.onnx, so that a net.mindir beside it has
    one of its own.
    """
    return path.with_name(f"{path.name}.json")


class OnnxGraph(Protocol):
    """An ONNX graph that nodes are added to, see ``mindrestore.deploy.onnx_graph.Graph``. Values are names."""

    def __call__(self, operator: str, *inputs: str | ArrayLike, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, or a list of several."""

    def input(self, port: Port) -> str:
        """Add an input; return its name."""

    def output(self, value: str, port: Port) -> None:
        """Make a value an output."""

    def write(self, path: Path, meaning: str) -> None:
        """Write the graph to a file with a description."""


class Port(NamedTuple):
    """One input or output of an exported network. All are float32."""

    name: str
    shape: tuple[int | None, ...]  # None where the size is free
    range: tuple[float, float]
    meaning: str

    def of_size(self, height: int, width: int, batch: int = 1) -> tuple[int, ...]:
        """Return the shape with ``height`` and ``width`` as its last two axes, and ``batch`` as its first if that is free."""
        first, *others = self.shape[:-2]
        return (batch if first is None else first, *others, height, width)

    def record(self) -> dict[str, Any]:
        """Return the port as JSON values."""
        return dict(name=self.name, type="float32", shape=list(self.shape), range=list(self.range), meaning=self.meaning)


class Signature(NamedTuple):
    """Inputs and outputs, and how to cut a clip into inputs.

    Attributes:
        inputs, outputs: in order.
        tile: (frames, height, width) of one call, None where free.
        window: whole axes are padded to multiples of it; None: no padding is needed.
        use: how to call the network, in words.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    tile: tuple[int | None, ...]
    window: tuple[int, ...] | None
    use: str

    def record(self) -> dict[str, Any]:
        """Return the signature as JSON values."""
        return dict(
            inputs=[port.record() for port in self.inputs],
            outputs=[port.record() for port in self.outputs],
            tile=list(self.tile),
            window=self.window and list(self.window),
            use=self.use,
        )
