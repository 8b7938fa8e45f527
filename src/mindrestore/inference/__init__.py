"""Using trained networks on measurements and clips."""
from mindrestore.inference.snapshots import Reconstructor

__all__ = ["Reconstructor"]
