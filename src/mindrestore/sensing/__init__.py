"""Coded snapshots: masks, the imaging operator, the Bayer filter, and the classical reconstruction. NumPy only."""

from mindrestore.sensing.gap_tv import gap_tv
from mindrestore.sensing.masks import fingerprint, load_mask, random_mask
from mindrestore.sensing.operator import SnapshotImaging

__all__ = ["SnapshotImaging", "fingerprint", "gap_tv", "load_mask", "random_mask"]
