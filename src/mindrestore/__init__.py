"""Video restoration on MindSpore: RevSCI snapshot compressive imaging and VRT."""
from mindrestore.runtime import convolution_speed as _convolution_speed, quiet as _quiet
from mindrestore.version import __version__

_quiet.errors_only()  # and this before MindSpore is imported
_convolution_speed.prefer_fast_instructions()  # must stand before MindSpore's first convolution

__all__ = ["__version__"]
