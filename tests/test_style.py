"""How calls are written: a reader of a call knows what its arguments are."""

import ast

import pytest
from places import ROOT

SOURCES = ROOT / "src"
MOST_POSITIONAL = 4
EXEMPT = {  # by the name that is called: why its arguments are positional
    "print": "what is printed, in order",
    "reshape": "lengths of axes",
    "permute": "numbers of axes",
    "SequentialCell": "layers, in order",
    "graph": "inputs of an ONNX operator, which have no names in a graph",
    "compute": "weights, what items share, constants, then the items of a piece",
    "evaluated": "the function, its recomputed form, weights, then the tensors of the function",
    "call": "pointers to a C function, which has no keywords",
    "told": "words of a command line",
}


def long_calls(source):
    """Yield (line, name called) of the calls with more than ``MOST_POSITIONAL`` arguments without keyword or star."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            positional = [argument for argument in node.args if not isinstance(argument, ast.Starred)]
            if len(positional) > MOST_POSITIONAL and len(positional) == len(node.args) and name not in EXEMPT:
                yield node.lineno, name


def test_calls_of_many_arguments_name_them():
    paths = list(SOURCES.rglob("*.py"))
    assert len(paths) > 60
    assert [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sorted(paths)
        for line, name in long_calls(path.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.parametrize(
    "call, name",
    [
        ("f(1, 2, 3, 4, 5)", "f"),
        ("a.b(1, 2, 3, 4, 5, c=6)", "b"),
        ("g(f(1, 2, 3, 4, 5))", "f"),
        ("f(1, 2, 3, 4)", None),
        ("f(1, 2, 3, 4, c=5)", None),
        ("f(*many, 2, 3, 4, 5)", None),
        ("x.reshape(1, 2, 3, 4, 5)", None),
    ],
)
def test_a_long_call_is_found(call, name):
    assert [found for _, found in long_calls(call)] == ([name] if name else [])
