"""Keep one process of a distributed run: bind it to its cores, note its number and how it ended, let it outlive nobody.

``python rank.py --folder LOGS --launcher PID --cores 0-3;4-7 COMMAND ...`` starts COMMAND. Its environment says which rank it
is: ``RANK_ID``, or ``MS_ROLE=MS_SCHED`` for MindSpore's scheduler, which runs no COMMAND. The folder receives ``rank_N.pid``
and, at the end, ``rank_N.status``: exit status and time in nanoseconds. Standard library only.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

SCHEDULER = ["python", "-c", "from mindspore.communication import init; init()"]
PATIENCE = 20  # seconds a process may take to end when its launcher is gone


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--launcher", type=int, required=True, help="process without which this one shall not go on")
    parser.add_argument("--cores", default="", help="cores of each rank of this server, such as 0-3;4-7")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    scheduler = os.environ.get("MS_ROLE") == "MS_SCHED"
    if options.cores and not scheduler:
        of_ranks = options.cores.split(";")
        os.sched_setaffinity(0, numbers(of_ranks[int(os.environ["RANK_ID"]) % len(of_ranks)]))
    name = "scheduler" if scheduler else f"rank_{os.environ['RANK_ID']}"
    process = subprocess.Popen(SCHEDULER if scheduler else options.command)
    write(options.folder / f"{name}.pid", process.pid)
    status = waited(process, options.launcher)
    write(options.folder / f"{name}.status", status, time.time_ns())
    return status


def numbers(text):
    """Return the set of numbers that ``0-3,8`` stands for."""
    ranges = [part.split("-") for part in text.split(",")]
    return {number for ends in ranges for number in range(int(ends[0]), int(ends[-1]) + 1)}


def waited(process, launcher):
    """Wait for ``process``, ending it when ``launcher`` is gone; return its exit status, 128 + signal if one ended it."""
    while running(launcher):
        try:
            return as_shell(process.wait(0.5))
        except subprocess.TimeoutExpired:
            pass
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
    return as_shell(process.wait())


def running(number):
    """Return whether a process is there and not merely unburied."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def as_shell(status):
    return status if status >= 0 else 128 - status


def write(path, *words):
    scratch = path.with_suffix(path.suffix + ".new")
    scratch.write_text(" ".join(map(str, words)) + "\n")
    scratch.replace(path)


if __name__ == "__main__":
    sys.exit(main())
