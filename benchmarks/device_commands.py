"""The project's own commands on one device, for ``devices.py``: evaluation, training, restoration, export."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from device_errors import ROOT
from device_speed import begin

STOPPED = 143  # 128 + SIGTERM


class CommandFailed(Exception):
    """A command ended with a status that it should not have."""


def command(*words, status=0):
    """Run ``mindrestore`` in a process of its own; return the seconds it took. What it prints goes into the log."""
    began = time.perf_counter()
    _ended(words, subprocess.Popen(_typed(words), env=_environment()), status)
    return round(time.perf_counter() - began, 1)


def _typed(words):
    return [sys.executable, "-m", "mindrestore", *map(str, words)]


def _environment():
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _ended(words, process, status):
    if process.wait() != status:
        raise CommandFailed(f"mindrestore {' '.join(map(str, words))}: ended with status {process.returncode}, not {status}")


def evaluate(report, case):
    """``eval.py``'s demonstration scenes: mean scores, and as ``psnr`` the ``score`` that the README shows of them."""
    folder = Path(case["folder"]) / "results"
    _version(report)
    seconds = command("eval", *case["arguments"], "--device", case["device"], "--output", folder)
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    scores = {method: values for method, values in results["mean"].items() if isinstance(values, dict)}
    report("mean", psnr=scores["network"][case["score"]], scores=scores, seconds=seconds)


def train(report, case):
    """Training that is told to stop half-way, goes on, and is validated: losses and scores by step."""
    folder = Path(case["folder"]) / "run"
    words = ["train", "--config", case["config"], "--device", case["device"], "--output", folder, *case["overrides"]]
    log = folder / "log.jsonl"
    _version(report)
    process = subprocess.Popen(_typed(words), env=_environment())
    while process.poll() is None and _last_step(log) < case["steps"] // 2:
        time.sleep(0.1)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    _ended(words, process, STOPPED)
    stopped = _last_step(log)
    report("until it is stopped", step=stopped, **_losses(log))
    seconds = command(*words, "--resume")
    report("resumed", seconds=seconds, step=_last_step(log), s_step=_pace(log), **_losses(log))
    if _last_step(log) != case["steps"]:
        raise CommandFailed(f"the log ends with step {_last_step(log)}, not {case['steps']}")


def _lines(log):
    """Return the complete lines of a log that is being written, or none."""
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]


def _last_step(log):
    return max((line["step"] for line in _lines(log)), default=0)


def _losses(log):
    lines = _lines(log)
    losses = [line["loss"] for line in lines if "loss" in line]
    quarter = max(1, len(losses) // 4)
    scores = {line["step"]: line[key] for line in lines for key in line if "psnr" in key}
    return dict(
        loss_begins=sum(losses[:quarter]) / quarter,
        loss_ends=sum(losses[-quarter:]) / quarter,
        losses=losses,
        scores=scores,
        psnr=list(scores.values())[-1] if scores else None,
    )


def _pace(log):
    """Return seconds a step by the least between two lines of losses: no compiling, no validation in between."""
    lines = [line for line in _lines(log) if "loss" in line]
    pace = [
        (after["seconds"] - before["seconds"]) / (after["step"] - before["step"])
        for before, after in zip(lines, lines[1:])
        if after["seconds"] > before["seconds"]
    ]
    return round(min(pace), 4) if pace else None


def restore_frames(report, case):
    """``mindrestore restore`` of a folder of frames, twice in one process: the second time nothing is compiled."""
    import cv2

    from mindrestore.restore.run import Request, restore

    memory = begin(report, case["device"])
    folder = Path(case["folder"])
    _write_frames(folder / "frames", case["frames"], case["side"])
    seconds = []
    for number in range(2):
        began = time.perf_counter()
        restore(
            Request(source=folder / "frames", target=folder / f"restored{number}", task=case["task"], **case["options"]),
            say=lambda text: print(text, file=sys.stderr),
        )
        seconds.append(time.perf_counter() - began)
        made = sorted((folder / f"restored{number}").glob("*.png"))
        if len(made) != case["frames"] or cv2.imread(str(made[-1])) is None:
            raise CommandFailed(f"restore wrote {len(made)} of {case['frames']} frames")
        report(
            f"{case['frames']}x{case['side']}x{case['side']}",
            peak_gb=memory.peak(),
            **(
                {"first_s": round(seconds[0], 2)} if number == 0 else {"frames_a_second": round(case["frames"] / seconds[1], 2)}
            ),
        )


def export(report, case):
    """The shipped RevSCI as MINDIR, compared with the network, and measurements restored by the file alone."""
    from mindrestore.deploy.export import description_of

    folder, device = Path(case["folder"]), case["device"]
    _version(report)
    _write_frames(folder / "frames", case["frames"], case["side"])
    seconds = command("export", "--device", device, "--output", folder / "revsci.mindir")
    summary = json.loads(description_of(folder / "revsci.mindir").read_text(encoding="utf-8"))
    report("export", seconds=seconds, largest=summary["compared"]["largest_difference"])
    command("simulate", folder / "frames", folder / "coded.mat", "--ratio", case["frames"])
    seconds = command(
        "restore",
        folder / "coded.mat",
        folder / "back",
        "--task",
        "sci",
        "--device",
        device,
        "--model",
        folder / "revsci.mindir",
    )
    report("run", seconds=seconds, frames=len(list((folder / "back").glob("*.png"))))


def _version(report):
    """Say the version without starting MindSpore, which the command does."""
    from importlib.metadata import version

    report("about", version=f"MindSpore {version('mindspore')}")


def _write_frames(folder, count, side):
    """Write frames of the demonstration's scenes, of the upper left corner."""
    import cv2

    from mindrestore.data.demo import demo_scenes

    folder.mkdir()
    frames = [frame for scene in demo_scenes(colour=True) for frame in _channels_last(scene.clip)]
    for number in range(count):
        picture = (255 * frames[number][:side, :side, ::-1]).round().astype("uint8")
        cv2.imwrite(str(folder / f"{number:04d}.png"), picture)


def _channels_last(clip):
    """(3, T, H, W) -> (T, H, W, 3)"""
    return clip.transpose(1, 2, 3, 0)
