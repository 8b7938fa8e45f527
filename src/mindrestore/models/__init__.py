"""The networks, by name: those of mindrestore, and those that a program registers or an installed package brings.

A package brings a network by an entry point of the group ``mindrestore.networks`` that names its ``NetworkKind``.
"""

from __future__ import annotations

import importlib.metadata
import pkgutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from mindrestore.errors import UserError, shown
from mindrestore.models.kind import PROBLEMS, Abilities, NetworkKind
from mindrestore.models.settings import Settings

if TYPE_CHECKING:
    from mindspore import nn

BUILT_IN = {
    "revsci": "mindrestore.models.revsci.kind:KIND",
    "vrt": "mindrestore.models.vrt.kind:KIND",
    "spynet": "mindrestore.models.vrt.kind:SPYNET",
}
DEFAULT = "revsci"  # of a configuration that does not say
GROUP = "mindrestore.networks"
_registered: dict[str, NetworkKind] = {}


def create_model(name: str, **settings: Any) -> nn.Cell:
    """Build a network by name.

    Args:
        name: ``"revsci"``, ``"vrt"``, ``"spynet"`` (the part of VRT that estimates optical flow), or a registered network.
        **settings: of the network; see its ``Settings``, such as ``mindrestore.models.vrt.VRTSettings``; and ``seed`` of the
            first weights.

    Raises:
        UserError: an unknown name or setting, or a value that is not allowed.
    """
    if "pretrained" in settings:
        raise UserError("create_model: pretrained is taken by mindrestore.create_model, which reads files; call that one.")
    seed = settings.pop("seed", 0)
    return network_of(kind_of(name).settings.of(settings), seed)


def network_of(settings: Settings, seed: int = 0) -> nn.Cell:
    """Build the network of ``Settings``, its first weights drawn by ``seed``; add its attributes ``settings``, a dict, and
    ``abilities``.
    """
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
        raise UserError(f"model {shown(name)}: unknown, choose one of {', '.join(names())}.")
    return _registered[name]


def register(kind: NetworkKind) -> None:
    """Register a ``NetworkKind`` by its name in this process; a former kind of that name is replaced.

    Raises:
        UserError: not a ``NetworkKind``, or the name of one of mindrestore's own networks.
    """
    if not isinstance(kind, NetworkKind) or kind.problem not in PROBLEMS:
        raise UserError(
            f"network {kind!r}: is no object of a mindrestore.models.kind.VideoKind, SnapshotKind or FlowKind; "
            "give one of a class derived from these."
        )
    if kind.name in BUILT_IN:
        raise UserError(f"network {kind.name!r}: is one of mindrestore's own; give yours another name.")
    _registered[kind.name] = kind


def names() -> tuple[str, ...]:
    """Return the names of all networks: mindrestore's own, registered ones and those of installed packages."""
    return tuple(dict.fromkeys((*BUILT_IN, *_registered, *(entry_point.name for entry_point in _entry_points()))))


def kinds() -> Iterator[NetworkKind]:
    """Yield the ``NetworkKind`` of each of ``names``, mindrestore's own first; each is imported when it is reached."""
    for name in names():
        yield kind_of(name)


def abilities_of(network: nn.Cell | Callable[..., Any]) -> Abilities:
    """Return the abilities of a network; of a callable without ``abilities``, those that its ``settings`` have as a VRT's.

    Raises:
        UserError: it has neither.
    """
    if hasattr(network, "abilities"):
        return network.abilities
    if not hasattr(network, "settings"):
        raise UserError(
            f"this {type(network).__name__} does not say what it can do; build it by create_model, or give it "
            "abilities (mindrestore.models.kind.VideoAbilities)."
        )
    from mindrestore.models.vrt.settings import abilities

    return abilities(network.settings)


def _entry_points() -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=GROUP)


def _register_installed(entry_point: importlib.metadata.EntryPoint) -> None:
    try:
        kind = entry_point.load()
        register(kind)
    except Exception as error:  # whatever goes wrong in a stranger's module
        raise UserError(
            f"network {entry_point.name!r}: {entry_point.value}, which an installed package names for it, cannot "
            f"be used ({type(error).__name__}: {error}); mend that package, or uninstall it."
        ) from error
    if kind.name != entry_point.name:
        raise UserError(
            f"network {entry_point.name!r}: {entry_point.value} calls itself {kind.name!r}; give the entry point that name."
        )
