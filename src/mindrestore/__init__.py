"""Video restoration on MindSpore: RevSCI snapshot compressive imaging and VRT.

from mindrestore import create_model, load_network, load_published_weights, restore_video
"""

from __future__ import annotations

import importlib
from typing import Any

from mindrestore.runtime import environment as _environment
from mindrestore.version import __version__

_environment.log_errors_only()
_environment.prefer_fast_instructions()
_environment.refuse_huge_pictures()

_MODULES = {
    "create_model": "checkpoints",
    "load_network": "checkpoints",
    "load_published_weights": "checkpoints",
    "restore_video": "restore",
}

__all__ = ["__version__", *_MODULES]


def __getattr__(name: str) -> Any:
    """Import what is asked for, and MindSpore with it, only then."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
