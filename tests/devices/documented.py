"""What the installed MindSpore's own documentation says of a primitive: platforms and types."""

import inspect
import re

import mindspore
from mindspore import mint, ops
from mindspore.ops import operations
from mindspore.ops.auto_generate import gen_ops_prim
from mindspore.ops.operations import _grad_ops

ROOMS = (operations, gen_ops_prim, _grad_ops)


def platforms(primitive):
    """Return the platforms, such as ``{"Ascend", "CPU"}``; ``None`` where no documentation says."""
    for text in texts(primitive):
        found = re.search(r"Supported Platforms:\s*\n\s*(.*)", text)
        if found and "``" in found[1]:  # not "Deprecated"
            return set(re.findall(r"``(\w+)``", found[1]))
    return None


def types(primitive, platform):
    """Return the types of its tensors there, such as ``{"Float16"}``, where its documentation lists some, else ``None``."""
    for text in texts(primitive):
        own = re.findall(r"- ([\w/]+): ([^.]*)\.", text)
        own = [listed for platforms, listed in own if platform in platforms.split("/")]
        listed = own or re.findall(r"(?:support|dtypes:|data type of|data type can be|with) (float[^.]*)", text)
        if listed:
            return (
                None
                if "all" in listed[0].lower()
                else {name.capitalize() for name in re.findall(r"float\d+|int\d+|bool", " ".join(listed))}
            )
    return None


def texts(primitive):
    """Give what there is to read of a primitive: its own text, the function that this refers to, the function of its name."""
    for room in ROOMS:
        found = getattr(room, primitive, None)
        if inspect.isclass(found):
            text = found.__doc__ or ""
            yield text
            refers = re.search(r"Refer to :\w+:`~?mindspore\.([\w.]+)`", text)
            if refers:
                yield getattr(resolved(refers[1]), "__doc__", None) or ""
    name = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", primitive).lower()
    for room in (ops, mint, mindspore.Tensor):
        yield getattr(getattr(room, name, None), "__doc__", None) or ""


def resolved(name):
    """Return what ``name`` is in MindSpore, ``None`` if nothing."""
    found = mindspore
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
