"""Numbers below 1e-38 are taken for zero, by threads too that start later."""

import platform

import pytest

PROGRAM = """
import threading
from mindrestore.runtime import process, session
assert not process.flushes_subnormals()
session.start("cpu")
seen = []
thread = threading.Thread(target=lambda: seen.append(process.flushes_subnormals()))
thread.start()
thread.join()
assert seen == [True] and process.flushes_subnormals()
"""


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64") or platform.libc_ver()[0] != "glibc",
    reason="only known how for glibc on x86-64 and ARM64",
)
def test_every_thread_flushes_alike(python):
    process = python(PROGRAM)
    assert process.returncode == 0, process.stderr[-2000:]
