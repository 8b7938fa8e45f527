"""Native operators for the CPU: C++ that is compiled where it runs, for the processor it runs on.

They are one more way to compute a piece (``mindrestore.models.piece``): the executor takes them where they are available,
and MindSpore's own operators where not.
"""

from mindrestore.native.loading import available, described, library, use, wanted

__all__ = ["available", "described", "library", "use", "wanted"]
