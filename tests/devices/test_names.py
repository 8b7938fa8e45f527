"""Every name of MindSpore's that the sources use is in the installed release, is public, takes the arguments it is given, and
is not announced to be removed.
"""

import ast
import contextlib
import importlib
import inspect
import re
import types

import mindspore
import numpy as np
import pytest
from places import ROOT

SOURCES = ROOT / "src" / "mindrestore"
ANNOUNCED = re.compile(r"\b(?:deprecated|will be (?:removed|renamed|merged|changed))\b", re.IGNORECASE)
GOING = re.compile(r"this interface|the interface name", re.IGNORECASE)  # a method, not one of its overloads
TENSORS_ONLY = {
    name
    for name in dir(mindspore.Tensor)
    if not name.startswith("_") and not any(hasattr(other, name) for other in (np.ndarray, np.random.Generator, list))
}
EXCEPTIONS = {
    "set_context": "2.10 has no other way to set a mode that a user may have changed, and jit_syntax_level",
    "set_context(jit_syntax_level)": "export itself sets it, and leaves it changed where it fails",
    "get_context": "2.10 has no other way to ask for jit_syntax_level and enable_graph_kernel",
    "Adam": "its betas are announced, but not there yet; 2.10 takes beta1 and beta2",
    "export": "the AIR format is announced to go; it is written for those who ask for it",
}
"""What is announced and used nevertheless, and why."""
MODULES = sorted(path for path in SOURCES.rglob("*.py") if "mindspore" in path.read_text(encoding="utf-8"))


class Uses(ast.NodeVisitor):
    """What a module takes from MindSpore: ``missing`` names, ``misfits``, calls that their signature does not allow, and
    ``leaving``, names and arguments that are private or announced to be removed.
    """

    def __init__(self, source):
        self.bound, self.missing, self.misfits, self.seen, self.leaving = {}, [], [], set(), []
        self.visit(ast.parse(source))

    def visit_Import(self, node):
        for alias in node.names:
            if alias.name.partition(".")[0] == "mindspore":
                module = importlib.import_module(alias.name)
                self.bound[alias.asname or "mindspore"] = module if alias.asname else mindspore

    def visit_ImportFrom(self, node):
        if (node.module or "").partition(".")[0] == "mindspore" and not node.level:
            for alias in node.names:
                found = self.imported(node.module, alias.name)
                if found is None:
                    self.missing.append(f"line {node.lineno}: {node.module}.{alias.name}")
                else:
                    self.seen.add(f"{node.module}.{alias.name}")
                    self.judged(node, f"{node.module}.{alias.name}", found)
                    self.bound[alias.asname or alias.name] = found

    @staticmethod
    def imported(module, name):
        try:
            return getattr(importlib.import_module(module), name)
        except AttributeError:
            try:
                return importlib.import_module(f"{module}.{name}")
            except ImportError:
                return None
        except ImportError:
            return None

    def visit_Attribute(self, node):
        found = self.resolved(node)
        if found is not None:
            self.judged(node, ast.unparse(node), found)
        elif node.attr in TENSORS_ONLY and any(map(GOING.search, sentences(getattr(mindspore.Tensor, node.attr)))):
            self.leaving.append((node.lineno, f"Tensor.{node.attr}"))
        self.generic_visit(node)

    def judged(self, node, name, found):
        """Note a name that is private, or announced to be removed as a whole."""
        announced = any(not about(found, sentence) for sentence in sentences(found))
        if announced or any(part.startswith("_") and not part.endswith("__") for part in name.split(".")):
            self.leaving.append((node.lineno, name.rpartition(".")[2]))

    def judged_call(self, node, called):
        """Note arguments that are announced to be removed, and methods of tensors called as they will not be."""
        keywords, given = {keyword.arg for keyword in node.keywords} - {None}, set()
        with contextlib.suppress(TypeError, ValueError):
            given = set(inspect.signature(called).bind_partial(*node.args).arguments)
        leaving = {keyword for keyword in keywords if ANNOUNCED.search(paragraph(called, keyword))}
        for sentence in sentences(called):
            leaving |= about(called, sentence) & (keywords if "renamed" in sentence else keywords | given)
        self.leaving += [(node.lineno, f"{called.__name__}({argument})") for argument in sorted(leaving)]

    def judged_method(self, node):
        method, keywords = node.func.attr, {keyword.arg for keyword in node.keywords}
        if method == "transpose" and len(node.args) > 2:
            self.leaving.append((node.lineno, "Tensor.transpose(*axes)"))
        if method == "astype" and node.args and self.resolved(node.args[0]) is not None:
            self.leaving.append((node.lineno, "Tensor.astype"))
        if method in ("mean", "sum", "all", "max") and keywords & {"axis", "keep_dims", "keepdims"}:
            self.leaving.append((node.lineno, f"Tensor.{method}({', '.join(sorted(keywords))})"))

    def visit_Call(self, node):
        called = self.resolved(node.func)
        if called is not None:
            self.judged_call(node, called)
        elif isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) != "np":
            self.judged_method(node)
        if (
            called is not None
            and not any(isinstance(argument, ast.Starred) for argument in node.args)
            and all(keyword.arg for keyword in node.keywords)
        ):
            try:
                inspect.signature(called).bind(*node.args, **{keyword.arg: keyword.value for keyword in node.keywords})
            except TypeError as error:
                self.misfits.append(f"line {node.lineno}: {ast.unparse(node)}: {error}")
            except ValueError:
                pass  # written in C, without a signature
        self.generic_visit(node)

    def resolved(self, node):
        """Return what an expression such as ``ms.device_context.gpu.device_count`` is; None for what is not MindSpore's."""
        if isinstance(node, ast.Name):
            return self.bound.get(node.id)
        if not isinstance(node, ast.Attribute):
            return None
        owner = self.resolved(node.value)
        if not isinstance(owner, (types.ModuleType, type)):
            return None
        found = getattr(owner, node.attr, None)
        if found is None and not hasattr(owner, node.attr):
            self.missing.append(f"line {node.lineno}: {ast.unparse(node)}")
        self.seen.add(ast.unparse(node))
        return found


def sentences(found):
    """Return what ``found`` says of itself that announces something."""
    text = (getattr(found, "__doc__", None) or "") if callable(found) else ""
    head = re.split(r"\n\s*(?:Args|Inputs|Parameters):", text)[0]
    announced = [sentence for sentence in re.split(r"\.\s|\n\s*\n", head) if ANNOUNCED.search(sentence)]
    announced = [sentence for sentence in announced if "default value" not in sentence]  # those of what is not given
    return announced + re.findall(r"Supported Platforms:\s*Deprecated", text)


def about(found, sentence):
    """Return which parameters of ``found`` a sentence is about; none: it is about all of it."""
    try:
        return set(re.findall(r"`(\w+)", sentence)) & set(inspect.signature(found).parameters)
    except (TypeError, ValueError):
        return set()


def paragraph(found, parameter):
    """Return what the documentation says of a parameter."""
    told = re.search(rf"\n( +){parameter} \(.*(?:\n\1 .*|\n(?=\n))*", getattr(found, "__doc__", None) or "")
    return told[0] if told else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_names_exist_and_take_these_arguments(path):
    uses = Uses(path.read_text(encoding="utf-8"))
    assert not sorted(set(uses.missing)) and not sorted(set(uses.misfits))
    assert not [(line, name) for line, name in sorted(set(uses.leaving)) if name not in EXCEPTIONS]


def test_exceptions_are_needed():
    used = {name for path in MODULES for _, name in Uses(path.read_text(encoding="utf-8")).leaving}
    assert set(EXCEPTIONS) <= used


def test_a_name_that_is_not_there_is_found():
    source = """
import mindspore as ms
from mindspore import ops, nothing
from mindspore.communication.comm_func import all_reduce
def count(kind):
    ms.runtime.device_count("GPU")
    ops.clamp(1, 2, 3, 4, 5)
    return all_reduce(1, async_op=True), ms.device_context.gpu.device_count(), ops.MatMul(transpose_b=True)
"""
    uses = Uses(source)
    assert set(uses.missing) == {"line 6: ms.runtime.device_count", "line 3: mindspore.nothing"}
    assert len(uses.misfits) == 1 and uses.misfits[0].startswith("line 7: ops.clamp(1, 2, 3, 4, 5): too many positional")
    assert "ms.device_context.gpu.device_count" in uses.seen and "ops.MatMul" in uses.seen


def test_what_is_private_or_announced_to_go_is_found():
    source = """
import mindspore as ms
from mindspore import ops
from mindspore.communication.comm_func import all_reduce
from mindspore.ops.operations._grad_ops import Conv2DBackpropFilter
def of(x, weight):
    y = ops.conv2d(x, weight, None, pad_mode="pad", padding=1)
    y = ops.bias_add(y, weight).expand_dims(0).astype(ms.float16)
    ms.set_context(runtime_num_threads=2)
    y = ms.jit(of)(ops.conv2d(x, weight, padding=0))
    return y.transpose(0, 2, 1).mean((1, 2), keep_dims=True).asnumpy()
"""
    assert set(Uses(source).leaving) == {
        (4, "all_reduce"),
        (5, "Conv2DBackpropFilter"),
        (7, "conv2d(pad_mode)"),
        (8, "bias_add"),
        (8, "Tensor.expand_dims"),
        (8, "Tensor.astype"),
        (9, "set_context"),
        (9, "set_context(runtime_num_threads)"),
        (11, "Tensor.transpose(*axes)"),
        (11, "Tensor.mean(keep_dims)"),
        (11, "Tensor.asnumpy"),
    }
