"""RevSCI as a kind of network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mindrestore.errors import UserError
from mindrestore.models.kind import FreeSize, SnapshotKind
from mindrestore.models.revsci import published
from mindrestore.models.revsci.files import REVSCI_FILES
from mindrestore.models.revsci.settings import RevSCISettings
from mindrestore.models.signature import OnnxGraph, Port, Signature
from mindrestore.sections import Section

if TYPE_CHECKING:
    import numpy as np
    from mindspore import nn

    from mindrestore.models.revsci.network import RevSCI


class RevSCITrainingKeys(Section):
    """Keys of RevSCI's own in the section ``training``."""

    mode: Literal["plain", "reversible"] = Field(
        "reversible", description="how gradients are taken: in memory that grows with depth, or rebuilding block by block"
    )
    new_blocks: int = Field(0, ge=0, description="the last blocks, which initial lacks; they add nothing at first")


class RevSCIKind(SnapshotKind):
    settings = RevSCISettings
    training_keys = RevSCITrainingKeys
    shipped = {"sci": "revsci_small.ckpt"}
    published_files = REVSCI_FILES

    def published_settings(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        return published.settings_from_shapes(shapes)

    def network(self, settings: RevSCISettings, seed: int = 0) -> RevSCI:
        from mindrestore.models.revsci.network import RevSCI

        return RevSCI(settings, seed)

    def execution(self, training: RevSCITrainingKeys) -> str:
        return {"plain": "whole", "reversible": "pieces"}[training.mode]

    def new_weights(self, network: RevSCI, training: RevSCITrainingKeys) -> dict[str, np.ndarray]:
        from mindrestore.models.revsci.network import resting

        count, blocks = training.new_blocks, list(network.layers)  # a slice of a CellList would rename their parameters
        if not count:
            return {}
        if not training.initial or count >= len(blocks):
            raise UserError(
                f"training.new_blocks={count}: they are added to those of a network that training.initial names, and there are "
                f"{len(blocks)} blocks in all."
            )
        if count % 2 and blocks[0].reverses:
            raise UserError(
                f"training.new_blocks={count}: add an even number; each block reverses the order of groups, so that an odd "
                "number of new ones changes the result."
            )
        return resting(blocks[-count:])

    def default_size(self, network: RevSCI) -> FreeSize:
        return 8, None, None

    def signature(self, network: RevSCI, frames: int, height: int | None, width: int | None, batch: int | None) -> Signature:
        image = (height, width)
        planes = (batch, 3, frames) if network.colour else (batch, frames)
        inputs = [
            Port(
                "measurement",
                (batch, *image),
                (0, frames),
                "sum over the frames of mask times frame, in units of one frame's white"
                + (", seen through an RGGB mosaic" if network.colour else ""),
            ),
            Port("mask", (frames, *image), (0, 1), "1 where a pixel of a frame is seen, 0 where it is not"),
        ]
        if network.corrects_estimate:
            inputs.append(
                Port(
                    "estimate",
                    (*planes, *image),
                    (0, 1),
                    "first estimate of the clip, as mindrestore.data.snapshots.starting_estimate makes it",
                )
            )
        clip = Port("clip", (*planes, *image), (0, 1), "the clip; not clamped, so clamp it to its range")
        return Signature(
            tuple(inputs),
            (clip,),
            tile=(frames, *image),
            window=None,
            use=f"one measurement gives the {frames} frames it was made of; clamp them to 0..1",
        )

    def any_size(self, network: RevSCI) -> nn.Cell:
        from mindrestore.models.revsci.exported import AnySize

        return AnySize(network)

    def onnx(self, network: RevSCI, signature: Signature, new_graph: Callable[[], OnnxGraph]) -> OnnxGraph:
        from mindrestore.models.revsci.onnx import drawn

        return drawn(network, signature, new_graph())


KIND = RevSCIKind()
