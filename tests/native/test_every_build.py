"""The tests of native operators once more, with the operators compiled for other processors and watched by sanitizers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

from mindrestore.runtime import processor

TESTS = "equal_to_mindspores or are_the_whole or is_wanted or lead_nowhere or permutation"
SANITIZED = ["-O1", "-g", "-fno-omit-frame-pointer"]
BUILDS = {  # flags of the compiler, and libraries of it to load before all others
    "address and undefined behaviour": (
        [*SANITIZED, "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        ["libasan.so", "libubsan.so"],
    ),
    "threads": ([*SANITIZED, "-fsanitize=thread"], ["libtsan.so"]),
    "AVX2": (["-march=x86-64-v3"], []),
    "baseline": (["-march=x86-64"], []),
}

pytestmark = [pytest.mark.long, pytest.mark.skipif(not shutil.which("g++"), reason="there is no g++")]


def environment_of(folder, flags, libraries):
    """The environment in which operators are compiled with these flags, behind the usual ones, by a compiler of its own."""
    compiler = folder / "g++"
    compiler.write_text(f'#!/bin/sh\nexec {shutil.which("g++")} "$@" {" ".join(flags)}\n')
    compiler.chmod(0o755)
    paths = [
        subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip() for name in libraries
    ]
    if not all(os.path.isabs(path) for path in paths):
        pytest.skip("the compiler has no sanitizers")
    return {
        **os.environ,
        "CXX": str(compiler),
        "XDG_CACHE_HOME": str(folder),
        "LD_PRELOAD": " ".join(paths),
        "ASAN_OPTIONS": "detect_leaks=0",  # the interpreter leaves much
        "TSAN_OPTIONS": "exitcode=0",
        "PYTHONPATH": str(ROOT / "src"),
    }


@pytest.mark.parametrize("name", BUILDS)
def test_they_pass(name, tmp_path):
    flags, libraries = BUILDS[name]
    if name in ("AVX2", "baseline") and "avx2" not in processor.instructions():
        pytest.skip("these instructions are another processor's")
    environment = environment_of(tmp_path, flags, libraries)
    subprocess.run(
        [sys.executable, "-c", "from mindrestore.native import build; build.built()"],
        check=True,
        env={**environment, "LD_PRELOAD": ""},
    )  # beside a sanitizer no process can be started
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", TESTS, str(Path(__file__).parent)]
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=3000)
    said = run.stdout + run.stderr
    assert run.returncode == 0 and " passed" in said, said[-4000:]
    ours = [part for part in said.split("WARNING: ThreadSanitizer")[1:] if "mindrestore::" in part]  # MindSpore has its own
    assert not ours, ours[0]


def test_a_mistake_would_be_seen(tmp_path):
    """A sanitizer that sees nothing of what is loaded into Python would pass everything."""
    environment = environment_of(tmp_path, *BUILDS["address and undefined behaviour"])
    (tmp_path / "beyond.cpp").write_text('extern "C" float beyond(const float *x) { return x[3]; }\n')
    subprocess.run(
        [environment["CXX"], "-shared", "-fPIC", "beyond.cpp", "-o", "beyond.so"],
        cwd=tmp_path,
        check=True,
        env={**environment, "LD_PRELOAD": ""},
    )
    script = (
        "import ctypes, numpy as np\nlibrary = ctypes.CDLL('./beyond.so')\n"
        "library.beyond(ctypes.c_void_p(np.zeros(3, np.float32).ctypes.data))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode != 0 and "heap-buffer-overflow" in run.stderr, run.stderr
