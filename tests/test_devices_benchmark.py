"""benchmarks/devices.py: cases run on the CPU, and by workers that die, hang and fail as an operator of a device can."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from mindrestore.config import load_config

ROOT = Path(__file__).parents[1]
FEW = ("golden revsci, exact", "call of RevSCI 50, piecewise", "step of RevSCI 50, reversible")


@pytest.fixture
def modules(monkeypatch):
    """The modules of benchmarks/ by name; they import each other as scripts do."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "golden"))
    monkeypatch.chdir(ROOT)
    return importlib.import_module


@pytest.fixture
def devices(modules):
    return modules("devices")


@pytest.fixture
def worker(devices, tmp_path, monkeypatch):
    """``worker(program)``: cases are measured by this program, which has ``case`` (what the case gives) and ``say``."""

    def use(program):
        path = tmp_path / "worker.py"
        path.write_text(
            "import json, os, signal, subprocess, sys, time\ncase = json.loads(sys.argv[1])\n"
            "say = lambda **answer: print(json.dumps(answer), flush=True)\n" + textwrap.dedent(program)
        )
        monkeypatch.setattr(devices, "WORKER", path)

    return use


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def measured(devices, path, *arguments):
    """Run small cases into ``path``; return the status and the records written by this run."""
    before = len(records(path)) if path.exists() else 0
    status = devices.main(["--device", "cpu", "--small", "--json", str(path), *arguments])
    return status, records(path)[before:] if path.exists() else []


def check_numbers(found):
    """Every part that was measured holds figures, and they are right where it is known what they must be."""
    for record in found:
        assert record["status"] == "done" or record["case"].startswith("PyTorch") and record["status"] == "skipped", record
        parts = {part: values for part, values in record["parts"].items() if part != "about"}
        assert parts or record["status"] == "skipped", record
        for values in parts.values():
            assert values.get("fine", True) and "does_not_fit" not in values, record
            assert values.get("s_call", 1) > 0 and values.get("s_step", 1) > 0, record


@pytest.mark.long
def test_cases_compute_on_the_cpu_and_a_second_call_has_nothing_to_do(devices, tmp_path, capfd):
    path = tmp_path / "found.jsonl"
    status, found = measured(devices, path, "--only", *FEW)
    assert status == 0 and [record["case"] for record in found] == list(FEW)
    check_numbers(found)
    golden, call, step = (record["parts"] for record in found)
    assert all(values["largest"] < 1e-4 for part, values in golden.items() if part != "about") and len(golden) == 4
    assert call["4x32x32"]["s_call"] > 0 and set(step) == {"about", "batch 1", "batch 2"}
    table = capfd.readouterr().out
    assert re.search(r"call of RevSCI 50, piecewise \| 4x32x32 \|.*\| MindSpore 2[\d.]+ \|.*0\.20 s on a 3090", table)
    assert measured(devices, path, "--only", *FEW) == (0, [])
    assert "4x32x32" in capfd.readouterr().out


@pytest.mark.long
def test_every_case_computes_on_the_cpu(devices, tmp_path):
    status, found = measured(devices, tmp_path / "found.jsonl")
    assert status == 0 and [record["case"] for record in found] == [case.name for case in devices.cases(True)]
    check_numbers(found)
    by_name = {record["case"]: record["parts"] for record in found}
    assert by_name["evaluate sci"]["mean"]["psnr"] == pytest.approx(28.74, abs=0.02)  # the README's
    assert by_name["train small_cpu"]["until it is stopped"]["step"] < by_name["train small_cpu"]["resumed"]["step"] == 4
    assert by_name["export and run"]["run"]["frames"] == 8


# What an operator of a device can do to its process


def test_a_crash_leaves_what_was_measured_and_the_other_cases(devices, worker, tmp_path):
    worker("""
        say(part="about", values=dict(version="MindSpore 2.10.0"))
        say(part="batch 1", values=dict(s_step=1.5))
        if case["measure"].endswith("revsci"):
            print("[CRITICAL] no kernel image", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
    """)
    status, found = measured(devices, tmp_path / "found.jsonl", "--only", "golden revsci, exact", "golden vrt, exact")
    assert status == 1 and [record["status"] for record in found] == ["failed", "done"]
    assert found[0]["error"] == ["ended by SIGSEGV", "[CRITICAL] no kernel image"]
    assert found[0]["parts"]["batch 1"] == {"s_step": 1.5}
    assert "no kernel image" in (tmp_path / "found.log").read_text()


def test_a_case_that_hangs_is_ended_with_all_that_it_started(devices, worker, tmp_path, monkeypatch):
    monkeypatch.setattr(devices.cases(True)[0].__class__, "limit", lambda *_: 2)
    worker("""
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        say(part="started", values=dict(child=child.pid))
        time.sleep(60)
    """)
    began = time.monotonic()
    status, (record,) = measured(devices, tmp_path / "found.jsonl", "--only", "golden vrt, exact")
    assert status == 1 and record["status"] == "timed out" and time.monotonic() - began < 20
    assert "limit of 2 s" in record["error"][0]
    assert not alive(record["parts"]["started"]["child"])


def alive(process):
    """Whether it still runs; a killed one that nobody has waited for yet does not."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.1)
    return True


def test_an_errors_first_lines_are_kept(devices, modules, tmp_path, monkeypatch):
    case = devices.cases(True)[0]
    monkeypatch.setattr(devices, "cases", lambda small: [case._replace(settings=dict(names=["no_such_network"], exact=True))])
    status, (record,) = measured(devices, tmp_path / "found.jsonl")
    assert status == 1 and record["status"] == "failed"
    assert record["error"][0].startswith("FileNotFoundError") and "no_such_network" in record["error"][0]
    assert re.fullmatch(r"at benchmarks/device_golden.py:\d+, revsci", record["error"][-1])


def test_a_batch_that_does_not_fit_ends_the_search_but_the_first_fails(modules):
    doubling, said = modules("device_speed").doubling, {}

    def measure(size):
        if size > 2:
            raise RuntimeError("----\nOut of memory: 80 GB")

    doubling(lambda part, **values: said.update({part: values}), measure, 64)
    assert list(said) == ["batch 4"] and said["batch 4"]["does_not_fit"][0] == "RuntimeError: ----"
    with pytest.raises(RuntimeError):
        doubling(None, lambda size: measure(8), 64)


def test_numbers_that_are_not_finite_are_a_failure(modules):
    import numpy as np

    with pytest.raises(ArithmeticError, match="1 numbers"):
        modules("device_speed").values_of(np.array([1.0, np.nan]))


# What is run, and when


DONE = "say(part='p', values=dict(s_call=1.0))"


def test_a_budget_takes_the_worthiest_that_fit_and_names_the_others(devices, worker, tmp_path, capfd):
    worker(DONE)
    names = [case.name for case in devices.cases(True)]
    small, large = devices.cases(True)[0].seconds.small, devices.cases(True)[1].seconds.small
    assert small < large
    status, found = measured(devices, tmp_path / "found.jsonl", "--budget", str((small + large) / 2), "--only", "golden")
    assert [record["case"] for record in found] == [name for name in names if name.startswith("golden revsci")]
    assert f"left out, for they do not fit into --budget {(small + large) / 2:g}: golden vrt, exact" in capfd.readouterr().err
    status, found = measured(devices, tmp_path / "found.jsonl", "--only", "golden")
    assert [record["case"] for record in found] == [name for name in names if name.startswith("golden vrt")]


def test_what_failed_is_tried_again_after_what_is_missing(devices, worker, tmp_path):
    path = tmp_path / "found.jsonl"
    worker("sys.exit(3)")
    status, (record,) = measured(devices, path, "--only", "golden revsci, exact")
    assert (status, record["status"], record["error"][0]) == (1, "failed", "ended with status 3")
    with open(path, "a") as file:
        file.write('{"case": "golden vrt, exact", "sta')  # what a killed run was writing
    worker(DONE)
    path.write_text(path.read_text() + "\n")
    assert devices.main(["--device", "cpu", "--small", "--json", str(path), "--only", "golden"]) == 0
    assert [json.loads(line)["case"] for line in path.read_text().splitlines()[2:]] == [
        "golden vrt, exact",
        "golden revsci, as it comes",
        "golden vrt, as it comes",
        "golden revsci, exact",
    ]


def test_a_case_that_has_changed_is_measured_again_and_another_device_refused(devices, worker, tmp_path):
    path = tmp_path / "found.jsonl"
    worker(DONE)
    _, (record,) = measured(devices, path, "--only", "golden revsci, exact")
    path.write_text(json.dumps(dict(record, settings={})) + "\n")
    assert len(measured(devices, path, "--only", "golden revsci, exact")[1]) == 1
    with pytest.raises(SystemExit, match="holds results of --device cpu --small; choose another file"):
        devices.main(["--device", "gpu", "--json", str(path), "--list"])


def test_an_interrupt_ends_the_case_and_shows_what_there_is(devices, worker, tmp_path, monkeypatch, capfd):
    worker(DONE)
    path = tmp_path / "found.jsonl"
    measured(devices, path, "--only", "golden revsci, exact")
    monkeypatch.setattr(devices, "answers_of", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert devices.main(["--device", "cpu", "--small", "--json", str(path), "--only", "golden"]) == 128 + signal.SIGINT
    assert "| golden revsci, exact |" in capfd.readouterr().out and len(records(path)) == 1


def test_a_run_that_is_told_to_end_leaves_no_case_behind(tmp_path):
    """A case has a session of its own, which a signal to the run does not reach."""
    run = subprocess.Popen(
        [sys.executable, ROOT / "benchmarks" / "devices.py", "--device", "cpu", "--small", "--json", tmp_path / "found.jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    while not (tmp_path / "found.log").exists() or not (cases := children(run.pid)):
        time.sleep(0.05)
    run.terminate()
    run.communicate(timeout=30)
    assert run.returncode == 128 + signal.SIGINT and not any(map(alive, cases))


def children(process):
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--budget", "0"], "--budget 0: it must be above 0"),
        (["--json", "no/such/file"], "no/such: no such file or folder"),
        (["--only", "goldne"], "--only goldne: no case begins so"),
    ],
)
def test_mistakes_are_named(devices, arguments, words, capfd):
    with pytest.raises(SystemExit) as mistake:
        devices.main(["--device", "cpu", "--small", "--list", *arguments])
    assert words in f"{mistake.value}{capfd.readouterr().err}"


def test_every_case_of_full_size_can_be_begun(devices, modules):
    """Names are those rehearsed, functions are there, and configurations take what the cases set."""
    full = devices.cases(False)
    names = [case.name for case in full]
    assert names == [case.name for case in devices.cases(True)] and len(set(names)) == len(names)
    for case in full:
        module, function = case.measure.split(".")
        assert callable(getattr(modules(module), function))
        if "config" in case.settings:
            load_config(case.settings["config"], case.settings["overrides"])


def test_the_process_that_starts_the_others_stays_off_the_device(tmp_path):
    """MindSpore, once imported, might hold the device, and its crash would end all."""
    program = "import sys, devices; devices.main(sys.argv[1:]); assert not {'mindspore', 'torch'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", program, "--device", "gpu", "--list"],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")},
        stdout=subprocess.DEVNULL,
    )


# The table


def row(modules, record, beside=None, others=()):
    shared = dict(resource="one GPU", published="", status="done", settings={}, device="gpu", small=False)
    return (
        modules("device_table")
        .table([{**shared, **each} for each in (record, *others)], {"case": {**shared, **beside}} if beside else {})
        .splitlines()[2]
    )


@pytest.mark.parametrize("psnr, words", [(27.69, "| +0.010 dB"), (27.65, "DIFFERS: -0.030 dB")])
def test_a_score_is_compared_with_the_cpus(modules, psnr, words):
    record = dict(case="case", parts={"mean": dict(psnr=psnr)})
    assert f"{words} from the CPU" in row(modules, record, dict(parts={"mean": dict(psnr=27.68)}))


def test_a_loss_that_does_not_fall_stands_out(modules):
    def of(begins, ends):
        return row(modules, dict(case="case", parts={"resumed": dict(losses=[], loss_begins=begins, loss_ends=ends)}))

    assert "DOES NOT FALL: loss 0.1000 to 0.2000" in of(0.1, 0.2) and "NOT FALL" not in of(0.2, 0.1)


def test_times_are_compared_with_pytorchs_of_the_same_batch(modules):
    ours = dict(case="step of 001, piecewise", parts={"batch 2": dict(s_step=3.0)})
    theirs = dict(case="PyTorch, step of 001", parts={"batch 1": dict(s_step=1.0), "batch 2": dict(s_step=2.0)})
    assert "1.50 times PyTorch's" in row(modules, ours, others=[theirs])
    assert "times PyTorch's" not in row(modules, dict(ours, device="cpu"), others=[theirs])


def test_scores_that_others_are_compared_with_are_those_of_what_ships(devices):
    shown = (ROOT / "README.md").read_text()
    scores = {
        record["case"]: record["parts"]["mean"]["psnr"] for record in records(devices.CPU_RUN) if "evaluate" in record["case"]
    }
    assert set(scores) == {"evaluate sci", "evaluate denoise", "evaluate sr"}
    assert not [case for case, psnr in scores.items() if f"{psnr:.2f}" not in shown]


SCORES_OF_A_CPU = {"evaluate sci": 27.8721, "evaluate denoise": 30.8062, "evaluate sr": 28.7934}
"""PSNR on a CPU of the weights that the GPU evaluated; those of RevSCI are no longer the ones that ship."""


def test_the_page_shows_what_the_gpu_computed_right():
    shown = (ROOT / "docs" / "gpu.md").read_text()
    found = {record["case"]: record["parts"] for record in records(ROOT / "benchmarks" / "devices_gpu.jsonl")}
    exact = [values for case in ("golden revsci, exact", "golden vrt, exact") for values in found[case].values()]
    assert all(values["fine"] for values in exact if "fine" in values) and len(exact) == 17
    for case, of_cpu in SCORES_OF_A_CPU.items():
        psnr = found[case]["mean"]["psnr"]
        assert psnr == pytest.approx(of_cpu, abs=0.0025) and f"{psnr:.2f}" in shown
    for case, part, what, written in (
        ("call of RevSCI 50, one graph", "8x256x256", "s_call", "{:.4f} s"),
        ("call of RevSCI 50, piecewise", "8x256x256", "s_call", "{:.4f} s"),
        ("PyTorch, call of RevSCI 50", "8x256x256", "s_call", "PyTorch {:.4f} s"),
        ("step of RevSCI 50, reversible", "batch 1", "s_step", "{:.3f} s"),
        ("step of RevSCI 50, reversible", "batch 64", "s_step", "{:.1f} s"),
        ("call of 001, piecewise", "40x180x320", "s_call", "{:.1f} s"),
        ("call of 001, tiled", "40x180x320", "s_call", "{:.1f} s"),
        ("PyTorch, call of 001", "40x184x320", "s_call", "PyTorch {:.2f} s"),
        ("step of 001, piecewise, float32", "batch 1", "s_step", "{:.2f} s"),
        ("step of 001, piecewise, float16", "batch 1", "s_step", "{:.2f} s"),
        ("PyTorch, step of 001", "batch 1", "s_step", "PyTorch {:.3f} s"),
    ):
        assert f"| {written.format(found[case][part][what])}" in shown
