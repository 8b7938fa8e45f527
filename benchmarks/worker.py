"""A process that holds one network of one library and does one step whenever it reads a line; ``side_by_side.py`` starts it.

Started with two arguments: a JSON object of ``library`` ("mindrestore" | "torch" | "tuned torch"), ``steps`` (the module beside
this one that builds a step) and what that module reads; and the folder to work in, because graph-kernel fusion leaves folders
there.
Answers are JSON objects, a line each: first version and threads, then seconds, peak and values of every step. Ends when its
input does.
"""

import importlib
import json
import os
import resource
import sys
import time

import psutil


def main():
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    os.environ.setdefault("GLOG_v", "3")  # MindSpore: errors only
    case = json.loads(sys.argv[1])
    os.chdir(sys.argv[2])
    about, step = importlib.import_module(case["steps"]).BUILDERS[case["library"].removeprefix("tuned ")](case)
    start = peak_bytes()
    print(json.dumps(about), file=answers)
    for _ in sys.stdin:
        began, computed = time.perf_counter(), processor_seconds()
        result = step()
        seconds, processor = time.perf_counter() - began, processor_seconds() - computed
        peak = peak_bytes()
        print(
            json.dumps(dict(seconds=seconds, processor=processor, above_start=peak - start, peak=peak, values=result())),
            file=answers,
        )
        del result  # a training holds no gradients of the step before


def processor_seconds():
    """Return the processor time of this process and of those that it started and that still run."""
    this = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (this, *this.children(recursive=True)))


def peak_bytes():
    """Return the largest memory this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main()
