"""What several tests share: MindSpore prepared as for a run, how it executes, which convolution it uses, real processes."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src"


@pytest.fixture(scope="session")
def prepared():
    """MindSpore as ``session.start`` prepares it, on the CPU."""
    from mindrestore.runtime import session
    return session.start("cpu")


@pytest.fixture
def mode(prepared, request):
    """``graph`` or ``pynative`` (parametrise it indirectly), for one test."""
    from mindrestore.runtime import execution
    execution.use(request.param)
    yield request.param
    execution.use("graph")


@pytest.fixture
def layout(prepared, monkeypatch, request):
    """``frames`` or ``native`` (parametrise it indirectly): the convolution that networks are built on, for one test."""
    from mindrestore.ops import convolution, convolution_frames, convolution_native
    module = {"frames": convolution_frames, "native": convolution_native}[request.param]
    monkeypatch.setattr(convolution, "implementation", lambda: module)
    return module


@pytest.fixture
def python(tmp_path):
    """``python(program, *arguments, **environment)`` runs a program text in a process of its own and in an empty folder."""
    def run(program, *arguments, **environment):
        return subprocess.run([sys.executable, "-c", program, *map(str, arguments)], cwd=tmp_path, capture_output=True,
                              text=True, env=fresh_environment(**environment), timeout=600)
    return run


def fresh_environment(**changes):
    """The environment as a user has it: without the variables that importing mindrestore set here."""
    inherited = {name: value for name, value in os.environ.items() if name != "ONEDNN_MAX_CPU_ISA"}
    return {**inherited, "PYTHONPATH": str(SOURCES), **changes}
