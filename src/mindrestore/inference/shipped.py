"""The checkpoints that ship with the package: small networks, for a CPU."""
from mindrestore.checkpoints.loading import shipped

__all__ = ["shipped"]
