"""What a CPU, GPU or Ascend computes of this project, how exactly and how fast, beside published figures.

    python benchmarks/devices.py --device gpu --budget 300     # the worthiest that fits into five minutes
    python benchmarks/devices.py --device gpu                  # go on: what is missing, then what failed
    python benchmarks/devices.py --device cpu --small          # a rehearsal: every case, tiny
    python benchmarks/devices.py --device gpu --list

Each case has a process of its own and a time limit. When it ends, a JSON line is added to devices_DEVICE.jsonl (``--json``),
errors with their first lines; what its process prints is added to the .log beside it. A table ends it all.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from device_errors import LINES, WIDTH
from device_plan import cases
from device_table import table

WORKER = Path(__file__).with_name("device_worker.py")
CPU_RUN = Path(__file__).with_name("devices_cpu.jsonl")
UNKILLABLE = 20  # seconds that a killed process is waited for


def main(arguments=None):
    options = parse(arguments)
    chosen = chosen_cases(options)
    records = read(options.json, options)
    if options.list:
        print(
            "\n".join(
                f"{case.name}: {case.estimate(options.device, options.small):.0f} s, "
                f"{records.get(case.name, {}).get('status', 'missing')}"
                for case in chosen
            )
        )
        return 0
    interrupted = False
    try:
        run_all(in_turn(chosen, records), options, records)
    except KeyboardInterrupt:
        interrupted = True
    beside = read(options.beside, None) if options.beside else {}
    print("\n" + table([records[case.name] for case in chosen if case.name in records], beside))
    if interrupted:
        return 128 + signal.SIGINT
    return int(any(records.get(case.name, {}).get("status") in ("failed", "timed out") for case in chosen))


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "gpu", "ascend"), required=True)
    parser.add_argument(
        "--budget",
        type=float,
        metavar="SECONDS",
        help="what all together may take: cases in order of worth, those left out that do not fit; default: no limit",
    )
    parser.add_argument("--small", action="store_true", help="tiny shapes and networks, which rehearse every case")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases whose names begin with one of these")
    parser.add_argument("--list", action="store_true", help="say the cases, estimates and what is known of each; run none")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="results, one a line, which a later call goes on with; "
        "default devices_DEVICE.jsonl, with --small devices_DEVICE_small.jsonl",
    )
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="FILE",
        help="results of a CPU to compare PSNR and losses with; default "
        f"{CPU_RUN.name} in this folder, of full size, where it is there",
    )
    parser.add_argument("--resource", help="what the table calls the machine; default: what the system calls it")
    options = parser.parse_args(arguments)
    if options.budget is not None and options.budget <= 0:
        parser.error(f"--budget {options.budget:g}: it must be above 0 seconds")
    options.json = options.json or Path(f"devices_{options.device}{'_small' * options.small}.jsonl")
    if options.beside is None and not options.small and options.device != "cpu" and CPU_RUN.exists():
        options.beside = CPU_RUN
    for path in (options.json.parent, *filter(None, [options.beside])):
        if not path.exists():
            parser.error(f"{path}: no such file or folder")
    options.resource = options.resource or resource(options.device)
    return options


def chosen_cases(options):
    """Return the cases that were asked for and that the device can be asked for."""
    every = [case for case in cases(options.small) if case.estimate(options.device, options.small) is not None]
    chosen = [case for case in every if not options.only or case.name.startswith(tuple(options.only))]
    if not chosen:
        sys.exit(f"devices.py: --only {' '.join(options.only)}: no case begins so; --list says how they are called.")
    return chosen


# What is known already


def read(path, options):
    """Return case name -> its last record in a file of results; a line that was being written when a run died is no record.

    Of a file of this run (``options`` given) records are left out whose case has changed since; one of another device ends it.
    """
    if not path.exists():
        return {}
    records = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            records[record["case"]] = record
    if options is None:
        return records
    for record in records.values():
        if (record["device"], record["small"]) != (options.device, options.small):
            sys.exit(
                f"devices.py: {path}: holds results of --device {record['device']}{' --small' * record['small']}; "
                "choose another file with --json."
            )
    now = {case.name: case.settings for case in cases(options.small)}
    return {name: record for name, record in records.items() if now.get(name) == record["settings"]}


def in_turn(chosen, records):
    """Return what is to be run: what is missing in order of worth, then what failed or could not be measured."""
    missing = [case for case in chosen if case.name not in records]
    return missing + [case for case in chosen if records.get(case.name, {}).get("status", "done") != "done"]


# Running


def run_all(waiting, options, records):
    """Run cases as the budget allows; write each record when its case ends, and add it to ``records``."""
    end = time.monotonic() + options.budget if options.budget else float("inf")
    left_out = []
    for case in waiting:
        left, estimate = end - time.monotonic(), case.estimate(options.device, options.small)
        if estimate > left:
            left_out.append(f"{case.name} ({estimate:.0f} s)")
            continue
        print(f"{case.name} ...", end=" ", file=sys.stderr, flush=True)
        record = run(case, options, min(case.limit(options.device, options.small), left))
        records[case.name] = record
        with open(options.json, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        print(
            f"{record['status']}, {record['seconds']:.0f} s" + "".join(f": {line}" for line in record.get("error", [])[:1]),
            file=sys.stderr,
            flush=True,
        )
    if left_out:
        print(
            f"left out, for they do not fit into --budget {options.budget:g}: {'; '.join(left_out)}. The same command goes "
            "on with them.",
            file=sys.stderr,
        )


def run(case, options, limit):
    """Measure a case in a process, which is ended after ``limit`` seconds with all that it has started; return its record."""
    log, began = options.json.with_suffix(".log"), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mindrestore-", ignore_cleanup_errors=True) as folder, open(log, "ab") as errors:
        errors.write(f"\n==== {case.name}\n".encode())
        errors.flush()
        start = errors.tell()
        request = json.dumps(dict(case.settings, measure=case.measure, device=options.device))
        process = subprocess.Popen(
            [sys.executable, WORKER, request, folder],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            answers, timed_out = answers_of(process, limit)
        finally:
            end_all(process)
    record = dict(
        case=case.name,
        device=options.device,
        small=options.small,
        resource=options.resource,
        status="done",
        seconds=round(time.monotonic() - began, 1),
        published=case.published,
        settings=case.settings,
        **understood(answers),
    )
    if timed_out:
        record.update(status="timed out", error=[f"ended after its limit of {limit:.0f} s", *telling_lines(log, start)])
    elif "skipped" in record:
        record["status"] = "skipped"
    elif process.returncode or "error" in record:
        record["status"] = "failed"
        record["error"] = record.get("error", []) or [ending(process.returncode), *telling_lines(log, start)]
    return record


def answers_of(process, limit):
    """Return what a process has answered, and whether its time was up."""
    try:
        return process.communicate(timeout=limit)[0], False
    except subprocess.TimeoutExpired:
        end_all(process)
    try:
        return process.communicate(timeout=UNKILLABLE)[0], True
    except subprocess.TimeoutExpired as hanging:  # in its driver, where no signal reaches it
        return hanging.stdout or b"", True


def end_all(process):
    """Kill a process and all that it has started, which else would compute beside the next case."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def understood(answers):
    """Return what a worker's lines say: ``parts``, values by part, and ``error`` or ``skipped`` where there is one."""
    found = dict(parts={})
    for line in answers.decode(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            answer = json.loads(line)
            if "part" in answer:
                found["parts"].setdefault(answer["part"], {}).update(answer["values"])
            else:
                found.update(answer)
    return found


def ending(status):
    """Return how a process ended, as words."""
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def telling_lines(log, start):
    """Return the lines of a case's log from the first on that tells of an error, or else the last ones."""
    with open(log, "rb") as file:
        file.seek(start)
        lines = [line.strip()[:WIDTH] for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    first = next((number for number, line in enumerate(lines) if re.search("error|exception|fatal|critical", line, re.I)), None)
    return lines[-LINES:] if first is None else lines[first : first + LINES]


def resource(device):
    """Return what the system calls the device."""
    if device == "gpu":
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            names = subprocess.run(
                ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            ).stdout.splitlines()
            return f"one {names[0].strip()}"
    if device == "cpu":
        with contextlib.suppress(OSError):
            name = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
            return f"{os.cpu_count()} cores of {name[1].strip()}" if name else f"{os.cpu_count()} cores"
    return f"one {device}"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the case too, which is in a session of its own
    sys.exit(main())
