"""The task of snapshots on a file of measurements: the frames behind them, from any frame on."""
import numpy as np

from mindrestore.errors import UserError
from mindrestore.restore.exported import ExportedSnapshot
from mindrestore.restore.snapshots import Reconstructor


class SnapshotRestorer:
    """Reconstructs ``mindrestore.data.measurements.Measurements``; used as ``mindrestore.restore.restorers.VideoRestorer``.

    Args:
        found: the measurements.
        chosen: list of one ``mindrestore.restore.networks.Chosen``.

    Raises:
        UserError: colour measurements and a network for grey ones, or the other way round.
    """

    speed = 1

    def __init__(self, found, chosen):
        self._found = found
        network = chosen[0].network
        if found.colour is not None and found.colour != network.abilities.colour:
            kind, other = ("colour", "grey") if found.colour else ("grey", "colour")
            raise UserError(f"{found.path}: was measured in {kind} and {chosen[0].origin} reconstructs {other}; give a "
                            f"network for {kind} with --checkpoint.")
        self._reconstruct = network if isinstance(network, ExportedSnapshot) else Reconstructor(network)
        self._frames, self.height, self.width = found.mask.shape
        self.count = len(found.measurements) * self._frames
        total = found.mask.sum(0)
        self._light = np.where(total == 0, 1, total)

    def restored(self, first=0, tell=None):
        """An iterator over the frames from number ``first`` on, (H, W) or (3, H, W); ``tell`` as of videos."""
        start = first // self._frames
        for number in range(start, len(self._found.measurements)):
            clip = self._clip(number)
            if tell:
                tell(number - start + 1, len(self._found.measurements) - start)
            for index in range(first - start * self._frames if number == start else 0, self._frames):
                yield clip[..., index, :, :]

    def beside(self):
        """For every frame the measurement behind it, over the mask sum."""
        for number in range(self.count):
            yield self._shown(number // self._frames)

    def sample(self, number):
        """(the measurement, restored frame ``number``)"""
        measured = number // self._frames
        return self._shown(measured), self._clip(measured)[..., number % self._frames, :, :]

    def _clip(self, number):
        return self._reconstruct(self._found.measurements[number], self._found.mask)

    def _shown(self, number):
        return self._found.measurements[number] / self._light
