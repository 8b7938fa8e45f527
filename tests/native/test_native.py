"""Native operators: equal to MindSpore's own, forwards and backwards; built where they run, absent without harm."""

import fnmatch
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from builders import golden_vrt, needs_compiler, strided
from mindspore import Parameter, Tensor
from places import ROOT

from mindrestore import native
from mindrestore.commands import doctor
from mindrestore.config import make_config
from mindrestore.executor import Piecewise, piecewise
from mindrestore.executor.piecewise import Run, run_of
from mindrestore.models.vrt.attention import Group
from mindrestore.models.vrt.settings import Options
from mindrestore.native import attention_block, build, loading
from mindrestore.runtime import device, execution, precision, processor

pytestmark = pytest.mark.usefixtures("prepared")

# channels, heads, window, mutual, bias of qkv, size of the maps (N, D, H, W), which of two blocks: the second one is shifted
VARIANTS = {
    "self, heads of 20": (120, 6, (6, 8, 8), False, True, (1, 6, 8, 16), 0),
    "self, shifted, padded, heads of 30": (180, 6, (6, 8, 8), False, True, (1, 6, 12, 10), 1),
    "mutual": (120, 6, (2, 8, 8), True, True, (1, 2, 8, 8), 0),
    "mutual, shifted in time, padded": (120, 6, (2, 8, 8), True, True, (2, 4, 9, 8), 1),
    "mutual, shifted in space": (24, 3, (2, 4, 4), True, True, (1, 2, 16, 12), 1),
    "mutual, odd frames": (10, 2, (2, 3, 5), True, False, (2, 4, 7, 11), 1),
    "self, odd, no bias of qkv": (21, 3, (3, 5, 3), False, False, (1, 5, 11, 7), 1),
    "a window shrunk to the map": (8, 2, (6, 8, 8), False, True, (1, 2, 3, 5), 1),
    "many small windows": (8, 2, (2, 2, 2), True, True, (2, 4, 16, 18), 1),
}


def of_windows(channels, heads, window, mutual, qkv_bias, size, number, multipliers=None):
    """Return a block as a piece, its input, and a gradient of its result."""
    rng = np.random.default_rng(0)
    group = Group(
        channels,
        depth=2,
        heads=heads,
        window=window,
        mutual=mutual,
        drop_rates=[0.0] * 2,
        options=Options(0.75, 2.0, qkv_bias, None),
        rng=rng,
    )
    for parameter in group.get_parameters():
        noise = 0.1 * rng.standard_normal(parameter.shape, np.float32)
        parameter.set_data(Tensor(parameter.asnumpy() + noise))
    piece = group.blocks[number].of_windows
    piece.number, piece.__dict__["multipliers"] = number, multipliers
    return (piece, *(Tensor(rng.standard_normal((*size, channels), np.float32)) for _ in range(2)))


def everything(run, piece, gradient):
    """Return the result, and the gradients of the input and of all weights."""
    of_inputs, of_weights = run.backward(gradient, ((True,), (True,) * len(piece.weights)))
    return [x.asnumpy() for x in (run.forward(), *of_inputs, *of_weights)]


def assert_equal_to_mindspores(piece, x, gradient, slack=1):
    operator = run_of(piece, (x,), 2**22)
    assert isinstance(operator, attention_block.AttentionBlock)
    found, expected = (everything(run, piece, gradient) for run in (operator, Run(piece, (x,), 2**22)))
    for name, one, other in zip(("result", "input", *piece.names), found, expected):
        largest = np.abs(other).max()
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= slack * (2e-6 if name == "result" else 1e-5) * largest, name


@needs_compiler
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_a_block_and_its_gradients_are_equal_to_mindspores(variant):
    assert_equal_to_mindspores(*of_windows(*variant))


@needs_compiler
def test_attention_and_mlp_of_clips_are_multiplied_or_dropped():
    multipliers = Parameter(np.array([[1, 1, 1.25, 0], [1, 1, 0, 1.25], [1, 1, 1.25, 1.25]], np.float32), name="multipliers")
    assert_equal_to_mindspores(*of_windows(8, 2, (2, 4, 4), True, True, (3, 4, 6, 10), 1, multipliers))


@needs_compiler
def test_scores_that_differ_by_more_than_float32_can_exponentiate():
    piece, x, gradient = of_windows(8, 2, (2, 4, 4), False, True, (1, 2, 8, 8), 1)
    for name, weight in zip(piece.names, piece.weights):
        if "qkv_self.weight" in name:
            weight.set_data(40 * weight)
    assert_equal_to_mindspores(piece, x, gradient, slack=20)  # scores of a thousand are rounded to 1e-4, in either


@needs_compiler
@pytest.mark.parametrize("name", ["attn.qkv_self.weight", "attn.relative_position_bias_table", "mlp.fc11.bias"])
def test_what_is_no_number_is_not_lost(name):
    """A run that diverges is noticed by it."""
    piece, x, gradient = of_windows(8, 2, (2, 4, 4), False, True, (1, 2, 8, 8), 0)
    weight = piece.weights[piece.names.index(name)]
    broken = weight.asnumpy().copy()
    broken[len(broken) // 2] = np.nan  # of the weights of qkv, those of keys alone
    weight.set_data(Tensor(broken))
    found, expected = (everything(run, piece, gradient) for run in (run_of(piece, (x,), 1), Run(piece, (x,), 2**22)))
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other))


@needs_compiler
@pytest.mark.parametrize("count", [1, 3])
def test_runs_of_as_many_threads_are_bit_equal(count, monkeypatch):
    monkeypatch.setattr(attention_block, "threads", lambda: count)
    piece, x, gradient = of_windows(*VARIANTS["mutual, shifted in time, padded"])
    first, second = (everything(run_of(piece, (x,), 1), piece, gradient) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second))


@needs_compiler
def test_only_gradients_that_are_wanted_are_returned():
    piece, x, gradient = of_windows(*VARIANTS["many small windows"])
    wanted = [name == "attn.proj.bias" for name in piece.names]
    run = run_of(piece, (x,), 1)
    of_inputs, of_weights = run.backward(gradient, ((False,), tuple(wanted)))
    assert of_inputs == [None] and [each is not None for each in of_weights] == wanted
    (of_x,), none = run.backward(gradient, ((True,), (False,) * len(wanted)))
    assert of_x.shape == x.shape and none == [None] * len(wanted)


@needs_compiler
def test_inputs_that_do_not_lie_in_a_row():
    piece, x, gradient = of_windows(*VARIANTS["many small windows"])
    turned = Tensor(np.ascontiguousarray(x.asnumpy().swapaxes(2, 3))).swapaxes(2, 3)
    np.testing.assert_array_equal(turned.asnumpy(), x.asnumpy())
    for one, other in zip(*(everything(run_of(piece, (each,), 1), piece, gradient) for each in (x, turned))):
        np.testing.assert_array_equal(one, other)


@needs_compiler
@pytest.mark.parametrize(
    "name, mean_error, largest_error",
    [  # as far as test_vrt.py has them
        ("vrt_interpolation", 1e-5, 1e-4),
        pytest.param("vrt_sr_4frames", 4e-4, 1e-2, marks=pytest.mark.long),
    ],
)
def test_golden_output(name, mean_error, largest_error):
    golden, network, x = golden_vrt(name)
    error = np.abs(strided(Piecewise(network)(x).asnumpy()) - golden["output_strided"])
    assert error.mean() < mean_error and error.max() < largest_error


def test_a_block_in_a_graph_has_nothing_of_it(monkeypatch):
    """What is compiled as a whole, or exported, is made of MindSpore's operators."""
    piece, x, _ = of_windows(*VARIANTS["many small windows"])
    monkeypatch.setattr(type(piece), "native", lambda *_: pytest.fail("asked for while a graph is compiled"))

    def whole(x):
        return piece(x)

    execution.compiled(whole)(x).asnumpy()


@needs_compiler
def test_where_it_is_not_used(monkeypatch):
    assert native.available()
    with monkeypatch.context() as patch:
        patch.setenv(loading.VARIABLE, "0")
        assert not native.available() and native.described() == (False, "switched off (MINDRESTORE_NATIVE=0 or runtime.native)")
    native.use(make_config({"name": "one"}, ["runtime.native=false"]).runtime.native)
    try:
        assert not native.available()
    finally:
        native.use(True)
    for patched, name, value in (
        (device, "name", lambda: "gpu"),
        (precision, "chosen", lambda: "float16"),
        (execution, "mode", lambda: "pynative"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(patched, name, value)
            assert not native.available()
    assert native.available()


@pytest.mark.parametrize(
    "compiler, said",
    [
        (None, "there is no C++ compiler nowhere (CXX)"),
        ("echo 'a.cpp:1:1: error: that was it' >&2; exit 1", "that was it"),
        ("true", "cannot be written"),
        ("echo nonsense > ${!#}", "cannot be loaded"),
    ],
    ids=["none", "fails", "makes nothing", "makes nonsense"],
)
def test_without_one_it_is_said_once_and_mindspores_are_used(compiler, said, tmp_path, monkeypatch, capsys):
    if compiler is None:
        monkeypatch.setenv("CXX", "nowhere")
    else:
        program = tmp_path / "compiler"
        program.write_text(f"#!/bin/bash\n{compiler}\n")
        program.chmod(0o755)
        monkeypatch.setenv("CXX", str(program))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(loading, "_loaded", None)
    piece, x, _ = of_windows(*VARIANTS["many small windows"])
    for _ in range(2):
        assert isinstance(run_of(piece, (x,), 1), Run)
    told = capsys.readouterr().err
    assert told.startswith("mindrestore: without native operators, as ") and told.count("\n") == 1 and said in told
    assert doctor._native().startswith("! native operators cannot be had: ") and said in doctor._native()
    assert not list((tmp_path / "cache").rglob("building-*"))


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("CXX", sys.executable)
    with pytest.raises(build.Unavailable, match="cannot be written"):
        build.built()


BUILD = """
import ctypes, sys
from pathlib import Path
from mindrestore.native import build
build.SOURCES, build.MAIN = Path(sys.argv[1]), ("one.cpp",)  # ours take a quarter of a minute
path = build.built()
ctypes.CDLL(str(path)).one
print(path)
"""


def built(folder, environment):
    run = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**environment, "XDG_CACHE_HOME": str(folder)},
    )
    assert run.returncode == 0, run.stderr
    return Path(run.stdout.strip())


@pytest.mark.long
@needs_compiler
def test_two_that_build_at_once_and_one_that_finds_it_damaged(tmp_path, fresh_environment):
    (tmp_path / "one.cpp").write_text('extern "C" int one() { return 1; }\n')
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: built(tmp_path, fresh_environment), range(2))
    assert one == other and os.listdir(one.parent) == [one.name]
    whole = one.read_bytes()
    made = one.stat().st_ino
    assert built(tmp_path, fresh_environment) == one and one.stat().st_ino == made  # kept
    for damaged in (b"", whole[: len(whole) // 2], whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]):
        other = tmp_path / "damaged"
        other.write_bytes(damaged)
        assert not build._is_intact(other)
    one.write_bytes(whole[: len(whole) // 2])
    assert built(tmp_path, fresh_environment) == one and build._is_intact(one)


def test_another_version_or_processor_has_another_library(monkeypatch, tmp_path):
    compiler = sys.executable  # any program
    key = build._key(compiler)
    for change in ((build, "FLAGS", ("-O1",)), (processor, "instructions", lambda: ["sse"]), (build, "SOURCES", tmp_path)):
        with monkeypatch.context() as patch:
            patch.setattr(*change)
            assert build._key(compiler) != key
    assert build._key(compiler) == key


def test_sources_travel_with_the_package():
    toml = (ROOT / "pyproject.toml").read_text()
    patterns = [pattern for pattern in ("native/*.cpp", "native/*.h") if f'"{pattern}"' in toml]
    sources = [path for path in build.SOURCES.iterdir() if path.suffix in (".cpp", ".h")]
    assert sources and all(any(fnmatch.fnmatch(f"native/{path.name}", each) for each in patterns) for path in sources)


def test_the_executor_asks_where_they_are_available(monkeypatch):
    piece, x, _ = of_windows(*VARIANTS["many small windows"])
    monkeypatch.setattr(piecewise.native, "available", lambda: False)
    assert isinstance(run_of(piece, (x,), 1), Run)
