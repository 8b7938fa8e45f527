"""What several tests share: MindSpore prepared as for a run, execution modes, convolutions, real processes."""

import os
import subprocess
import sys

import pytest
from places import ROOT

MEETING = {"test_cluster.py", "test_launchers.py", "test_starts.py"}  # processes meet at ports, some of them MindSpore's own


def pytest_xdist_auto_num_workers():
    """``pytest -n auto``: a process a core, four at most, for each computes on all cores and holds graphs for gigabytes."""
    return min(4, os.cpu_count() or 1)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items):
    """With several processes a file stays in one, which compiles and builds once what its tests share."""
    for item in items:
        file = item.path.name
        item.add_marker(pytest.mark.xdist_group("ports" if file in MEETING else file))


@pytest.fixture(scope="session")
def prepared():
    """MindSpore as ``session.start`` prepares it, on the CPU."""
    from mindrestore.runtime import session

    return session.start("cpu")


@pytest.fixture(autouse=True)
def float32_again():
    """No test leaves another precision behind."""
    yield
    if "mindrestore.runtime.precision" in sys.modules:
        sys.modules["mindrestore.runtime.precision"].use("float32")


@pytest.fixture
def mode(prepared, request):
    """``graph`` or ``pynative`` (parametrise it indirectly), for one test."""
    from mindrestore.runtime import execution

    execution.use(request.param)
    yield request.param
    execution.use("graph")


@pytest.fixture
def operators(prepared, request):
    """``native`` or ``mindspore`` (parametrise it indirectly): what pieces are computed by, for one test."""
    from mindrestore import native

    if request.param == "native" and not native.available():
        pytest.skip(f"there are no native operators: {native.described()[1]}")
    native.use(request.param == "native")
    yield request.param
    native.use(True)


@pytest.fixture
def layout(prepared, monkeypatch, request):
    """``frames`` or ``native`` (parametrise it indirectly): which convolution networks are built on, for one test."""
    from mindrestore.ops import convolution, convolution_frames, convolution_native

    module = {"frames": convolution_frames, "native": convolution_native}[request.param]
    monkeypatch.setattr(convolution, "implementation", lambda: module)
    return module


@pytest.fixture
def fresh_environment():
    """The environment as a user has it: without what importing mindrestore and preparing MindSpore set."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("ONEDNN_MAX_CPU_ISA", "MS_OM_PATH")}
    return {**inherited, "PYTHONPATH": str(ROOT / "src")}


@pytest.fixture
def python(tmp_path, fresh_environment):
    """``python(program, *arguments, **environment)`` runs a program text in a process and an empty folder of its own."""

    def run(program, *arguments, **environment):
        return subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**fresh_environment, **environment},
            timeout=600,
        )

    return run
