"""A third network for snapshots, as a user brings one: every frame is the measurement over the mask sum, corrected a little."""

from typing import ClassVar, Literal

import numpy as np
from mindspore import Parameter, Tensor, nn

from mindrestore.models.kind import SnapshotAbilities, SnapshotKind
from mindrestore.models.settings import Settings


class AveragerSettings(Settings):
    title: ClassVar[str] = "Averager"

    name: Literal["averager"] = "averager"
    gain: float = 0.1

    @property
    def abilities(self):
        return SnapshotAbilities()


class Averager(nn.Cell):
    """(B, H, W), (T, H, W) or (B, T, H, W) -> (B, T, H, W)"""

    def __init__(self, settings, seed=0):
        super().__init__()
        self.correction = Parameter(Tensor(np.array([settings.gain], np.float32)), name="correction")

    def construct(self, measurement, mask):
        mask = mask.unsqueeze(0) if mask.ndim == 3 else mask
        mean = (measurement / mask.sum(1).clip(1)).unsqueeze(1)
        return mean + self.correction * mask * mean


class AveragerKind(SnapshotKind):
    settings = AveragerSettings

    def network(self, settings, seed=0):
        return Averager(settings, seed)


KIND = AveragerKind()
