"""Every operator, and every type it is given, has a kernel on a GPU: MindSpore's own plug-in is asked, on an imitated one."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import imitated_gpu
import pytest

WORKLOADS = Path(__file__).with_name("workloads.py")
MSRUN = Path(sys.executable).with_name("msrun")
SHORT = ("revsci_training multi_group reversible", "vrt_restoration smallest")
LONG = tuple(f"revsci_{how}" for how in (
    "training two_way plain", "training two_way reversible", "training multi_group plain", "training grey_estimate plain",
    "training colour plain", "restoration two_way", "restoration multi_group", "export two_way", "export multi_group"))
LONG += ("flow_training", *(f"vrt_restoration {kind}" for kind in ("aligned", "far", "interpolation", "without_flows")))
LONG += ("vrt_training aligned float16", "vrt_training far float32", "vrt_training interpolation float32",
         "vrt_training without_flows float16")


@pytest.fixture(scope="module")
def variables(tmp_path_factory):
    """The environment of a process that has an imitated GPU."""
    lacking = imitated_gpu.missing()
    if lacking:
        pytest.skip(f"no GPU can be imitated: {lacking}")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path),
            **imitated_gpu.environment(tmp_path_factory.mktemp("gpu"))}


def run(variables, folder, *command):
    """Run a command; return the lines of JSON it says."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=variables, cwd=folder, timeout=1800)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines and not done.returncode, done.stdout + done.stderr
    return lines


def test_what_has_no_kernel_is_refused_by_name(variables, tmp_path):
    """NanToNum's own documentation has Ascend and CPU only: an imitation that took it would take everything."""
    graph, single = run(variables, tmp_path, sys.executable, WORKLOADS, "gpu", "unsupported compiled", "unsupported alone")
    assert "Unsupported op [NanToNum] on GPU" in graph["refused"] and "op NanToNum failed" in single["refused"]


def test_kernels_of_training_and_restoration(variables, tmp_path):
    assert_taken(variables, tmp_path, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("workload", LONG)
def test_kernels(variables, tmp_path, workload):
    assert_taken(variables, tmp_path, [workload])


def assert_taken(variables, folder, workloads):
    done = run(variables, folder, sys.executable, WORKLOADS, "gpu", *workloads)
    assert [line["workload"] for line in done] == list(workloads)
    assert {line["workload"]: line["refused"] for line in done if line["refused"]} == {}


@pytest.mark.long
def test_kernels_of_the_sum_over_processes(variables, tmp_path):
    """Two processes of msrun, one imitated GPU each; NCCL is imitated too."""
    subprocess.run([MSRUN, "--worker_num=2", "--local_worker_num=2", "--master_port=8919", "--join=True", "--log_dir=logs",
                    WORKLOADS, "gpu", "sum_over_processes"], env=variables, cwd=tmp_path, timeout=600, capture_output=True)
    for rank in range(2):
        log = (tmp_path / "logs" / f"worker_{rank}.log").read_text()
        found = re.search(r'^{"workload".*}$', log, re.MULTILINE)
        assert found, log
        assert json.loads(found[0]) == {"workload": "sum_over_processes", "refused": None, "processes": 2}
