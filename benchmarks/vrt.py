"""Time and memory of VRT's forward pass on the CPU: a block, a stage and the whole task-001 network, beside PyTorch.

    python benchmarks/vrt.py                               # 6 x 64 x 64, as published task 001 was trained
    python benchmarks/vrt.py --what block "mutual block"

See README.md in this folder. PyTorch is optional; without it ours is measured alone.
"""
import argparse

from side_by_side import OURS, THEIRS, bar, libraries, report, row_of

PARTS = ("mutual block", "block", "stage", "network")
MOST_SECONDS, MOST_GB = 25, 2  # the published PyTorch network: 25 s and 1.47 GB on two cores of another machine
MOST_RATIO = 1.0


def bars(rows):
    """Return what is promised of the parts measured."""
    for row in rows:
        ours, theirs = (row["results"].get(library, {}) for library in (OURS, THEIRS))
        if row["label"] == "network":
            yield bar("network, s", ours.get("seconds"), MOST_SECONDS)
            yield bar("network, GB above start", ours.get("above_start_gb"), MOST_GB)
        elif theirs:
            known = "seconds" in ours and "seconds" in theirs
            yield bar(f"{row['label']} over PyTorch's", ours["seconds"] / theirs["seconds"] if known else None, MOST_RATIO)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--what", nargs="+", choices=PARTS, default=list(PARTS), help="default all")
    parser.add_argument("--size", type=int, nargs=3, metavar=("FRAMES", "HEIGHT", "WIDTH"), default=[6, 64, 64],
                        help="multiples of the window 6 x 8 x 8; default 6 64 64")
    parser.add_argument("--repeats", type=int, default=5, help="steps timed after the first; default 5")
    parser.add_argument("--threads", type=int, help="of both libraries; by default each uses as many as it likes")
    parser.add_argument("--json", help="file to write everything measured to")
    options = parser.parse_args(arguments)
    if options.repeats < 1 or min(options.size) < 1 or any(size % w for size, w in zip(options.size, (6, 8, 8))):
        parser.error("--repeats must be at least 1 and --size multiples of 6 8 8")
    return options


def main(arguments=None):
    options = parse(arguments)
    using = libraries()
    rows = [row_of(what, dict(steps="vrt_steps", what=what, size=options.size, threads=options.threads),
                   using, options.repeats) for what in options.what]
    report(f"VRT, 120 channels, {' x '.join(map(str, options.size))}", rows, using, list(bars(rows)), options)


if __name__ == "__main__":
    main()
