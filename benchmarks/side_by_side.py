"""Measure the same step of two libraries: a process each, taking turns, as ratios from one run."""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
OURS, THEIRS, TUNED = "mindrestore", "torch", "tuned torch"
ALLOCATOR = {  # of TUNED: keeps freed memory, as ``mindrestore.runtime.process.keep_freed_memory`` has ours do
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}
LABELS = {OURS: "ours", THEIRS: "PyTorch", TUNED: "tuned"}
GB = 1e9
SHARE_OF_MEMORY = 0.9  # what two processes may need together, to be kept alive side by side
SAME_VALUES = 1e-3  # relative; float32 sums in another order


class WorkerDied(Exception):
    """A worker ended before it answered, most likely for want of memory."""


class Worker:
    """A process that does one step when told to (``worker.py``); what its steps took is collected here."""

    def __init__(self, case):
        self.folder = tempfile.TemporaryDirectory(prefix="mindrestore-")
        self.process = subprocess.Popen(
            [sys.executable, WORKER, json.dumps(case), self.folder.name],
            bufsize=0,
            env={**os.environ, **(ALLOCATOR if case["library"] == TUNED else {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.seconds, self.processor = [], []
        self.about = self._answer()

    def step(self):
        try:
            self.process.stdin.write(b"\n")
        except BrokenPipeError:
            pass  # _answer says how it ended
        self.last = self._answer()
        self.seconds.append(self.last["seconds"])
        self.processor.append(self.last["processor"])

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.folder.cleanup()

    def result(self):
        """Return what the steps took; the first is apart, because it compiles."""
        return dict(
            first_seconds=self.seconds[0],
            seconds=statistics.median(self.seconds[1:]),
            all_seconds=self.seconds[1:],
            processor_seconds=self.processor[1:],
            processor_median=statistics.median(self.processor[1:]),
            above_start_gb=self.last["above_start"] / GB,
            peak_gb=self.last["peak"] / GB,
            values=self.last["values"],
            **self.about,
        )

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise WorkerDied(
                f"ended with status {self.process.wait()}"
                + (" (killed, most likely for want of memory)" if self.process.wait() == -9 else "")
            )
        return json.loads(line)


def measure(case, libraries, repeats):
    """Return library -> result of one case, and whether the libraries' steps alternated.

    At any moment one process computes; the others wait for a line. Where two of them do not fit into memory together
    they are measured one after the other.
    """
    workers, failed = {}, {}

    def step(library):
        if library in failed:
            return
        try:
            if library not in workers:
                workers[library] = Worker(dict(case, library=library))
            workers[library].step()
        except WorkerDied as died:
            failed[library] = dict(failed=str(died))

    try:
        for library in reversed(libraries):  # PyTorch first: it returns its memory after a step, ours keeps it
            step(library)
        running = [library for library in libraries if library not in failed]
        fit = sum(workers[library].last["peak"] for library in running) < SHARE_OF_MEMORY * total_memory()
        for together in [running] if fit else [[library] for library in running]:
            for _ in range(repeats):
                for library in together:
                    step(library)
            for library in together:
                workers[library].close()
    finally:
        for worker in workers.values():
            worker.close()
    results = {library: failed.get(library) or workers[library].result() for library in libraries}
    return results, fit and len(running) > 1


def total_memory():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def same_values(results):
    """Return whether the libraries computed the same, None where only one did."""
    if not all(library in results and "values" in results[library] for library in (OURS, THEIRS)):
        return None
    ours, theirs = results[OURS]["values"], results[THEIRS]["values"]
    return all(abs(ours[key] - theirs[key]) <= SAME_VALUES * abs(theirs[key]) for key in theirs)


def table(rows, libraries):
    """Return the rows as text; a row is a dict of ``label``, ``results``, ``alternated`` and ``same_values``.

    Ratios are of the first library to the last.
    """
    names = [LABELS[library] for library in libraries]
    with_ratio = names + ["ratio"] * (len(names) > 1)
    columns = (("step, s", with_ratio), ("processor, s", with_ratio), ("above start, GB", with_ratio), ("first call, s", names))
    width = max(len(row["label"]) for row in rows)

    def line(label, groups, notes=""):
        cells = (f"{''.join(f'{cell:>9}' for cell in group):>16}" for group in groups)
        return f"{label:{width}} |{' |'.join(cells)}  {notes}".rstrip()

    lines = [line("", [[title.center(9 * len(group))] for title, group in columns]), line("", [group for _, group in columns])]
    for row in rows:
        groups = [
            _cells(row, libraries, "seconds", True),
            _cells(row, libraries, "processor_median", True),
            _cells(row, libraries, "above_start_gb", True),
            _cells(row, libraries, "first_seconds", False),
        ]
        lines.append(line(row["label"], groups, "; ".join(notes(row))))
    return "\n".join(lines)


def _cells(row, libraries, key, with_ratio):
    values = [row["results"].get(library, {}).get(key) for library in libraries]
    cells = [f"{value:.3f}" if value is not None else "-" for value in values]
    if with_ratio and len(values) > 1:
        cells.append(f"{values[0] / values[-1]:.2f}" if None not in (values[0], values[-1]) and values[-1] else "-")
    return cells


def notes(row):
    """What is to be said of a row beside its figures."""
    if len(row["results"]) > 1 and not row["alternated"]:
        yield "not alternated"
    if row["same_values"] is False:
        yield "VALUES DIFFER"
    for library, result in row["results"].items():
        if "failed" in result:
            yield f"{LABELS[library]} {result['failed']}"


def libraries():
    """Return the libraries at hand, and say so if that is ours alone."""
    if importlib.util.find_spec("torch"):
        return [OURS, THEIRS, TUNED]
    print("PyTorch is not installed, so ours is measured alone: pip install torch")
    return [OURS]


def row_of(label, case, using, repeats):
    """Measure a case; return its row."""
    print(f"measuring {label} ...", file=sys.stderr, flush=True)
    results, alternated = measure(case, using, repeats)
    return dict(label=label, results=results, alternated=alternated, same_values=same_values(results))


def versions(rows):
    """Return the libraries measured, with their versions and threads, as text."""
    return ", ".join(
        sorted(
            {
                f"{result['version']} with {result['threads']} threads"
                for row in rows
                for result in row["results"].values()
                if "version" in result
            }
        )
    )


def bar(what, value, most):
    """Return a promise, kept or not; ``value`` None where it was not measured."""
    return dict(what=what, value=value, most=most, met=None if value is None else value <= most)


def bar_line(bar):
    verdict = "PASS" if bar["met"] else "MISS"
    value = "not measured" if bar["value"] is None else f"{bar['value']:.2f}"
    return f"{verdict}  {bar['what']}: {value} (at most {bar['most']:g})"


def report(title, rows, using, bars, options):
    """Print what was measured under ``title`` and, where ``options`` name a file, write it as JSON too."""
    print(f"{title}; median of {options.repeats}; {versions(rows)}\n")
    print("\n".join([table(rows, using), ""] + [bar_line(bar) for bar in bars]))
    if options.json:
        content = dict(options=vars(options), rows=rows, bars=bars)
        Path(options.json).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
