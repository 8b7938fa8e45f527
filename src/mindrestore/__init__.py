"""Video restoration on MindSpore: RevSCI snapshot compressive imaging and VRT."""
from mindrestore.runtime import convolution_speed as _convolution_speed
from mindrestore.version import __version__

_convolution_speed.prefer_fast_instructions()  # must stand before MindSpore's first convolution

__all__ = ["__version__"]
