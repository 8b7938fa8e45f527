"""VRT, video restoration transformer."""
from mindrestore.models.vrt.network import VRT

__all__ = ["VRT"]
