"""Every name of MindSpore's that the sources use is in the installed release, is public, takes the arguments it is given, and
is not announced to be removed.
"""
import ast
import importlib
import inspect
import re
import types
from pathlib import Path

import mindspore
import numpy as np
import pytest

SOURCES = Path(__file__).parents[2] / "src" / "mindrestore"
ANNOUNCED = re.compile("deprecated|(?:be|been) (?:removed|renamed|merged|changed)", re.IGNORECASE)
METHODS = {name for name in dir(mindspore.Tensor) if not name.startswith("_")}
ARRAY_METHODS = {name for name in dir(np.ndarray) if not name.startswith("_")}
EXCEPTIONS = {
    "set_context": "of its keys mode and jit_syntax_level have no successor in 2.10, where a user may have set them",
    "get_context": "jit_syntax_level and enable_graph_kernel can be asked for nowhere else in 2.10",
    "Adam(beta1)": "positional, as 2.10 takes them; its betas are announced and not there yet",
    "Adam(beta2)": "positional, as 2.10 takes them; its betas are announced and not there yet",
    "Adam(learning_rate)": "positional; only its name changes",
    "export": "AIR is announced to go; it is written for those who ask for it",
    "jit": "of its options, none of which is given",
    "Tensor.size": "is to become a method; 2.10 has the property only, and NumPy's arrays have one",
}
"""What is announced and used nevertheless, and why."""
MODULES = sorted(path for path in SOURCES.rglob("*.py") if "mindspore" in path.read_text(encoding="utf-8"))


class Uses(ast.NodeVisitor):
    """What a module takes from MindSpore: ``missing`` names and ``misfits``, calls that their signature does not allow."""

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
        self.resolved(node)
        self.generic_visit(node)

    def visit_Call(self, node):
        called = self.resolved(node.func)
        if called is not None and not any(isinstance(argument, ast.Starred) for argument in node.args) and all(
                keyword.arg for keyword in node.keywords):
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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCES)))
def test_names_exist_and_take_these_arguments(path):
    uses = Uses(path.read_text(encoding="utf-8"))
    assert not sorted(set(uses.missing)) and not sorted(set(uses.misfits))


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
