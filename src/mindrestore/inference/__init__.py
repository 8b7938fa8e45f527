"""The former name of ``mindrestore.restore``, kept because programs that were written for it import from here."""

import sys

from mindrestore import tiling
from mindrestore.checkpoints import loading
from mindrestore.restore.snapshots import Reconstructor
from mindrestore.restore.video import restore_clip, restore_space_time, restore_video

__all__ = ["Reconstructor", "restore_clip", "restore_space_time", "restore_video"]

sys.modules[f"{__name__}.tiles"] = tiling  # ``from mindrestore.inference.tiles import axis_tiles``
sys.modules[f"{__name__}.shipped"] = loading  # ``from mindrestore.inference.shipped import shipped``
