"""Time and memory of VRT on the CPU, beside PyTorch: forward passes of a block, a stage and the whole task-001 network, and
training steps of that network and of a small one.

    python benchmarks/vrt.py                               # 6 x 64 x 64, as published task 001 was trained
    python benchmarks/vrt.py --what block "mutual block"
    python benchmarks/vrt.py --what step --execution stages --checkpointing --repeats 1

See README.md in this folder. PyTorch is optional; without it ours is measured alone.
"""

import argparse

from side_by_side import OURS, bar, libraries, report, row_of

PARTS = ("mutual block", "block", "stage", "network", "small step")
ALL = (*PARTS, "step")
SMALL_SIZE = [4, 64, 64]
BARS = {  # of what: (most seconds, GB above the start, seconds of the first call)
    "network": (None, 0.85, 40),
    "small step": (6.5, 1.2, 30),
    "step": (150, 3.0, None),
}
MOST_RATIO = 1.0  # to PyTorch with its allocator tuned as ours


def bars(rows, using):
    """Return what is promised of the parts measured."""
    for row in rows:
        results = row["results"]
        ours, theirs = results[OURS], results.get(using[-1], {})
        units = {"seconds": "s", "above_start_gb": "GB above start", "first_seconds": "s for the first call"}
        for (key, unit), most in zip(units.items(), BARS.get(row["label"], ())):
            if most:
                yield bar(f"{row['label']}, {unit}", ours.get(key), most)
        if len(using) > 1 and row["label"] != "step":
            known = "seconds" in ours and "seconds" in theirs
            yield bar(f"{row['label']} over PyTorch's", ours["seconds"] / theirs["seconds"] if known else None, MOST_RATIO)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--what", nargs="+", choices=ALL, default=list(PARTS), help="default all but step, which needs 24 GB")
    parser.add_argument(
        "--size",
        type=int,
        nargs=3,
        metavar=("FRAMES", "HEIGHT", "WIDTH"),
        default=[6, 64, 64],
        help="multiples of the window 6 x 8 x 8; default 6 64 64; a small step has 4 64 64",
    )
    parser.add_argument(
        "--execution",
        choices=("whole", "stages", "groups", "pieces"),
        default="pieces",
        help="of our training steps; default pieces",
    )
    parser.add_argument("--checkpointing", action="store_true", help="PyTorch computes blocks a second time on the way back")
    parser.add_argument("--repeats", type=int, default=5, help="steps timed after the first; default 5")
    parser.add_argument("--threads", type=int, help="of both libraries; by default each uses as many as it likes")
    parser.add_argument("--ours-alone", action="store_true", help="do not run PyTorch")
    parser.add_argument("--json", help="file to write everything measured to")
    options = parser.parse_args(arguments)
    if options.repeats < 1 or min(options.size) < 1 or any(size % w for size, w in zip(options.size, (6, 8, 8))):
        parser.error("--repeats must be at least 1 and --size multiples of 6 8 8")
    return options


def main(arguments=None):
    options = parse(arguments)
    using = [OURS] if options.ours_alone else libraries()
    rows = [
        row_of(
            what,
            dict(
                steps="vrt_steps",
                what=what,
                size=SMALL_SIZE if what == "small step" else options.size,
                threads=options.threads,
                execution=options.execution,
                checkpointing=options.checkpointing,
            ),
            using,
            options.repeats,
        )
        for what in options.what
    ]
    report(f"VRT, 120 channels, {' x '.join(map(str, options.size))}", rows, using, list(bars(rows, using)), options)


if __name__ == "__main__":
    main()
