"""Devices, threads, the fast convolution, and nothing left behind: mostly in processes of their own, as for users."""

import os
import re
import signal
from pathlib import Path

import pytest
from places import CONFIGS

from mindrestore.errors import UserError
from mindrestore.runtime import environment, onnx_file, release, session

STEP = """
import numpy as np, sys
from mindspore import Tensor
from mindrestore.models import create_model
from mindrestore.runtime import session
from mindrestore.training.gradients import GRADIENTS
from mindrestore.training.losses import mse

session.start("cpu", sys.argv[1])
network = create_model("revsci", blocks=1, channels=16)
arrays = [Tensor(np.ones(shape, np.float32)) for shape in ((1, 4, 16, 16), (1, 16, 16), (4, 16, 16))]
loss, gradients = GRADIENTS[sys.argv[2]](network, mse)(*arrays)
assert all(np.isfinite(gradient.asnumpy()).all() for gradient in gradients)
"""


def kernels(log):
    """Return the names of the kernels that oneDNN's log says convolutions ran in."""
    pattern = r"^onednn_verbose,.*?\bexec,cpu,(?:convolution|deconvolution),([^,]+),"
    return re.findall(pattern, log, re.MULTILINE)


def is_reference(kernel):
    return "ref" in re.split("[^a-z0-9]+", kernel)


def failed(process):
    return f"{process.returncode}: {process.stderr[-2000:]}"


# The fast convolution


def test_the_log_of_a_slow_convolution_is_recognised():
    log = """onednn_verbose,v1,info,cpu,runtime:threadpool,nthr:2
onednn_verbose,v1,primitive,exec,cpu,convolution,jit_uni_ncsp:conv+ref:any,forward_training,src:f32,,alg:direct,mb4,9.1
onednn_verbose,v1,primitive,exec,cpu,convolution,x64:gemm:jit,backward_weights,src:f32,,alg:direct,mb4,0.1
onednn_verbose,v1,primitive,exec,cpu,matmul,ref:any,undef,src:f32,,,4x4:4x4,0.1
onednn_verbose,exec,cpu,deconvolution,ref:any,forward_training,src:f32,,alg:direct,mb4,9.1
"""
    assert kernels(log) == ["jit_uni_ncsp:conv+ref:any", "x64:gemm:jit", "ref:any"]
    assert list(map(is_reference, kernels(log))) == [True, False, True]
    assert not is_reference("brgconv:avx2_preferred")


@pytest.mark.parametrize(
    "how", [("pynative", "pieces"), pytest.param(("graph", "whole"), marks=pytest.mark.long)], ids="-".join
)
def test_no_convolution_of_a_training_step_takes_the_reference_kernel(python, how):
    process = python(STEP, *how, ONEDNN_VERBOSE="1")
    assert process.returncode == 0, failed(process)
    found = kernels(process.stdout)
    assert len(found) >= 20  # forward, backward to the input, backward to the weights
    assert not [kernel for kernel in found if is_reference(kernel)]
    assert all("jit" in kernel or "gemm" in kernel for kernel in found), set(found)


@pytest.mark.skipif(
    "avx512f" not in (Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""),
    reason="the processor has no AVX-512, whose convolutions are the slow ones",
)
def test_without_the_cap_the_reference_kernel_is_taken(python):
    """If this fails, MindSpore's convolutions have become fast by themselves and the cap may go."""
    process = python(STEP, "pynative", "whole", ONEDNN_VERBOSE="1", ONEDNN_MAX_CPU_ISA="ALL")
    assert process.returncode == 0, failed(process)
    assert [kernel for kernel in kernels(process.stdout) if is_reference(kernel)]


def test_the_cap_is_set_unless_the_user_has_set_it(monkeypatch):
    monkeypatch.delenv(environment.INSTRUCTIONS, raising=False)
    environment.prefer_fast_instructions()
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    monkeypatch.setenv(environment.INSTRUCTIONS, "SSE41")
    environment.prefer_fast_instructions()
    assert os.environ["ONEDNN_MAX_CPU_ISA"] == "SSE41"


LAZY = """
import sys
import mindrestore.cli
from mindrestore.config import load_config
from mindrestore.models import kind_of
print(load_config(sys.argv[1]).model.abilities.tasks, kind_of("vrt").title, "mindspore" in sys.modules)
from mindrestore import create_model, load_network, load_published_weights, restore_video
print(create_model.__module__, restore_video.__module__, "mindspore" in sys.modules)
create_model("revsci", blocks=1, channels=8)
print("mindspore" in sys.modules)
try:
    from mindrestore import create_modle
except ImportError as error:
    print(error)
"""


def test_mindspore_is_imported_when_it_is_needed(python):
    process = python(LAZY, CONFIGS / "vrt" / "small_sr.yaml")
    first, second, third, fourth = process.stdout.splitlines()
    assert first == "('sr',) VRT False", process.stderr
    assert second == "mindrestore.checkpoints.loading mindrestore.restore.video False"
    assert third == "True" and "create_modle" in fourth


def test_importing_the_package_sets_it_before_mindspore_is_there(python):
    process = python("import sys, os, mindrestore; print(os.environ['ONEDNN_MAX_CPU_ISA'], 'mindspore' in sys.modules)")
    assert process.stdout.split() == ["AVX2", "False"], failed(process)


# Modes


def test_modes(prepared):
    from mindrestore.runtime import execution

    def double(x):
        return 2 * x

    try:
        execution.use("pynative")
        assert execution.compiled(double) is double
    finally:
        execution.use("graph")
    assert execution.compiled(double) is not double


THREADS = """
import os, sys, time
import numpy as np
from mindspore import Tensor, ops
from mindrestore.runtime import session

threads = int(sys.argv[1])
session.start("cpu", "pynative", threads)
x, weight = Tensor(np.ones((4, 32, 128, 128), np.float32)), Tensor(np.ones((32, 32, 3, 3), np.float32))

def work():
    ops.tanh(ops.conv2d(x, weight, None, pad_mode="pad", padding=1)).asnumpy()

work()
began, used = time.perf_counter(), time.process_time()
for _ in range(5):
    work()
print((time.process_time() - used) / (time.perf_counter() - began))
print(max(len(os.sched_getaffinity(int(thread))) for thread in os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system does not keep processes to cores")
def test_no_more_cores_are_used_than_asked_for(python):
    """On an idle machine of several cores the first number is near their count without the limit."""
    process = python(THREADS, 1)
    assert process.returncode == 0, failed(process)
    busy, cores = process.stdout.split()
    assert float(busy) < 1.2 and int(cores) == 1
    assert "deprecated" not in process.stderr
    everything = python(THREADS, 10_000)
    assert int(everything.stdout.split()[1]) == len(os.sched_getaffinity(0)), failed(everything)


# Nothing left behind


def test_a_training_step_leaves_no_file_and_prints_nothing(python, tmp_path):
    process = python(STEP, "graph", "whole")
    assert process.returncode == 0, failed(process)
    assert process.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_does_not_compile_leaves_no_file(python, tmp_path):
    (tmp_path / "program.py").write_text("""
import mindspore as ms
from mindspore import Tensor
from mindrestore.runtime import session
session.start("cpu")
@ms.jit
def wrong(x):
    return x + no_such_name
wrong(Tensor(1.0))
""")
    process = python("import runpy; runpy.run_path('program.py')")
    assert process.returncode == 1 and "no_such_name" in process.stderr, failed(process)
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


def test_sigterm_interrupts_for_as_long_as_the_context_lasts():
    former = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), release.sigterm_as_keyboard_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == former


def test_the_users_own_dump_folder_stays(python):
    process = python(
        """
import os
from mindrestore.runtime import session
session.start("cpu")
print(os.environ["MS_OM_PATH"])
""",
        MS_OM_PATH="/mine",
    )
    assert process.stdout == "/mine\n", failed(process)


@pytest.mark.parametrize("start", [session.start, onnx_file.start])
def test_no_core_is_no_number_of_threads(start):
    for count in (0, -1):
        with pytest.raises(UserError, match=f"--threads {count}: it must be at least 1"):
            start("cpu", threads=count)


def test_numpy_2_is_refused_before_an_operator_fails(monkeypatch):
    monkeypatch.setattr(release.np, "__version__", "2.4.6")
    with pytest.raises(UserError, match='NumPy 2.4.6 is installed, and MindSpore 2.10 needs NumPy 1; run: pip install "numpy'):
        session.start("cpu")
