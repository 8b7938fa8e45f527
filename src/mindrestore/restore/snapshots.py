"""Reconstruct clips from coded snapshots with a trained network."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

import numpy as np

from mindrestore.data.snapshots import starting_estimate
from mindrestore.errors import UserError
from mindrestore.restore.calls import on_arrays
from mindrestore.sensing.values import all_finite

if TYPE_CHECKING:
    from mindspore import nn


class Reconstructor:
    """A network ready to reconstruct; what it compiles for one size of measurement serves all of that size.

    Args:
        network: such as ``mindrestore.models.revsci.RevSCI``, with trained weights.
    """

    def __init__(self, network: nn.Cell) -> None:
        self.network = network
        self._call = on_arrays(network)
        self._prepared = set()

    def prepare(self, frames: int, height: int, width: int) -> bool:
        """Compile for measurements of this size ahead of time; return whether that was still to be done."""
        if (frames, height, width) in self._prepared:
            return False
        self._run(np.zeros((height, width), np.float32), np.ones((frames, height, width), np.float32), None)
        return True

    def __call__(self, measurement: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Reconstruct one clip.

        Args:
            measurement: (H, W), in units of one frame's white.
            mask: (T, H, W).

        Returns:
            (T, H, W), colour (3, T, H, W), float32, clamped to 0–1.

        Raises:
            UserError: shapes that do not fit each other, or a reconstruction with a number that is not finite.
        """
        measurement, mask = np.asarray(measurement, np.float32), np.asarray(mask, np.float32)
        if measurement.ndim != 2 or mask.ndim != 3 or mask.shape[1:] != measurement.shape:
            raise UserError(
                f"a measurement of shape {measurement.shape} and a mask of shape {mask.shape} do not fit: "
                "expected (H, W) and (T, H, W)."
            )
        estimate = None
        if self.network.abilities.corrects_estimate:
            estimate = starting_estimate(measurement, mask, self.network.abilities.colour)
        clip = self._run(measurement, mask, estimate)  # colour (3, T, H, W)
        collections.deque(all_finite(np.moveaxis(clip, -3, 0)), maxlen=0)
        return np.clip(clip, 0, 1)

    def _run(self, measurement: np.ndarray, mask: np.ndarray, estimate: np.ndarray | None) -> np.ndarray:
        self._prepared.add(mask.shape)
        inputs = [measurement[None], mask]
        if self.network.abilities.corrects_estimate:
            shape = ((3,) if self.network.abilities.colour else ()) + mask.shape
            inputs.append((np.zeros(shape, np.float32) if estimate is None else estimate)[None])
        return self._call(*(np.asarray(x, np.float32) for x in inputs))[0]
