"""What a killed process leaves beside its place: removed by the next process that writes there, never while it is written."""

import os
import signal
import subprocess
import sys

import pytest

from mindrestore.errors import UserError
from mindrestore.files import check_writable, replacing, replacing_folder

WRITING = """
import sys, time
from pathlib import Path
from mindrestore import files
path = Path(sys.argv[1])
with getattr(files, sys.argv[2])(path) as scratch:
    (scratch / "part" if scratch.is_dir() else scratch).write_text("half")
    print(scratch.name, flush=True)
    time.sleep(600)
"""
WRITTEN = "import sys; from mindrestore.files import write_text; write_text(sys.argv[1], 'whole')"


@pytest.fixture
def writing(tmp_path, fresh_environment):
    """``writing(name, how)`` starts a process that never ends writing ``name``; it and its scratch file."""
    processes = []

    def start(name, how="replacing"):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITING, str(tmp_path / "run" / name), how],
            text=True,
            stdout=subprocess.PIPE,
            env=fresh_environment,
        )
        processes.append(process)
        return process, tmp_path / "run" / process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    "name, how",
    [("state.ckpt", "replacing"), ("picture", "replacing"), ("frames", "replacing_folder"), ("a-b.c.tar", "replacing")],
)
def test_a_killed_writers_leftovers_go_with_the_next_write(writing, python, tmp_path, name, how):
    process, scratch = writing(name, how)
    assert scratch.exists() and scratch.name.startswith(".") and not (tmp_path / "run" / name).exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert scratch.exists()
    assert python(WRITTEN, tmp_path / "run" / "other.json").returncode == 0
    assert os.listdir(tmp_path / "run") == ["other.json"]


def test_what_is_still_being_written_stays(writing, python, tmp_path):
    _, scratch = writing("state.ckpt")
    for _ in range(2):
        assert python(WRITTEN, tmp_path / "run" / "state.ckpt").returncode == 0
        assert sorted(os.listdir(tmp_path / "run")) == sorted([scratch.name, "state.ckpt"])
    assert scratch.read_text() == "half" and (tmp_path / "run" / "state.ckpt").read_text() == "whole"


def test_what_another_host_or_somebody_else_wrote_stays(writing, python, tmp_path):
    process, scratch = writing("state.ckpt")
    process.kill()
    process.wait()
    start, here, number, rest = scratch.name.split("-")
    elsewhere = scratch.with_name(f"{start}-{'0' * len(here)}-{number}-{rest}")
    scratch.rename(elsewhere)
    others = [scratch.with_name(name) for name in (f".state-{number}.ckpt", f"state-{here}-{number}-{rest}", ".hidden")]
    for path in others:
        path.touch()
    assert python(WRITTEN, tmp_path / "run" / "state.ckpt").returncode == 0
    assert all(path.exists() for path in (elsewhere, *others))


@pytest.mark.parametrize("links", [True, False])
def test_what_a_file_held_is_kept_under_another_name(tmp_path, monkeypatch, links):
    if not links:

        def refuses(*_):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuses)
    path, former = tmp_path / "state.ckpt", tmp_path / "former.ckpt"
    for number in range(4):
        with replacing(path, former) as scratch:
            assert number == 0 or path.read_text() == str(number - 1)
            scratch.write_text(str(number))
        assert path.read_text() == str(number) and former.exists() == (number > 0)
        assert number == 0 or former.read_text() == str(number - 1)
    former.unlink()
    os.link(path, former) if links else None  # killed between the two moves
    with replacing(path, former) as scratch:
        scratch.write_text("4")
    assert (path.read_text(), former.read_text()) == ("4", "3") and len(os.listdir(tmp_path)) == 2


def test_a_writer_that_fails_leaves_both(tmp_path):
    path, former = tmp_path / "state.ckpt", tmp_path / "former.ckpt"
    path.write_text("1"), former.write_text("0")
    with pytest.raises(KeyboardInterrupt), replacing(path, former) as scratch:
        scratch.write_text("2")
        raise KeyboardInterrupt
    assert (path.read_text(), former.read_text()) == ("1", "0") and len(os.listdir(tmp_path)) == 2


# Places that are links


@pytest.mark.parametrize("target", ["there.json", "absent.json"])
def test_a_link_stays_a_link_and_what_it_leads_to_is_written(tmp_path, target):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "there.json").write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "elsewhere" / target)
    check_writable(link)
    with replacing(link) as scratch:
        assert scratch.parent == tmp_path / "elsewhere"  # of one file system with its place
        scratch.write_text("new")
    assert link.is_symlink() and (tmp_path / "elsewhere" / target).read_text() == "new"


def test_a_link_to_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to("elsewhere")
    with replacing_folder(tmp_path / "out") as scratch:
        (scratch / "0.png").write_text("frame")
    assert (tmp_path / "out").is_symlink() and os.listdir(tmp_path / "elsewhere") == ["0.png"]


def test_a_file_of_which_the_former_is_kept_may_be_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    path, former = tmp_path / "state.ckpt", tmp_path / "former.ckpt"
    path.symlink_to("elsewhere/state.ckpt")
    for text in "01":
        with replacing(path, former) as scratch:
            scratch.write_text(text)
    assert path.is_symlink() and (path.read_text(), former.read_text()) == ("1", "0")


@pytest.mark.parametrize("check", [check_writable, lambda path: replacing(path).__enter__()])
def test_what_is_no_place_for_a_file_is_refused(tmp_path, check):
    loop, pipe = tmp_path / "loop.png", tmp_path / "pipe.png"
    loop.symlink_to(loop), os.mkfifo(pipe)
    with pytest.raises(UserError, match=r"loop.png: .*leads back to itself"):
        check(loop)
    with pytest.raises(UserError, match=r"pipe.png: is a pipe or a device"):
        check(pipe)
    (tmp_path / "through.png").symlink_to(pipe)
    with pytest.raises(UserError, match=r"through.png: is a pipe or a device"):
        check(tmp_path / "through.png")
    assert sorted(os.listdir(tmp_path)) == ["loop.png", "pipe.png", "through.png"]
