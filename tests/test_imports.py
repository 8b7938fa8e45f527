"""The rooms of the package import each other in one direction: down."""

import ast
from pathlib import Path

import pytest

import mindrestore

PACKAGE = Path(mindrestore.__file__).parent

# Room by room, from the top down: what it may import. The architecture page draws these arrows; a module beside the rooms, such
# as metrics.py, is one of its own. An arrow leads further down this table, never up.
ARROWS = {
    "__main__": {"cli"},
    "cli": {"commands", "exit_status", "version"},
    "exit_status": {"runtime", "files", "errors"},
    "commands": {
        "training",
        "evaluation",
        "restore",
        "deploy",
        "checkpoints",
        "config",
        "media",
        "data",
        "models",
        "native",
        "runtime",
        "tiling",
        "locks",
        "errors",
        "version",
    },
    "inference": {"restore", "checkpoints", "tiling"},  # the former name of restore
    "training": {
        "evaluation",
        "restore",
        "checkpoints",
        "config",
        "media",
        "data",
        "executor",
        "models",
        "sensing",
        "ops",
        "runtime",
        "metrics",
        "readers",
        "locks",
        "files",
        "errors",
    },
    "evaluation": {
        "restore",
        "checkpoints",
        "config",
        "media",
        "data",
        "models",
        "sensing",
        "runtime",
        "metrics",
        "files",
        "errors",
        "version",
    },
    "restore": {
        "checkpoints",
        "media",
        "data",
        "executor",
        "models",
        "sensing",
        "ops",
        "runtime",
        "tiling",
        "metrics",
        "locks",
        "readers",
        "files",
        "errors",
        "version",
    },
    "deploy": {"checkpoints", "executor", "models", "readers", "runtime", "files", "errors", "version"},
    "checkpoints": {"models", "readers", "files", "errors", "version"},
    "config": {"data", "models", "sections", "tiling", "readers", "files", "errors"},
    "media": {"data", "files", "errors"},
    "data": {"sensing", "metrics", "mat_files", "readers", "locks", "files", "errors"},
    "executor": {"models", "native", "ops", "runtime"},
    "models": {"native", "sensing", "ops", "runtime", "sections", "errors"},
    "native": {"runtime"},
    "sensing": {"mat_files", "readers", "files", "errors"},
    "ops": {"runtime"},
    "__init__": {"runtime", "version"},
    "runtime": {"errors"},
    "sections": set(),
    "tiling": {"errors"},
    "metrics": {"errors"},
    "mat_files": {"readers", "files", "errors"},
    "readers": {"files", "errors"},
    "locks": {"files", "errors"},
    "files": {"errors"},
    "errors": set(),
    "version": set(),
}
WITHOUT_MINDSPORE = (
    "commands",
    "restore",
    "checkpoints",
    "config",
    "data",
    "media",
    "sensing",
    "tiling",
    "metrics",
    "files",
    "mat_files",
    "readers",
    "errors",
)


def room_of(path, package):
    first, *rest = path.relative_to(package).parts
    return first if rest else path.stem


def imported(path):
    """Yield (line, dotted name) of all that a file imports, wherever in it; the module of ``from module import name`` is named
    with the name where that may be a module itself.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import; name the module in full"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            yield from ((node.lineno, text.value) for text in node.args if isinstance(text, ast.Constant))


def arrows(package=PACKAGE):
    """Return {(room, imported room): places} of a package's source, in which it is called ``mindrestore``."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        room = room_of(path, package)
        for line, name in imported(path):
            first, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if first == "mindrestore" and target != room:
                found.setdefault((room, target), []).append(f"{path.relative_to(package)}:{line}")
    return found


def forbidden(found):
    return {arrow: places for arrow, places in found.items() if arrow[1] not in ARROWS.get(arrow[0], ())}


def test_the_table_leads_down():
    rooms = list(ARROWS)
    assert not [(room, target) for room in rooms for target in ARROWS[room] if rooms.index(target) <= rooms.index(room)]


def test_rooms_import_what_the_table_allows():
    assert forbidden(arrows()) == {}


def test_the_table_names_no_arrow_that_is_not_there():
    found = arrows()
    assert {(room, target) for room in ARROWS for target in ARROWS[room]} == set(found)
    assert set(ARROWS) == {room_of(path, PACKAGE) for path in PACKAGE.rglob("*.py")}


@pytest.mark.parametrize("room", WITHOUT_MINDSPORE)
def test_rooms_that_read_write_and_draw_need_no_mindspore(room):
    """At least not before they are asked for something: a command imports what it runs when it runs."""
    for path in sorted(PACKAGE.rglob("*.py")):
        top = ast.parse(path.read_text(encoding="utf-8")).body
        names = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names] + [
            node.module for node in top if isinstance(node, ast.ImportFrom)
        ]
        if room_of(path, PACKAGE) == room:
            assert not [name for name in names if name.partition(".")[0] == "mindspore"], path


def test_networks_take_from_the_runtime_only_how_a_parameter_is_set():
    """They ask neither for the device nor for the release."""
    names = {name for path in (PACKAGE / "models").rglob("*.py") for _, name in imported(path)}
    assert {name for name in names if name.startswith("mindrestore.runtime")} == {
        "mindrestore.runtime.execution.assign_in_place"
    }


@pytest.mark.parametrize(
    "line",
    [
        "from mindrestore.training.step import TrainOneStep",
        "import mindrestore.training.step",
        "from mindrestore import training",
        "def late():\n    from mindrestore import data, training",
        "import importlib\nimportlib.import_module('mindrestore.training')",
    ],
)
def test_an_arrow_upwards_is_found_wherever_it_hides(tmp_path, line):
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "one.py").write_text(f"import mindspore\nfrom mindrestore.runtime import device\n{line}\n")
    found = forbidden(arrows(tmp_path))
    assert ("ops", "training") in found and "ops/one.py" in found["ops", "training"][0]
    assert ("ops", "runtime") not in found


def test_a_relative_import_is_refused(tmp_path):
    (tmp_path / "ops").mkdir()
    (tmp_path / "ops" / "one.py").write_text("from ..training import step\n")
    with pytest.raises(AssertionError, match="a relative import"):
        arrows(tmp_path)


def test_the_former_name_of_restore_still_imports():
    from mindrestore.inference.shipped import shipped
    from mindrestore.inference.tiles import axis_tiles, tile_starts

    from mindrestore import restore
    from mindrestore.inference import Reconstructor, restore_clip, restore_space_time, restore_video

    assert (Reconstructor, restore_clip, restore_space_time, restore_video) == (
        restore.Reconstructor,
        restore.restore_clip,
        restore.restore_space_time,
        restore.restore_video,
    )
    assert shipped("sci").exists() and len(axis_tiles(90, 40, 20).tiles) == len(tile_starts(90, 40, 20)) == 4
