"""VRT, video restoration transformer.

What needs no MindSpore (``kind``, ``settings``, ``published``) is read without it.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {"SpyNet": "spynet", "VRT": "network", "VRTSettings": "settings"}

__all__ = ["SpyNet", "VRT", "VRTSettings"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
