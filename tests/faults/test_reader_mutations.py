"""No file, however it was changed, ends a reader in a traceback, a crash, a long wait or much memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from places import TESTS, module_at

PROGRAM = TESTS / "faults" / "reader_mutations.py"
MUTATIONS = module_at(PROGRAM)
LONG = 10_000  # cases, over all readers


def shares(cases):
    """Return {reader: how many of ``cases`` it has}, those that take longer fewer."""
    weights = {reader: 1 / MUTATIONS.SLOW.get(reader, 1) for reader in MUTATIONS.READERS}
    return {reader: max(2, round(cases * weight / sum(weights.values()))) for reader, weight in weights.items()}


def tried(reader, cases, folder, environment, first=0):
    """Run cases of a reader in a process of their own; return (its counts, lines that say what went wrong)."""
    folder.mkdir()
    process = subprocess.run(
        [sys.executable, PROGRAM, reader, str(first), str(cases), folder],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    lines = process.stdout.splitlines()
    if process.returncode:
        case = (folder / "case").read_text() if (folder / "case").exists() else "none"
        return {}, [*lines, f"{reader} {case}: ended with status {process.returncode}: {process.stderr[-1500:]}"]
    return json.loads(lines[-1]), lines[:-1]


def all_tried(cases, folder, environment):
    found, counts = [], {}
    for reader, share in shares(cases).items():
        counts[reader], wrong = tried(reader, share, folder / reader, environment)
        found += wrong
    for reader, count in counts.items():
        print(f"{reader:16}", *(f"{name} {number}" for name, number in count.items()))
    return counts, found


@pytest.mark.long
def test_files_changed_at_random_are_read_or_refused(tmp_path, fresh_environment):
    counts, found = all_tried(LONG, tmp_path, fresh_environment)
    assert found == []
    assert sum(count["read"] + count["refused"] for count in counts.values()) >= LONG * 0.95
    assert all(count["refused"] for count in counts.values()), counts


@pytest.mark.parametrize("readers", [["torch_zip", "matlab", "npz_mask", "yaml", "log"]])
def test_some_files_changed_at_random_are_read_or_refused(readers, tmp_path, fresh_environment):
    found = []
    for reader in readers:
        counts, wrong = tried(reader, 60, tmp_path / reader, fresh_environment)
        found += wrong
        assert wrong or counts["read"] + counts["refused"] == 60
    assert found == []


def test_a_case_is_made_by_its_number_alone():
    import random

    for name, (_, _, change, _) in MUTATIONS.READERS.items():
        if change in (MUTATIONS.of_bytes, MUTATIONS.of_text):
            whole = b"key: value\nother: 3\n"
            first, again = (change(whole, random.Random(f"{name} 5")) for _ in range(2))
            assert first == again


def test_a_reader_that_raises_anything_else_is_found(tmp_path, monkeypatch):
    def careless(path):
        return int(Path(path).read_bytes())

    monkeypatch.setitem(MUTATIONS.READERS, "careless", (".txt", None, MUTATIONS.of_bytes, careless))
    results = [MUTATIONS.outcome("careless", number, b"12", tmp_path) for number in range(20)]
    assert any(result is None and "ValueError" in wrong for result, wrong in results)
