"""The networks, by name: those of mindrestore, and those that a program registers or an installed package brings.

A package brings a network by an entry point of the group ``mindrestore.networks`` that names its ``NetworkKind``.
"""
import importlib.metadata
import pkgutil
from typing import Tuple

from mindrestore.errors import UserError
from mindrestore.models.kind import PROBLEMS, NetworkKind
from mindrestore.models.settings import Settings

BUILT_IN = {"revsci": "mindrestore.models.revsci.kind:KIND", "vrt": "mindrestore.models.vrt.kind:KIND",
            "spynet": "mindrestore.models.vrt.kind:SPYNET"}
DEFAULT = "revsci"  # of a configuration that does not say
GROUP = "mindrestore.networks"
_registered = {}


def create_model(name: str, **settings):
    """Build a network by name.

    Args:
        name: ``"revsci"``, ``"vrt"``, ``"spynet"``, the part of VRT that finds motion, or of a network of one's own.
        **settings: of the network; see its ``Settings``, such as ``mindrestore.models.vrt.VRTSettings``; and ``seed``, of the
            first weights.

    Raises:
        UserError: an unknown name or setting, or a value that cannot be.
    """
    seed = settings.pop("seed", 0)
    return network_of(kind_of(name).settings.of(settings), seed)


def network_of(settings: Settings, seed: int = 0):
    """Build the network of ``Settings``, its first weights by ``seed``; it has ``settings`` by name, and ``abilities``."""
    network = kind_of(settings.name).network(settings, seed)
    network.settings, network.abilities = settings.network_settings(), settings.abilities
    return network


def kind_of(name: str) -> NetworkKind:
    """Return the ``NetworkKind`` called ``name``; raises ``UserError`` if there is none."""
    if name in BUILT_IN:
        return pkgutil.resolve_name(BUILT_IN[name])
    if name not in _registered:
        for entry_point in _entry_points():
            if entry_point.name == name:
                _register_installed(entry_point)
    if name not in _registered:
        raise UserError(f"model {name!r}: unknown, choose one of {', '.join(names())}.")
    return _registered[name]


def register(kind: NetworkKind) -> None:
    """Make a ``NetworkKind`` known by its name, for as long as this process runs; it takes the place of a former one.

    Raises:
        UserError: no such object, or a name that one of mindrestore's own networks has.
    """
    if not isinstance(kind, NetworkKind) or kind.problem not in PROBLEMS:
        raise UserError(f"network {kind!r}: is no object of a mindrestore.models.kind.VideoKind, SnapshotKind or FlowKind; "
                        "give one of a class derived from these.")
    if kind.name in BUILT_IN:
        raise UserError(f"network {kind.name!r}: is one of mindrestore's own; give yours another name.")
    _registered[kind.name] = kind


def names() -> Tuple[str, ...]:
    """Return the names of all networks that there are."""
    return tuple(dict.fromkeys((*BUILT_IN, *_registered, *(entry_point.name for entry_point in _entry_points()))))


def kinds():
    """Yield the ``NetworkKind`` of each of ``names``, mindrestore's own first; others are only imported as they are reached."""
    for name in names():
        yield kind_of(name)


def abilities_of(network):
    """Return the abilities of a network, or of any callable whose ``settings`` say what it can do as a VRT's do."""
    if hasattr(network, "abilities"):
        return network.abilities
    if not hasattr(network, "settings"):
        raise UserError(f"this {type(network).__name__} does not say what it can do; build it by create_model, or give it "
                        "abilities (mindrestore.models.kind.VideoAbilities).")
    from mindrestore.models.vrt.settings import abilities
    return abilities(network.settings)


def _entry_points():
    points = importlib.metadata.entry_points()
    return points.select(group=GROUP) if hasattr(points, "select") else points.get(GROUP, ())  # Python 3.9 has a dict


def _register_installed(entry_point):
    try:
        kind = entry_point.load()
        register(kind)
    except Exception as error:  # whatever goes wrong in a stranger's module
        raise UserError(f"network {entry_point.name!r}: {entry_point.value}, which an installed package names for it, cannot "
                        f"be used ({type(error).__name__}: {error}); mend that package, or uninstall it.") from error
    if kind.name != entry_point.name:
        raise UserError(f"network {entry_point.name!r}: {entry_point.value} calls itself {kind.name!r}; give the entry point "
                        "that name.")
