"""Time a small convolution and see which of oneDNN's kernels computes it, to tell whether the fast convolution is on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import NamedTuple

RUNS = 10
_WORK = 2 * 8 * 64 * 64 * 16 * 32 * 9  # operations of one run
_PROGRAM = f"""
import mindrestore, time
import numpy as np
from mindspore import Tensor
from mindrestore.ops.convolution_images import conv2d
x, weight = Tensor(np.ones((8, 16, 64, 64), np.float32)), Tensor(np.ones((32, 16, 3, 3), np.float32))
def work():
    conv2d(x, weight, padding=1).numpy()
work()
times = []
for _ in range({RUNS}):
    start = time.perf_counter()
    work()
    times.append(time.perf_counter() - start)
print("seconds", min(times))
"""
_KERNEL = re.compile(r"^onednn_verbose,.*?\bexec,cpu,convolution,([^,]+),", re.MULTILINE)


class Probe(NamedTuple):
    """How a Conv2d of 16 to 32 channels, kernel 3, over 8 images of 64 x 64 runs on the CPU."""

    seconds: float  # the fastest of ``RUNS``
    kernel: str | None  # oneDNN's name for it, None where oneDNN printed none

    @property
    def is_fast(self) -> bool:
        """Whether it is a compiled kernel and not the reference one; without a name, whether it takes under 0.1 s."""
        if self.kernel is None:
            return self.seconds < 0.1
        return "ref" not in re.split("[^a-z0-9]+", self.kernel)

    @property
    def billions(self) -> float:
        """Operations a second in thousand millions (GFLOP/s)."""
        return _WORK / self.seconds / 1e9


def probe() -> Probe | None:
    """Run the convolution in a process of its own, as oneDNN reads ``ONEDNN_VERBOSE`` at its start; None if that fails."""
    process = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        capture_output=True,
        text=True,
        env={**os.environ, "ONEDNN_VERBOSE": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    seconds = re.search(r"^seconds (\S+)$", process.stdout, re.MULTILINE)
    if process.returncode or not seconds:
        return None
    kernel = _KERNEL.search(process.stdout)
    return Probe(float(seconds[1]), kernel and kernel[1])
