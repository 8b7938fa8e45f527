"""Starts of several processes for real, on a CPU: by msrun itself and by the launcher, with all defaults; and what is refused.

A program between the two is imitated by the environment that it leaves, or run if it is installed.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from builders import TINY_SETTINGS
from places import ROOT

from mindrestore.cli import main
from mindrestore.errors import UserError
from mindrestore.runtime import cluster, starts

CONFIG = ROOT / "configs" / "revsci" / "small_cpu.yaml"
TINY = (*TINY_SETTINGS, "training.steps=1")
USUAL = 8118  # msrun's default
OPENMPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "PMIX_RANK": "1"}
STEP = {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"}


@pytest.fixture
def environment(fresh_environment):
    """What a user's shell has, whose Python is this one; the log level is MindSpore's own."""
    kept = {
        name: value
        for name, value in fresh_environment.items()
        if not name.startswith(("OMPI", "PMI", "SLURM", "RANK", "MS_", "GLOG", "CUDA_VISIBLE"))
    }
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


def run(folder, environment, *command, timeout=180):
    began = time.monotonic()
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
    )
    return done.returncode, done.stdout, time.monotonic() - began


def msrun(*options):
    return (
        "msrun",
        "--worker_num=2",
        "--local_worker_num=2",
        "--join=True",
        "--log_dir=logs",
        *options,
        ROOT / "train.py",
        "--config",
        CONFIG,
    )


def launcher(*options):
    return "bash", ROOT / "scripts" / "run_distribute_train_cpu.sh", CONFIG, *options


def wait_for_usual_port():
    """Until the port that msrun takes by default is nobody's, as on a machine on which nothing else trains."""
    for _ in range(80):
        with socket.socket() as probe:
            try:
                return probe.bind(("", USUAL))
            except OSError:
                time.sleep(1)
    pytest.skip(f"another program keeps msrun's default port, {USUAL}")


def assert_trained(folder, output):
    """By two ranks into one folder, of which one wrote."""
    assert (folder / output / "last.ckpt").exists()
    logs = [path for path in folder.rglob("*.log") if path.stem in ("rank_0", "rank_1", "worker_0", "worker_1")]
    assert [path.stem[-1] for path in logs if f"Trained: {output}/" in path.read_text()] == ["0"] and len(logs) == 2


def test_msrun_with_its_defaults(environment, tmp_path):
    wait_for_usual_port()
    status, said, seconds = run(tmp_path, environment, *msrun(), "--output", "out", *TINY)
    assert status == 0, said
    assert_trained(tmp_path, "out")
    assert "timed out" not in (tmp_path / "logs" / "scheduler.log").read_text()  # ranks took leave of it


def test_a_port_that_is_held_is_the_schedulers_alone(tmp_path):
    """MindSpore's scheduler allows a socket beside its own (SO_REUSEADDR), what others listen with need not."""
    keeper = subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "lib" / "port.py", "--launcher", str(os.getpid())],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(keeper.stdout.readline())
        with socket.socket() as other, pytest.raises(OSError):
            other.bind(("127.0.0.1", port))
        with socket.socket() as scheduler:
            scheduler.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            scheduler.bind(("127.0.0.1", port))
            scheduler.listen()
    finally:
        keeper.kill()
        keeper.wait()


@pytest.mark.long
@pytest.mark.parametrize("how", ["launcher", "msrun"])
def test_twenty_starts_in_a_row(environment, tmp_path, how):
    ends = []
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        if how == "msrun":
            wait_for_usual_port()
        command = msrun() if how == "msrun" else launcher()
        status, said, seconds = run(folder, environment, *command, "--output", "out", *TINY)
        ends.append(status)
        assert_trained(folder, "out")
    assert ends == [0] * 20


@pytest.mark.long
def test_two_launchers_at_once(environment, tmp_path):
    runs = []
    for name in ("one", "other"):
        command = [*map(str, launcher("--log-dir", name, "--output", name)), *TINY]
        runs.append(
            subprocess.Popen(
                command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
    said = [each.communicate(timeout=300)[0] for each in runs]
    assert [each.returncode for each in runs] == [0, 0], said
    for name in ("one", "other"):
        assert f"Trained: {name}/" in (tmp_path / name / "rank_0.log").read_text()


def test_a_scheduler_that_cannot_listen_ends_a_plain_msrun(environment, tmp_path):
    """msrun looks after ranks alone, which by themselves wait for ten minutes."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, said, seconds = run(tmp_path, environment, *msrun(f"--master_port={port}"), "--output", "out", *TINY)
    assert status and seconds < 60 and not (tmp_path / "out").exists()
    assert "Configured scheduler port MS_SCHED_PORT is occupied" in said, said


@pytest.mark.long
@pytest.mark.parametrize("when", ["before ranks meet", "in training"])
def test_a_killed_scheduler_ends_the_run(environment, tmp_path, when):
    steps = [word for word in TINY if "steps" not in word] + ["training.steps=100000", "training.log_every=1"]
    command = [*map(str, launcher("--output", "out")), *steps]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    sign = tmp_path / ("logs/small_cpu/scheduler.pid" if when == "before ranks meet" else "out/log.jsonl")
    while not (sign.exists() and sign.read_text()):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    os.kill(int((tmp_path / "logs/small_cpu/scheduler.pid").read_text()), 9)
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 1 and "the scheduler ended with status 137 (SIGKILL) before the ranks" in said, said


# Starts that are refused


@pytest.mark.parametrize(
    "found, expected",
    [
        (OPENMPI, ("mpirun", 1, 4)),
        (STEP, ("srun", 1, 4)),
        ({"PMI_SIZE": "2", "PMI_RANK": "0"}, ("mpirun", 0, 2)),
        ({"SLURM_STEP_ID": "3", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, ("srun", 0, 4)),  # an older Slurm
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "1"}, ("torchrun", 1, 2)),
        ({"RANK_TABLE_FILE": "t.json", "RANK_SIZE": "8", "RANK_ID": "3", "DEVICE_ID": "3"}, ("a rank table", 3, 8)),
        ({}, None),
        ({"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, None),
        ({"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"}, None),  # a shell of salloc
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, None),  # a script of sbatch
        ({**STEP, "SLURM_STEP_NUM_TASKS": "1"}, None),  # srun -n 1 within it
        ({**STEP, "SLURM_STEP_ID": "4294967290"}, None),  # an interactive shell, which Slurm counts as a step
        ({"RANK_TABLE_FILE": "t.json"}, None),
        ({"WORLD_SIZE": "2", "RANK": "1"}, None),
        ({**OPENMPI, "OMPI_COMM_WORLD_RANK": ""}, None),
    ],
)
def test_who_started_this_process_with_others(found, expected):
    assert starts.among_several(found) == expected


@pytest.mark.parametrize("found", [OPENMPI, STEP])
def test_training_refuses_to_be_one_of_four_strangers(monkeypatch, found):
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MS_ROLE", raising=False)
    with pytest.raises(
        UserError,
        match="started this process as rank 1 of 4.*start all of them by one command, bash "
        "scripts/run_distribute_train_cpu.sh a.yaml --devices 4 ",
    ):
        cluster.refuse_other_starts("a.yaml")
    monkeypatch.setenv("MS_ROLE", "MS_WORKER")  # by msrun, or a launcher, that was started so once a server
    cluster.refuse_other_starts("a.yaml")


@pytest.mark.parametrize(
    "words", [["eval"], ["export"], ["restore", "a.mp4", "b.mp4", "--task", "sr"]], ids=lambda words: words[0]
)
def test_other_commands_refuse_too(monkeypatch, capsys, words):
    for name, value in OPENMPI.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MS_ROLE", raising=False)
    assert main(words) == 2
    assert (
        "started this process as rank 1 of 4, but each would do the whole by itself, and all write into the same place; "
        "start one process." in capsys.readouterr().err
    )


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("mpirun"), reason="mpirun is not installed (openmpi-bin)")
def test_mpirun_for_real(environment, tmp_path):
    allowed = {**environment, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    status, said, _ = run(
        tmp_path,
        allowed,
        "mpirun",
        "--oversubscribe",
        "-n",
        "2",
        "python",
        ROOT / "train.py",
        "--config",
        CONFIG,
        "--output",
        "out",
        *TINY,
    )
    assert status == 2 and "mpirun started this process as rank " in said and "Traceback" not in said, said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["cpu", "gpu", "ascend"])
def test_the_installed_msrun_takes_what_the_launchers_say(environment, tmp_path, monkeypatch, kind):
    from mindspore.parallel.cluster.run import get_args

    (tmp_path / "a.yaml").write_text("name: a\n")
    status, said, _ = run(
        tmp_path,
        environment,
        "bash",
        ROOT / "scripts" / f"run_distribute_train_{kind}.sh",
        "a.yaml",
        "--devices",
        "2",
        "--dry-run",
    )
    words = next(line for line in said.splitlines() if line.startswith("started by: ")).split(", ")[0].split()[2:]
    monkeypatch.setattr(sys, "argv", [*words, "train.py"])
    options = get_args()
    assert (options.worker_num, options.local_worker_num, options.node_rank, options.join) == (2, 2, 0, True)
    assert options.rank_table_file == ("logs/a/rank_table.json" if kind == "ascend" else "")
    assert options.worker_log_name == "rank" and options.log_dir == "logs/a"
