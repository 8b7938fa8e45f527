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
    inputs: Tuple[Port, ...]
    outputs: Tuple[Port, ...]

    def record(self):
        """Return the signature as JSON values."""
        return dict(inputs=[port.record() for port in self.inputs], outputs=[port.record() for port in self.outputs])


def revsci(network, frames, height, width, batch):
    """Return the ``Signature`` of a RevSCI ``network`` for clips of ``frames``; height and width are None if free."""
    image = (height, width)
    planes = (batch, 3, frames) if network.colour else (batch, frames)
    inputs = [
        Port("measurement", (batch, *image), (0, frames),
             "sum over the frames of mask times frame, in units of one frame's white"
             + (", seen through an RGGB mosaic" if network.colour else "")),
        Port("mask", (frames, *image), (0, 1), "1 where a pixel of a frame is seen, 0 where it is not"),
    ]
    if network.corrects_estimate:
        inputs.append(Port("estimate", (*planes, *image), (0, 1),
                           "first estimate of the clip, as mindrestore.data.snapshots.starting_estimate makes it"))
    clip = Port("clip", (*planes, *image), (0, 1), "the clip; not clamped, so clamp it to its range")
    return Signature(tuple(inputs), (clip,))
