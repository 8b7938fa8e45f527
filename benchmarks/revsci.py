"""Time and memory of RevSCI on the CPU beside the same network in PyTorch, as ratios from one run.

    python benchmarks/revsci.py                                      # 8 x 256 x 256; wants a quiet machine, 24 GB
    python benchmarks/revsci.py --size 32 --blocks 2 4 --repeats 3   # a quick look

See README.md in this folder for what is measured. PyTorch is optional; without it ours is measured alone.
"""
import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")
MODES = ("forward", "plain", "reversible")
OURS, THEIRS = "mindrestore", "torch"
LABELS = {OURS: "ours", THEIRS: "PyTorch"}
GB = 1e9
SHARE_OF_MEMORY = 0.9  # what two processes may need together, to be kept alive side by side
SAME_VALUES = 1e-3  # relative; float32 sums in another order
MOST_REVERSIBLE_GB = 1.5
MOST_GROWTH = 0.10
MOST_REVERSIBLE_TIME = 1.5


class WorkerDied(Exception):
    """A worker ended before it answered, most likely for want of memory."""


class Worker:
    """A process that does one step when told to (``worker.py``); what its steps took is collected here."""

    def __init__(self, case):
        self.process = subprocess.Popen([sys.executable, WORKER, json.dumps(case)], bufsize=0,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seconds = []
        self.about = self._answer()

    def step(self):
        try:
            self.process.stdin.write(b"\n")
        except BrokenPipeError:
            pass  # _answer says how it ended
        self.last = self._answer()
        self.seconds.append(self.last["seconds"])

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def result(self):
        """Return what the steps took; the first is apart, because it compiles."""
        return dict(first_seconds=self.seconds[0], seconds=statistics.median(self.seconds[1:]),
                    all_seconds=self.seconds[1:], above_start_gb=self.last["above_start"] / GB,
                    peak_gb=self.last["peak"] / GB, values=self.last["values"], **self.about)

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise WorkerDied(f"ended with status {self.process.wait()}"
                             + (" (killed, most likely for want of memory)" if self.process.wait() == -9 else ""))
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
    """Return whether both libraries computed the same, None where only one did."""
    if not all(library in results and "values" in results[library] for library in (OURS, THEIRS)):
        return None
    ours, theirs = results[OURS]["values"], results[THEIRS]["values"]
    return all(abs(ours[key] - theirs[key]) <= SAME_VALUES * abs(theirs[key]) for key in theirs)


def table(rows, libraries):
    """Return the rows as text."""
    names = [LABELS[library] for library in libraries]
    with_ratio = names + ["ratio"] * (len(names) > 1)
    columns = (("step, s", with_ratio), ("above start, GB", with_ratio), ("first call, s", names))

    def line(mode, blocks, groups, notes=""):
        cells = (f"{''.join(f'{cell:>9}' for cell in group):>16}" for group in groups)
        return f"{mode:10} {blocks:>6} |{' |'.join(cells)}  {notes}".rstrip()

    lines = [line("", "blocks", [[title.center(9 * len(group))] for title, group in columns]),
             line("", "", [group for _, group in columns])]
    for row in rows:
        groups = [_cells(row, libraries, "seconds", True), _cells(row, libraries, "above_start_gb", True),
                  _cells(row, libraries, "first_seconds", False)]
        lines.append(line(row["mode"], row["blocks"], groups, "; ".join(_notes(row))))
    return "\n".join(lines)


def _cells(row, libraries, key, with_ratio):
    values = [row["results"][library].get(key) for library in libraries]
    cells = [f"{value:.3f}" if value is not None else "-" for value in values]
    if with_ratio and len(values) > 1:
        cells.append(f"{values[0] / values[1]:.2f}" if None not in values and values[1] else "-")
    return cells


def _notes(row):
    if len(row["results"]) > 1 and not row["alternated"]:
        yield "not alternated"
    if row["same_values"] is False:
        yield "VALUES DIFFER"
    for library, result in row["results"].items():
        if "failed" in result:
            yield f"{LABELS[library]} {result['failed']}"


def bars(rows):
    """Return what reversible training of ours promises, as dicts of what, value, most and met (None: not measured)."""
    def ours(mode, blocks, key):
        of_case = (row["results"][OURS] for row in rows if (row["mode"], row["blocks"]) == (mode, blocks))
        return next(of_case, {}).get(key)

    depths = sorted({row["blocks"] for row in rows})
    fewest, most = depths[0], depths[-1]
    memory = ours("reversible", most, "above_start_gb")
    yield _bar(f"reversible training of {most} blocks, GB above start", memory, MOST_REVERSIBLE_GB)
    if fewest != most:
        base = ours("reversible", fewest, "above_start_gb")
        yield _bar(f"memory of {most} blocks over that of {fewest}", memory / base if memory and base else None,
                   1 + MOST_GROWTH)
    for blocks in depths:
        reversible, plain = ours("reversible", blocks, "seconds"), ours("plain", blocks, "seconds")
        yield _bar(f"reversible step over plain step, {blocks} blocks",
                   reversible / plain if reversible and plain else None, MOST_REVERSIBLE_TIME)


def _bar(what, value, most):
    return dict(what=what, value=value, most=most, met=None if value is None else value <= most)


def bar_line(bar):
    verdict = {True: "PASS", False: "MISS", None: "MISS"}[bar["met"]]
    value = "not measured" if bar["value"] is None else f"{bar['value']:.2f}"
    return f"{verdict}  {bar['what']}: {value} (at most {bar['most']:g})"


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=256, help="height and width, even; default 256")
    parser.add_argument("--blocks", type=int, nargs="+", default=[10, 18, 50], help="default 10 18 50")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="default all three")
    parser.add_argument("--repeats", type=int, default=5, help="steps timed after the first; default 5")
    parser.add_argument("--frames", type=int, default=8, help="default 8")
    parser.add_argument("--channels", type=int, default=64, help="width, a multiple of 8; default 64, as published")
    parser.add_argument("--batch", type=int, default=1, help="default 1")
    parser.add_argument("--threads", type=int, help="of both libraries; by default each uses as many as it likes")
    parser.add_argument("--json", help="file to write everything measured to")
    options = parser.parse_args(arguments)
    for name in ("size", "repeats", "frames", "channels", "batch"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if min(options.blocks) < 1 or options.size % 2 or options.channels % 8:
        parser.error("--blocks must be at least 1, --size even and --channels a multiple of 8")
    return options


def main(arguments=None):
    options = parse(arguments)
    libraries = [OURS, THEIRS] if importlib.util.find_spec("torch") else [OURS]
    if len(libraries) == 1:
        print("PyTorch is not installed, so ours is measured alone: pip install torch")
    rows = []
    for mode in options.modes:
        for blocks in sorted(set(options.blocks)):
            print(f"measuring {mode}, {blocks} blocks ...", file=sys.stderr, flush=True)
            case = dict(mode=mode, blocks=blocks, channels=options.channels, frames=options.frames, size=options.size,
                        batch=options.batch, threads=options.threads)
            results, alternated = measure(case, libraries, options.repeats)
            rows.append(dict(mode=mode, blocks=blocks, results=results, alternated=alternated,
                             same_values=same_values(results)))
    checked = list(bars(rows)) if {"plain", "reversible"} <= set(options.modes) else []
    abouts = sorted({f"{result['version']} with {result['threads']} threads"
                     for row in rows for result in row["results"].values() if "version" in result})
    print(f"RevSCI, two-way, {options.channels} channels, {options.batch} x {options.frames} x {options.size} x "
          f"{options.size}; median of {options.repeats}; {', '.join(abouts)}\n")
    print("\n".join([table(rows, libraries), ""] + [bar_line(bar) for bar in checked]))
    if options.json:
        Path(options.json).write_text(json.dumps(dict(options=vars(options), rows=rows, bars=checked), indent=2) + "\n",
                                      encoding="utf-8")


if __name__ == "__main__":
    main()
