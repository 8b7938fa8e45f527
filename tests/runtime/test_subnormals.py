"""Numbers below 1e-38 are taken for zero, by threads too that start later."""
import platform

import pytest

PROGRAM = """
import threading
from mindrestore.runtime import session, subnormals
assert not subnormals.flushes()
session.start("cpu")
seen = []
thread = threading.Thread(target=lambda: seen.append(subnormals.flushes()))
thread.start()
thread.join()
assert seen == [True] and subnormals.flushes()
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64") or platform.libc_ver()[0] != "glibc",
                    reason="only known how for glibc on x86-64 and ARM64")
def test_every_thread_flushes_alike(python):
    process = python(PROGRAM)
    assert process.returncode == 0, process.stderr[-2000:]
