"""The page on architecture and its picture: every room that there is, and none that there is not."""

import pytest
from pages import inline
from places import ROOT, module_at

PAGE = ROOT / "docs" / "architecture.md"
SOURCES = ROOT / "src" / "mindrestore"


@pytest.fixture(scope="module")
def drawing():
    return module_at(ROOT / "docs" / "draw_rooms.py")


def test_the_page_names_every_room():
    rooms = {path.name for path in SOURCES.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert len(rooms) > 10
    assert rooms - set(inline(PAGE)) == set()


def test_rooms_of_the_picture_exist(drawing):
    rooms = [room for _, row in drawing.rows() for room, _ in row]
    assert len(rooms) > 10 and len(rooms) == len(set(rooms))
    for room in rooms:
        assert (SOURCES / room).is_dir() or (SOURCES / f"{room}.py").is_file(), room


def test_the_picture_is_that_of_the_table(drawing):
    assert drawing.PICTURE.read_text(encoding="utf-8") == drawing.picture(drawing.rows()), "python docs/draw_rooms.py"
