"""Where tests and files lie: folders of tests are rooms of the package, test files import nothing from each other, and what
is no Python travels with the package.
"""

import ast
import fnmatch
import re

import pytest
from places import ROOT, TESTS

SOURCES = ROOT / "src" / "mindrestore"
BESIDE_ROOMS = {"devices", "documents", "faults", "golden", "scripts"}  # what is tested there is no room of the package


def rooms():
    return {path.name for path in SOURCES.iterdir() if path.is_dir() and any(path.glob("*.py"))}


def test_folders_of_tests_are_rooms_of_the_package():
    assert {path.name for path in TESTS.iterdir() if any(path.glob("*.py"))} <= rooms() | BESIDE_ROOMS


def test_test_files_have_names_of_their_own():
    """pytest imports them by name; two of one name would hide each other."""
    names = [path.name for path in TESTS.rglob("*.py") if path.name not in ("make.py", "conftest.py")]
    assert len(names) == len(set(names)), sorted(name for name in set(names) if names.count(name) > 1)


@pytest.mark.parametrize("folder", ["", *sorted(path.name for path in TESTS.iterdir() if path.is_dir())])
def test_test_files_import_nothing_from_each_other(folder):
    for path in (TESTS / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
            )
            assert not any(re.match(r"(\w+\.)*(test_|conftest)", name) for name in names), f"{path.name}, line {node.lineno}"


def test_what_is_no_python_travels_with_the_package():
    patterns = re.search(r"^mindrestore = \[(.*)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    patterns = re.findall(r'"([^"]+)"', patterns)
    files = [
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert "py.typed" in files
    assert [name for name in files if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)] == []
