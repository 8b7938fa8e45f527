"""The threads of native operators: kept from call to call, one crew for each thread that calls."""

import os
import platform

import pytest
from builders import needs_compiler

pytestmark = needs_compiler

# Convolutions by three threads, of tensors filled with one number: so many images that each thread computes some.
CONVOLVED = """
import os
import numpy as np
from mindspore import Tensor
from mindrestore.native import convolutions
from mindrestore.native.convolutions import ConvolutionChain, Layer
convolutions.threads = lambda: 3
def convolved(value):
    x, weight = (Tensor(np.full(shape, value, np.float32)) for shape in ((64, 7, 64, 64), (7, 7, 3, 3)))
    return ConvolutionChain([Layer()]).forward(x, weight, Tensor(np.zeros(7, np.float32))).numpy()
expected = convolved(0.5)
assert expected.max() == 0.25 * 9 * 7
"""


def succeeds(python, program, said=""):
    done = python(CONVOLVED + program)
    assert (done.returncode, done.stdout) == (0, said), done.stderr


def test_threads_are_kept(python):
    succeeds(
        python,
        """
import threading, time
def tasks():
    return set(os.listdir("/proc/self/task"))
alone, seen = tasks(), []
def twice():
    for _ in range(2):
        convolved(1.0)
        seen.append(tasks())
thread = threading.Thread(target=twice)
thread.start()
thread.join()
assert len(seen[0] - alone) == 3 and seen[0] == seen[1]  # the thread and two that help it, between its calls too
end = time.monotonic() + 10
while tasks() != alone and time.monotonic() < end:
    time.sleep(0.01)
assert tasks() == alone  # they end with it
""",
    )


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64") or platform.libc_ver()[0] != "glibc",
    reason="only known how for glibc on x86-64 and ARM64",
)
def test_they_compute_in_the_mode_of_the_thread_that_calls(python):
    """The first call, which makes the threads, comes before subnormal numbers are flushed to zero, as in a library's user."""
    succeeds(
        python,
        """
from mindrestore.runtime import process
assert not process.flushes_subnormals() and convolved(1e-20).min() > 0
assert process.flush_subnormals()
assert not convolved(1e-20).view(np.uint32).any()  # as bits: this thread takes subnormal numbers for zeros
""",
    )


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_they_keep_to_the_cores_of_the_thread_that_calls(python):
    succeeds(
        python,
        """
def computing():
    return {task for task in os.listdir("/proc/self/task") if int(task) not in others}
others = {int(task) for task in os.listdir("/proc/self/task")} - {os.getpid()}
cores = os.sched_getaffinity(0)
convolved(1.0)
os.sched_setaffinity(0, {min(cores)})
convolved(1.0)
assert [os.sched_getaffinity(int(task)) for task in computing()] == 3 * [{min(cores)}]
""",
    )


def test_threads_that_call_side_by_side_do_not_disturb_each_other(python):
    succeeds(
        python,
        """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as pool:
    for value, result in zip(range(40), pool.map(convolved, range(40))):
        np.testing.assert_array_equal(result, expected * (4 * value * value))
""",
    )


@pytest.mark.parametrize("calls", [True, False], ids=["that computes", "that does not"])
def test_a_forked_process_ends(calls, python):
    """It has none of the threads of the one that forked it, and must not wait for them: neither for a job nor at its end."""
    succeeds(
        python,
        f"""
import sys
child = os.fork()
if not child:
    if {calls}:
        np.testing.assert_array_equal(convolved(0.5), expected)
    print("here")
    sys.exit()
_, status = os.waitpid(child, 0)
assert status == 0, status
np.testing.assert_array_equal(convolved(0.5), expected)
""",
        said="here\n",
    )
