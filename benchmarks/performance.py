"""The whole of what a CPU takes, beside PyTorch where there is the same: one command, one table, one plot.

    python benchmarks/performance.py --page docs/performance.md     # wants a quiet machine with 24 GB, and half an hour
    python benchmarks/performance.py --what "VRT, small step"       # one of the rows

Writes what it measured, processor included, between two marks of the page and of its Chinese twin in ``zh``, and a plot beside
the page. Rates are operations of products and convolutions, as PyTorch counts them in its own network, over the seconds of a
step; beside them is what the machine reaches in a product of matrices. See README.md in this folder.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from side_by_side import GB, LABELS, OURS, THEIRS, TUNED, libraries, row_of

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
VRT = dict(steps="vrt_steps", execution="pieces", checkpointing=False)
REVSCI = dict(steps="revsci_steps", channels=64, frames=8, batch=1, fusion=False)
CASES = {
    "VRT 001, forward": dict(VRT, what="network", size=[6, 64, 64]),
    "VRT, small step": dict(VRT, what="small step", size=[4, 64, 64]),
    "RevSCI 50 blocks, forward": dict(REVSCI, mode="forward", blocks=50, size=256),
    "RevSCI 10 blocks, reversible step": dict(REVSCI, mode="reversible", blocks=10, size=128),
}
FRAMES = 20
RESTORE, EVALUATE = f"restore {FRAMES} frames of 640 x 272, denoise", "python eval.py"
SIDE, TURNS = 3072, 5  # of the matrices whose product is the machine's rate

MACHINE = (
    "{processor}, {cores} cores, {threads} threads. A product of matrices of {side} x {side} reaches {peak_gflops:.0f} GFLOP/s "
    "in NumPy."
)
STEP_COLUMNS = (
    "one step",
    "ours, s",
    "PyTorch, s",
    "tuned, s",
    "ours / tuned",
    "processor, ours / tuned",
    "ours, GFLOP/s",
    "of the machine's",
    "ours, GB",
    "PyTorch, GB",
    "first call, s",
)
COMMAND_COLUMNS = ("command", "seconds", "processor, s", "peak, GB", "first frame, s", "frames a second after it")
FAILED = ", FAILED"
CHINESE = {  # all that a page says beside figures
    MACHINE: "{processor}，{cores} 核，{threads} 线程。{side} x {side} 的矩阵乘法在 NumPy 中达到 {peak_gflops:.0f} GFLOP/s。",
    "one step": "一步",
    "ours, s": "本项目，s",
    "PyTorch, s": "PyTorch，s",
    "tuned, s": "调优，s",
    "ours / tuned": "本项目 / 调优",
    "processor, ours / tuned": "处理器时间，本项目 / 调优",
    "ours, GFLOP/s": "本项目，GFLOP/s",
    "of the machine's": "占机器的比例",
    "ours, GB": "本项目，GB",
    "PyTorch, GB": "PyTorch，GB",
    "first call, s": "首次调用，s",
    "command": "命令",
    "seconds": "秒",
    "processor, s": "处理器时间，s",
    "peak, GB": "峰值，GB",
    "first frame, s": "第一帧，s",
    "frames a second after it": "此后每秒帧数",
    "VRT 001, forward": "VRT 001，前向",
    "VRT, small step": "VRT，小网络训练步",
    "RevSCI 50 blocks, forward": "RevSCI 50 个块，前向",
    "RevSCI 10 blocks, reversible step": "RevSCI 10 个块，可逆训练步",
    RESTORE: f"复原 {FRAMES} 帧 640 x 272，去噪",
    EVALUATE: EVALUATE,
    FAILED: "，失败",
}


def main(arguments=None):
    options = parse(arguments)
    using = libraries()
    measured = dict(
        processor=processor_name(),
        cores=len(os.sched_getaffinity(0)),
        threads=options.threads,
        peak_gflops=matrix_rate(),
        rows=[],
        commands=[],
    )
    for name in options.what:
        if name in CASES:
            case = dict(CASES[name], threads=options.threads)
            row = row_of(name, case, using, options.repeats)
            row["gflop"] = operations(case) if THEIRS in using else None
            measured["rows"].append(row)
        else:
            measured["commands"].append(command_row(name))
    print(block(measured))
    if options.json:
        Path(options.json).write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    if options.page:
        write_pages(options.page, measured)
        draw(options.page.with_suffix(".svg"), measured["rows"])


def parse(arguments):
    names = [*CASES, RESTORE, EVALUATE]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--what", nargs="+", choices=names, default=names, help="rows of the table; default all")
    parser.add_argument("--repeats", type=int, default=5, help="steps timed after the first; default 5")
    parser.add_argument("--threads", type=int, default=2, help="of both libraries; default 2")
    parser.add_argument("--json", help="file to write everything measured to")
    parser.add_argument("--page", type=marked, help="page to write the table into, and into its twin in zh, between its marks")
    return parser.parse_args(arguments)


def marked(name):
    """Return the path of a page that has the marks, as its twin has: asked before half an hour is measured in vain."""
    for path in languages(Path(name)):
        if not path.is_file():
            raise argparse.ArgumentTypeError(f"{path}: no such page")
        before, begin, after = path.read_text(encoding="utf-8").partition(BEGIN)
        if not begin or END in before or END not in after:
            raise argparse.ArgumentTypeError(f"{path}: expected {BEGIN} and after it {END}")
    return Path(name)


def languages(path):
    """Return path -> phrases (see ``block``) of a page, and of its Chinese twin if there is one."""
    twin = path.parent / "zh" / path.name
    return {path: {}, **({twin: CHINESE} if twin.exists() else {})}


def processor_name():
    """Return the processor's name and its widest vector instructions."""
    lines = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    name = re.search(r"model name\s*: (.*)", lines)
    widest = next((flag for flag in ("avx512f", "avx2", "asimd") if flag in lines), "")
    return f"{name[1] if name else platform.processor()} ({widest})"


def matrix_rate():
    """Return what a product of large matrices reaches in NumPy, in billions of operations a second."""
    first, second = (np.random.default_rng(0).random((SIDE, SIDE), np.float32) for _ in range(2))
    seconds = []
    for _ in range(TURNS):
        began = time.perf_counter()
        first @ second
        seconds.append(time.perf_counter() - began)
    return 2 * SIDE**3 / statistics.median(seconds) / 1e9


def operations(case):
    """Return billions of operations of a step of PyTorch's network, counted by PyTorch in a process of its own."""
    script = (
        "import importlib, json, sys\nfrom torch.utils.flop_counter import FlopCounterMode\n"
        "case = json.loads(sys.argv[1])\n_, step = importlib.import_module(case['steps']).BUILDERS['torch'](case)\n"
        "with FlopCounterMode(display=False) as counter:\n    step()\nprint(counter.get_total_flops())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, json.dumps(dict(case, library="torch"))],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    return float(run.stdout.split()[-1]) / 1e9 if run.returncode == 0 else None


def command_row(name):
    """Run a command as a user does; return its seconds, processor seconds and peak memory, and for frames their rate."""
    with tempfile.TemporaryDirectory() as folder:
        if name == RESTORE:
            frames = Path(folder, "frames")
            frames.mkdir()
            _write_frames(frames)
            command = [
                sys.executable,
                "-m",
                "mindrestore",
                "restore",
                str(frames),
                str(Path(folder, "out")),
                "--task",
                "denoise",
                "--sigma",
                "25",
            ]
        else:
            command = [sys.executable, str(ROOT / "eval.py")]
        began = time.perf_counter()
        # an installed package has its bytecode; a checkout keeps it unless this variable forbids
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        first = _first_frame(Path(folder), process, began) if name == RESTORE else None
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    result = dict(
        label=name,
        seconds=seconds,
        processor=usage.ru_utime + usage.ru_stime,
        peak_gb=usage.ru_maxrss * 1024 / GB,
        failed=status != 0,
    )
    if first:
        result.update(first_frame=first, rate=(FRAMES - 1) / max(seconds - first, 1e-9))
    return result


def _write_frames(folder):
    import cv2

    from mindrestore.data.rendered import render_clip

    clip = render_clip(0, FRAMES, 272, 640, colour=True).transpose(1, 2, 3, 0)
    noisy = clip + 25 / 255 * np.random.default_rng(0).standard_normal(clip.shape)
    for number, frame in enumerate((255 * noisy.clip(0, 1)).astype(np.uint8)):
        cv2.imwrite(str(folder / f"{number:04}.png"), frame[..., ::-1])


def _first_frame(folder, process, began):
    """Return the seconds until the first restored frame is a file."""
    while process.poll() is None:
        if any(path.suffix == ".png" and path.stat().st_size for path in folder.rglob("*.png") if "frames" not in path.parts):
            return time.perf_counter() - began
        time.sleep(0.05)
    return None


def block(measured, phrases=None):
    """Return the tables as Markdown, in what ``phrases`` has for the English ones, or in English."""

    def said(phrase):
        return (phrases or {}).get(phrase, phrase)

    def label(row):
        return said(row["label"]) + (said(FAILED) if row.get("failed") else "")

    peak = measured["peak_gflops"]
    tables = {
        STEP_COLUMNS: [[label(row), *_step(row, peak)] for row in measured["rows"]],
        COMMAND_COLUMNS: [[label(row), *_command(row)] for row in measured["commands"]],
    }
    lines = [said(MACHINE).format(**measured, side=SIDE)]
    for columns, rows in tables.items():
        if rows:
            lines += ["", _line(map(said, columns)), "|" + "---|" * len(columns), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def _command(row):
    frames = [f"{row['first_frame']:.1f}", f"{row['rate']:.2f}"] if "rate" in row else ["", ""]
    return [f"{row['seconds']:.1f}", f"{row['processor']:.1f}", f"{row['peak_gb']:.2f}", *frames]


def _step(row, peak):
    def value(library, key):
        return row["results"].get(library, {}).get(key)

    def cell(number, form="{:.2f}"):
        return "" if number is None else form.format(number)

    def ratio(key):
        ours, tuned = value(OURS, key), value(TUNED, key)
        return None if ours is None or not tuned else ours / tuned

    seconds = value(OURS, "seconds")
    rate = row["gflop"] / seconds if row.get("gflop") and seconds else None
    return [
        cell(seconds),
        cell(value(THEIRS, "seconds")),
        cell(value(TUNED, "seconds")),
        cell(ratio("seconds")),
        cell(ratio("processor_median")),
        cell(rate, "{:.0f}"),
        cell(rate and 100 * rate / peak, "{:.0f} %"),
        cell(value(OURS, "above_start_gb")),
        cell(value(THEIRS, "above_start_gb")),
        cell(value(OURS, "first_seconds"), "{:.1f}"),
    ]


def write_pages(path, measured):
    """Write what was measured between the marks of a page and its twin: the same figures, each in its language."""
    for page, phrases in languages(path).items():
        before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        page.write_text(f"{before}{BEGIN}\n\n{block(measured, phrases)}\n\n{END}{after}", encoding="utf-8")


def draw(path, rows):
    """Plot the seconds of each row over tuned PyTorch's."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.9 * len(rows)), layout="constrained")
    for number, (library, colour) in enumerate({OURS: "#1f6feb", TUNED: "#9aa4af", THEIRS: "#d0d7de"}.items()):
        seconds = [row["results"].get(library, {}).get("seconds", 0) for row in rows]
        tuned = [row["results"].get(TUNED, {}).get("seconds", 1) for row in rows]
        places = [place + 0.27 * (number - 1) for place in range(len(rows))]
        label = LABELS[library].replace("tuned", "PyTorch, allocator tuned")
        bars = axes.barh(places, [one / other for one, other in zip(seconds, tuned)], 0.25, color=colour, label=label)
        axes.bar_label(bars, [f"{each:.2f} s" for each in seconds], padding=3, fontsize=8)
    axes.set_yticks(range(len(rows)), [row["label"] for row in rows])
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("time of a step, PyTorch with its allocator tuned = 1; less is faster")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
