"""Which primitives MindSpore computes: those of its compiled graphs, and those it runs one by one."""

import re
from typing import NamedTuple

RECORDING = {"MS_DEV_SAVE_GRAPHS": "1", "MS_DEV_DUMP_IR_PASSES": "validate", "MS_SUBMODULE_LOG_v": "{PYNATIVE:0}"}
"""The environment in which a process tells: graphs as they leave the compiler, whole, with gradients; single operators."""
FOLDER = "MS_DEV_SAVE_GRAPHS_PATH"
BOOKKEEPING = {"Depend", "Load", "MakeTuple", "Return", "TupleGetItem", "UpdateState"}
"""What orders a graph and computes nothing."""

_NODE = re.compile(r"\s+%\d+\([^)]*\) = (?:PrimFunc_)?(\w+)\(.*\n\s+: \((.*)\) -> \(")
_PLACE = re.compile(r"/mindrestore/([\w/]+\.py:\d+)")
_ALONE = re.compile(r"Run Pyboost(\w+) start|RunOp name: (\w+)|slice op name:(\w+)")


class Use(NamedTuple):
    """How a primitive is used."""

    types: set[str]  # of the tensors it is given, such as "Float32", in graphs
    places: set[str]  # in the sources, where a graph says


def primitives(folder, log):
    """Return primitive -> ``Use``, of the graphs in ``folder`` and of a process's ``log``."""
    uses = {}
    for path in folder.rglob("*_validate_*.ir"):
        for block in re.split(r"\n(?=\s+%\d+\()", path.read_text(encoding="utf-8")):
            node, places = _NODE.match(block), _PLACE.findall(block)
            if node:
                use = uses.setdefault(node[1], Use(set(), set()))
                use.types.update(re.findall(r"Tensor\[(\w+)\]", node[2]))
                use.places.update(places[-1:])  # the innermost call, which is named last
    for found in _ALONE.finditer(log):
        uses.setdefault(next(filter(None, found.groups())), Use(set(), set()))
    return {name: use for name, use in uses.items() if name not in BOOKKEEPING}
