"""The networks."""
import importlib
import inspect

from mindrestore.errors import UserError, nearest

CLASSES = {"revsci": "revsci.RevSCI", "vrt": "vrt.VRT", "spynet": "vrt.SpyNet"}  # within this package
NAMES = tuple(CLASSES)


def create_model(name, **settings):
    """Build a network by name.

    Args:
        name: ``"revsci"``, ``"vrt"`` or ``"spynet"``, the part of VRT that finds motion.
        **settings: of the network; see its class.

    Raises:
        UserError: an unknown name or setting, or a value that cannot be.
    """
    if name not in NAMES:
        raise UserError(f"model {name!r}: unknown, choose one of {', '.join(NAMES)}.")
    package, class_name = CLASSES[name].split(".")
    network = getattr(importlib.import_module(f"{__name__}.{package}"), class_name)
    known = list(inspect.signature(network).parameters)
    for key in settings:
        if key not in known:
            near = nearest(key, known)
            hint = f" Did you mean {near!r}?" if near else ""
            raise UserError(f"model {name}: unknown setting {key!r}, it has {', '.join(known)}.{hint}")
    return network(**settings)
