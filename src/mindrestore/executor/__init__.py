"""Execution of networks piece by piece (``mindrestore.models.piece``): forwards, and backwards with a tape."""

from mindrestore.executor.piecewise import Piecewise
from mindrestore.executor.tape import Tape

__all__ = ["Piecewise", "Tape"]
