"""Using trained networks on measurements and clips."""
from mindrestore.inference.snapshots import Reconstructor
from mindrestore.inference.video import restore_clip, restore_space_time, restore_video

__all__ = ["Reconstructor", "restore_clip", "restore_space_time", "restore_video"]
