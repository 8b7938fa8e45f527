"""Two that write to one place: the second refuses, says who is there, and need not wait for a killed one."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from builders import StandIn, tiny_run, write_frames

from mindrestore import locks
from mindrestore.cli import main
from mindrestore.data.lmdb_writer import create_lmdb
from mindrestore.errors import UserError
from mindrestore.restore import run
from mindrestore.restore.networks import TaskNetwork
from mindrestore.restore.run import Request, restore
from mindrestore.runtime import cluster
from mindrestore.training.trainer import train

HOLDING = """
import os, sys, time
from mindrestore.locks import held
with held(sys.argv[1], sys.argv[2]):
    if sys.argv[3:]:
        os.fork()  # a worker that outlives its parent
    os.write(1, f"{os.getpid()}\\n".encode())
    time.sleep(600)
"""


@pytest.fixture
def holding(tmp_path, fresh_environment):
    """``holding(place, lock)`` starts a process that holds a lock until it is killed."""
    processes, orphans = [], []

    def start(place, lock, *more):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDING, str(place), str(lock), *more],
            text=True,
            stdout=subprocess.PIPE,
            env=fresh_environment,
        )
        processes.append(process)
        numbers = {int(process.stdout.readline()) for _ in range(1 + len(more))}
        orphans.extend(numbers - {process.pid})
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()
    for number in orphans:
        os.kill(number, signal.SIGKILL)


@pytest.mark.parametrize("more", [[], ["and a worker"]], ids=["alone", "with a worker that lives on"])
def test_the_second_is_refused_until_the_first_ends_however_it_does(holding, tmp_path, more):
    place, lock = tmp_path / "run", tmp_path / "run" / ".lock"
    process = holding(place, lock, *more)
    for _ in range(2):
        with pytest.raises(UserError) as caught, locks.held(place, lock):
            pass
        assert str(caught.value).startswith(f"{place}: process {process.pid} on {socket.gethostname()} is writing there")
    process.kill()
    process.wait()
    assert lock.exists()
    with locks.held(place, lock):
        assert f"process {os.getpid()} on " in lock.read_text()
    assert not lock.exists()


def test_a_lock_leaves_nothing(tmp_path):
    with locks.held(tmp_path / "a/b/c", tmp_path / "a/b/.c.lock"):
        assert (tmp_path / "a/b/.c.lock").exists()
    assert not list(tmp_path.iterdir())
    with locks.held(tmp_path / "a/b", tmp_path / "a/b/.lock"):
        (tmp_path / "a/result").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "result"]


def test_a_lock_that_its_holder_removes_meanwhile_is_not_taken_for_held(tmp_path, monkeypatch):
    """The file that was opened is gone by the time it is locked, so that nobody else would see the lock."""
    lock, take, files = tmp_path / ".lock", locks._take, []

    def late(handle, place):
        files.append(os.fstat(handle).st_ino)
        if len(files) == 1:
            lock.unlink()
        take(handle, place)

    monkeypatch.setattr(locks, "_take", late)
    with locks.held(tmp_path, lock):
        assert len(files) == 2 and lock.stat().st_ino == files[1]


def test_without_locks_of_the_file_system_work_goes_on(tmp_path, monkeypatch):
    def refuses(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", refuses)
    with locks.held(tmp_path, tmp_path / ".lock"):
        pass


# Commands


def refused(arguments, capsys):
    capsys.readouterr()
    assert main(list(map(str, arguments))) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and f"process {os.getpid()} on {socket.gethostname()} is writing there" in said[0]


@pytest.mark.usefixtures("prepared")
def test_two_trainings_in_one_folder(tmp_path, capsys):
    config, folder = tmp_path / "tiny.yaml", tmp_path / "run"
    config.write_text(tiny_run(folder).model_dump_json())
    (tmp_path / "link").symlink_to(folder)
    with locks.held(folder, folder / ".lock"):
        for path in (folder, tmp_path / "link"):
            for more in ([], ["--resume"]):
                refused(["train", "--config", config, "--output", path, *more], capsys)
        assert [path.name for path in folder.iterdir()] == [".lock"]


@pytest.mark.usefixtures("prepared", "mode", "layout")
@pytest.mark.parametrize("mode, layout", [("pynative", "native")], indirect=True, ids=[""])
def test_ranks_that_write_nothing_take_no_lock(tmp_path, monkeypatch):
    """All ranks share the folder of their run: the main one holds it."""
    folder = tmp_path / "run"
    monkeypatch.setattr(cluster, "is_main", lambda: False)
    with locks.held(folder, folder / ".lock"):
        train(tiny_run(folder, "training.steps=1"))


def test_two_restorations_to_one_output(tmp_path, monkeypatch, capsys):
    """A stand-in for a network starts the second in the middle of the first."""
    write_frames(tmp_path / "in", [f"{number}.png" for number in range(4)], (16, 16))
    (tmp_path / "link.tif").symlink_to(tmp_path / "out.tif")
    seconds = []

    class Meanwhile(StandIn):
        def compute(self, x):
            if not seconds:
                for output in ("out.tif", "link.tif"):
                    for resume in (False, True):
                        with pytest.raises(UserError, match=f"process {os.getpid()} on .* is writing there"):
                            restore(Request(tmp_path / "in", tmp_path / output, "deblur", resume=resume))
                        seconds.append(output)
            return x

    monkeypatch.setattr(
        run,
        "choose",
        lambda task, *_, **__: [TaskNetwork(task, Meanwhile(), write_frames(tmp_path / "weights"), (2, 16, 16), (0, 4, 4))],
    )
    restore(Request(tmp_path / "in", tmp_path / "out.tif", "deblur"), lambda line: None)
    assert len(seconds) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "link.tif", "out.tif", "weights"]


def test_two_evaluations_and_two_databases(tmp_path, capsys):
    with locks.held(tmp_path / "results", tmp_path / "results" / ".lock"):
        refused(["eval", "--output", tmp_path / "results"], capsys)
    write_frames(tmp_path / "clips" / "000")
    with locks.held(tmp_path / "a.lmdb", tmp_path / ".a.lmdb.lock"), pytest.raises(UserError, match="is writing there"):
        create_lmdb(tmp_path / "clips", tmp_path / "a.lmdb")
