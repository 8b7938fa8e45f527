"""VRT, video restoration transformer."""
from mindrestore.models.vrt.network import VRT
from mindrestore.models.vrt.spynet import SpyNet

__all__ = ["SpyNet", "VRT"]
