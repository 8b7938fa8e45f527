"""The threads of native operators: kept from call to call, one crew for each thread that calls."""

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
before = set(os.listdir("/proc/self/task"))
for _ in range(20):
    convolved(1.0)
assert set(os.listdir("/proc/self/task")) == before
""",
    )


def test_they_compute_in_the_mode_of_the_thread_that_calls(python):
    """The first call, which makes the threads, comes before subnormal numbers are flushed to zero, as in a library's user."""
    succeeds(
        python,
        """
from mindrestore.runtime import process
if not process.flushes_subnormals() and convolved(1e-20).min() > 0:
    if process.flush_subnormals():
        assert not convolved(1e-20).view(np.uint32).any()  # this thread takes subnormal numbers for zeros
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
