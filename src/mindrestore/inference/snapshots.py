"""Reconstruct clips from coded snapshots with a trained RevSCI."""
import numpy as np
from mindspore import Tensor

from mindrestore.data.snapshots import starting_estimate
from mindrestore.errors import UserError
from mindrestore.models.revsci.segments import Segments


class Reconstructor:
    """A RevSCI network ready to reconstruct; what it compiles for one size of measurement serves all of that size.

    Args:
        network: ``mindrestore.models.revsci.RevSCI`` with trained weights.
    """

    def __init__(self, network):
        self.network = network
        self._segments = Segments(network)

    def __call__(self, measurement, mask):
        """Reconstruct one clip.

        Args:
            measurement: (H, W), in units of one frame's white.
            mask: (T, H, W).

        Returns:
            (T, H, W), colour (3, T, H, W), float32, clamped to 0–1.

        Raises:
            UserError: shapes that do not fit each other.
        """
        measurement, mask = np.asarray(measurement, np.float32), np.asarray(mask, np.float32)
        if measurement.ndim != 2 or mask.ndim != 3 or mask.shape[1:] != measurement.shape:
            raise UserError(f"a measurement of shape {measurement.shape} and a mask of shape {mask.shape} do not fit: "
                            "expected (H, W) and (T, H, W).")
        inputs = [measurement, mask]
        if self.network.corrects_estimate:
            inputs.append(starting_estimate(measurement, mask, self.network.colour))
        height, width = measurement.shape
        inputs = [np.pad(x, [(0, 0)] * (x.ndim - 2) + [(0, height % 2), (0, width % 2)], mode="edge") for x in inputs]
        inputs[0] = inputs[0][None]
        if self.network.corrects_estimate:
            inputs[2] = inputs[2][None]
        clip = self._segments(*(Tensor(np.ascontiguousarray(x)) for x in inputs)).asnumpy()[0]
        return np.clip(clip[..., :height, :width], 0, 1)
