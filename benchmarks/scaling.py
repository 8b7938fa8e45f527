"""What 8, 64 and 512 devices give for VRT's tasks 001 and 002: a small simulation, from published step times.

    python benchmarks/scaling.py                        # measures here how fast the loader decodes, then simulates
    python benchmarks/scaling.py --decoded 40           # takes 40 frames a second and core instead
    python benchmarks/scaling.py --cores 24 --json scaling.json

docs/scaling.md says where the numbers come from and which are assumptions. Every device trains on one clip a step. A simulated
step: wait for the clip, compute for a time that varies, wait for the slowest device, reduce the gradients, and now and then
wait for rank 0's checkpoint.
"""

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

PUBLISHED_DEVICES = 8  # of the published step times
DEVICES = (8, 64, 512)
CHECKPOINT_EVERY = 5000  # steps, as published
TENSORS_OF_STATE = 3  # weights and Adam's two moments; a running average would be a fourth


class Task(NamedTuple):
    name: str
    parameters: int
    frames: int  # of a clip: so many of ground truth and of low quality are decoded


class Machine(NamedTuple):
    name: str
    seconds: dict  # a step of each task on one server
    inside: float  # bytes a second between devices of a server, each way, as an all-reduce gets it
    between: float  # between servers, for each device
    slow: float  # between servers, for all devices of a server together, where it has one ordinary network card
    delay: float  # seconds a message takes


TASKS = {"001": Task("001", 30_676_435, 6), "002": Task("002", 35_134_783, 16)}
PORT_OF_002 = 5.70 * 16 / 12  # assumed from the published step of its 12-frame variant
MACHINES = {
    "A100": Machine("A100", {"001": 2.65, "002": PORT_OF_002}, 200e9, 20e9, 1e9, 10e-6),
    "Ascend 910": Machine("Ascend 910", {"001": 5.60, "002": PORT_OF_002 * 5.60 / 2.65}, 20e9, 10e9, 1e9, 20e-6),
}
VARIATION = 0.02  # standard deviation of a device's time for the same work, over its mean (assumed)
PATCHES_HELD = 2  # clips that a loader makes ahead
WRITING = 1e9  # bytes a second of a checkpoint to shared storage (assumed)


def ring_seconds(size, devices, bandwidth, delay):
    """Return the time of a ring all-reduce: 2 (N - 1) turns, in each of which every device passes on an N-th."""
    return 2 * (devices - 1) * (size / devices / bandwidth + delay) if devices > 1 else 0.0


def reduce_seconds(size, devices, machine, slow=False):
    """Return the time to sum ``size`` bytes over all devices, in the buckets that ``mindrestore.runtime.cluster`` makes.

    Over several servers every device's ring is as fast as its slowest link, that between servers.
    """
    from mindrestore.runtime.cluster import BUCKET

    buckets = math.ceil(size / (4 * BUCKET))
    if devices <= PUBLISHED_DEVICES:
        bandwidth = machine.inside
    else:
        bandwidth = machine.slow / PUBLISHED_DEVICES if slow else machine.between
    return buckets * ring_seconds(size / buckets, devices, bandwidth, machine.delay)


def slowest(devices, variation=VARIATION, rounds=4000, seed=0):
    """Return the mean over rounds of the slowest of ``devices`` times of mean 1."""
    draws = np.random.default_rng(seed).normal(1, variation, (rounds, devices))
    return float(draws.max(1).mean())


def step_seconds(compute, reduce, load, devices, checkpoint=0.0, variation=VARIATION, steps=400, seed=0):
    """Simulate steps of ``devices`` devices and return the mean time of one.

    Args:
        compute: seconds a device computes for, in the mean.
        reduce: seconds of the all-reduce, which begins when the slowest is there.
        load: seconds in which a device's loader makes a clip; it works ahead by ``PATCHES_HELD``.
        checkpoint: seconds all wait while rank 0 saves, every ``CHECKPOINT_EVERY`` steps.
    """
    rng = np.random.default_rng(seed)
    loaded, ends = np.zeros(devices), [0.0]
    for step in range(steps):
        taken = ends[max(0, step - PATCHES_HELD)]  # when room for this clip was made
        loaded = np.maximum(loaded, taken) + load
        begun = np.maximum(loaded, ends[-1])
        done = (begun + compute * rng.normal(1, variation, devices)).max()
        ends.append(done + reduce)
    half = steps // 2  # past the start
    return (ends[-1] - ends[half]) / (steps - half) + checkpoint / CHECKPOINT_EVERY


def outcome(task, machine, devices, decoded, cores, slow=False):
    """Return what ``devices`` devices give, as a dict; ``decoded`` frames a second and core, ``cores`` of a server."""
    size = 4 * task.parameters
    # a published step contains the variation of eight devices and their all-reduce
    compute = (machine.seconds[task.name] - reduce_seconds(size, PUBLISHED_DEVICES, machine)) / slowest(PUBLISHED_DEVICES)
    reduce = reduce_seconds(size, devices, machine, slow)
    frames = 2 * task.frames  # of ground truth and of low quality
    load = task.frames / decoded / min(1.0, cores / PUBLISHED_DEVICES)  # one thread a process; decoded counts pairs
    state = TENSORS_OF_STATE * size
    seconds = step_seconds(compute, reduce, load, devices, (state + size) / WRITING)
    servers = max(1, devices // PUBLISHED_DEVICES)
    return dict(
        task=task.name,
        machine=machine.name,
        devices=devices,
        servers=servers,
        slow_network=slow,
        gradient_mb=size / 1e6,
        sent_mb=2 * (devices - 1) / devices * size / 1e6,
        reduce_seconds=reduce,
        step_seconds=seconds,
        clips_a_second=devices / seconds,
        efficiency=compute * slowest(PUBLISHED_DEVICES) / seconds,
        frames_a_second_of_a_host=frames * PUBLISHED_DEVICES / seconds,
        cores_to_decode=task.frames * PUBLISHED_DEVICES / seconds / decoded,
        state_mb=state / 1e6,
        checkpoint_mb_an_hour=(state + size) / 1e6 * 3600 / (CHECKPOINT_EVERY * seconds),
        resume_gb=devices * state / 1e9,
    )


def decoded_here(pairs=240):
    """Measure how many pairs of frames (1280 x 720, 320 x 180) a second of processor time the loader decodes and crops."""
    import cv2

    from mindrestore.data.frame_stores import open_store
    from mindrestore.data.lmdb_writer import create_lmdb
    from mindrestore.data.rendered import render_clip
    from mindrestore.data.subclips import StoredSubclips
    from mindrestore.data.video_samples import VideoSamples

    frames = 12
    with tempfile.TemporaryDirectory() as folder:
        clip = (255 * render_clip(0, frames, 720, 1280, colour=True)).round().astype(np.uint8)  # (3, T, H, W)
        for kind, scale in (("gt", 1), ("lq", 4)):
            target = Path(folder, kind, "000")
            target.mkdir(parents=True)
            for number in range(frames):
                picture = cv2.cvtColor(np.ascontiguousarray(clip[:, number].transpose(1, 2, 0)), cv2.COLOR_RGB2BGR)
                picture = cv2.resize(picture, (1280 // scale, 720 // scale), interpolation=cv2.INTER_AREA)
                cv2.imwrite(str(target / f"{number:08}.png"), picture)
            create_lmdb(target.parent, Path(folder, f"{kind}.lmdb"), workers=1)
        stores = [open_store(Path(folder, f"{kind}.lmdb")) for kind in ("gt", "lq")]
        samples = VideoSamples(StoredSubclips(*stores, 6, 256, 4), "sr", scale=4)
        samples[0]
        began = time.process_time()  # what a core to itself gives, however busy this machine is
        for number in range(pairs // 6):
            samples[number]
        return pairs / (time.process_time() - began)


def lines(rows):
    """Return a table of outcomes as Markdown."""
    yield (
        "| task, machine | devices | sent a step and device, MB | all-reduce, s | step, s | clips / s | efficiency "
        "| frames / s a host | cores to decode them |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        network = ", slow network" if row["slow_network"] else ""
        yield (
            f"| {row['task']}, {row['machine']}{network} | {row['devices']} | {row['sent_mb']:.0f} "
            f"| {row['reduce_seconds']:.3f} | {row['step_seconds']:.2f} | {row['clips_a_second']:.1f} "
            f"| {row['efficiency']:.2f} | {row['frames_a_second_of_a_host']:.0f} | {row['cores_to_decode']:.1f} |"
        )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--decoded", type=float, help="pairs of frames a second that a core decodes; measured here by default")
    parser.add_argument("--cores", type=int, default=96, help="of a server; default 96")
    parser.add_argument("--json", type=Path, help="file to write everything to")
    options = parser.parse_args(arguments)
    if options.cores < 1 or options.decoded is not None and options.decoded <= 0:
        parser.error("--cores must be at least 1 and --decoded above 0")
    decoded = options.decoded or decoded_here()
    print(
        f"Decoding: {decoded:.1f} pairs of frames (1280 x 720 and 320 x 180) a second and core"
        f"{'' if options.decoded else ', measured here by processor time'}.\n"
    )
    rows = [
        outcome(task, machine, devices, decoded, options.cores, slow)
        for task in TASKS.values()
        for machine in MACHINES.values()
        for devices in DEVICES
        for slow in ((False, True) if devices > PUBLISHED_DEVICES else (False,))
    ]
    print("\n".join(lines(rows)))
    for task in TASKS:
        row = next(row for row in rows if row["task"] == task)
        print(
            f"\nTask {task}: state {row['state_mb']:.0f} MB; a resumed run reads "
            + ", ".join(
                f"{one['resume_gb']:.0f} GB on {one['devices']} devices"
                for one in rows
                if one["task"] == task and one["machine"] == "A100" and not one["slow_network"]
            )
            + f"; checkpoints {row['checkpoint_mb_an_hour']:.0f} MB an hour."
        )
    if options.json:
        options.json.write_text(json.dumps(dict(decoded=decoded, cores=options.cores, rows=rows), indent=2) + "\n")


if __name__ == "__main__":
    main()
