"""What goes into an exported network and what comes out: names, shapes and ranges, in the order of its arguments."""
from typing import NamedTuple, Optional, Tuple


class Port(NamedTuple):
    """One input or output of an exported network. All are float32."""

    name: str
    shape: Tuple[Optional[int], ...]  # None where the size is free
    range: Tuple[float, float]
    meaning: str

    def of_size(self, height, width):
        """Return the shape for images of ``height`` x ``width``; the last two axes are height and width."""
        return (*self.shape[:-2], height, width)

    def record(self):
        """Return the port as JSON values."""
        return dict(name=self.name, type="float32", shape=list(self.shape), range=list(self.range),
                    meaning=self.meaning)


class Signature(NamedTuple):
    """Inputs and outputs, and what a consumer must know to cut a clip for them.

    ``tile`` is the (frames, height, width) of one call, None where it is free; ``window`` what whole axes are padded to
    multiples of before the network is exported, None where it does not matter; ``use`` says in words how to call it.
    """

    inputs: Tuple[Port, ...]
    outputs: Tuple[Port, ...]
    tile: Tuple[Optional[int], ...]
    window: Optional[Tuple[int, ...]]
    use: str

    def record(self):
        """Return the signature as JSON values."""
        return dict(inputs=[port.record() for port in self.inputs], outputs=[port.record() for port in self.outputs],
                    tile=list(self.tile), window=self.window and list(self.window), use=self.use)
