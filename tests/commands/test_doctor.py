"""``mindrestore doctor``: what it says is measured, not believed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mindrestore.runtime import processor
from mindrestore.runtime.convolution_probe import Probe
from mindrestore.tiling import NETWORKS, recommended_tile


def doctor(**environment):
    run = subprocess.run(
        [sys.executable, "-m", "mindrestore", "doctor"], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_everything_is_said():
    said = doctor(ONEDNN_MAX_CPU_ISA="AVX2")
    for word in (
        "mindrestore",
        "mindspore",
        "python",
        "numpy",
        "opencv",
        "device        cpu",
        "processor",
        "instructions",
        "native ",
        "fusion",
        "free memory",
        "--tile",
        "video ",
    ):
        assert word in said
    assert re.search(r"convolution   fast: [0-9.]+ ms for a small one, [0-9]+ GFLOP/s, kernel \S+", said)


@pytest.mark.long
@pytest.mark.skipif(processor.instruction_set() != "AVX-512", reason="only with AVX-512 is there a slow convolution")
def test_a_slow_convolution_is_seen():
    said = doctor(ONEDNN_MAX_CPU_ISA="ALL")
    assert "convolution   slow" in said and "! convolution takes the reference kernel" in said


@pytest.mark.parametrize(
    "probe, fast",
    [
        (Probe(0.01, "x64:gemm:jit"), True),
        (Probe(0.01, "brgconv:avx2_preferred"), True),
        (Probe(0.01, "jit_uni_ncsp:conv+ref:any"), False),
        (Probe(0.01, None), True),
        (Probe(0.5, None), False),
    ],
)
def test_which_kernels_are_fast(probe, fast):
    assert probe.is_fast == fast


def test_free_memory_is_no_more_than_the_machine_or_the_container_has(tmp_path, monkeypatch):
    free = processor.free_memory()
    assert 0 < free < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit, used = tmp_path / "max", tmp_path / "current"
    limit.write_text("3000000\n")
    used.write_text("1000000\n")
    monkeypatch.setattr(processor, "_LIMITS", ((limit, used), (Path("nowhere"), Path("nowhere"))))
    assert processor.free_memory() == 2_000_000
    limit.write_text("max\n")
    assert processor.free_memory() > 2_000_000


@pytest.mark.parametrize("network", NETWORKS)
def test_less_memory_gives_smaller_tiles_until_there_is_none(network):
    sizes = []
    for free in (64e9, 16e9, 8e9, 4e9, 2e9, 1e8):
        tile = recommended_tile(free, network)
        sizes.append(0 if tile is None else tile[0] * tile[1] * tile[2])
        assert tile is None or not (tile[1] % 8 or tile[2] % 8)
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0 and sizes[-1] == 0
