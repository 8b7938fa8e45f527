"""Time and memory of RevSCI on the CPU beside the same network in PyTorch, as ratios from one run.

    python benchmarks/revsci.py                                      # 8 x 256 x 256; wants a quiet machine, 24 GB
    python benchmarks/revsci.py --size 32 --blocks 2 4 --repeats 3   # a quick look

See README.md in this folder for what is measured. PyTorch is optional; without it ours is measured alone.
"""

import argparse

from side_by_side import OURS, bar, libraries, report, row_of

MODES = ("forward", "plain", "reversible")
MOST_REVERSIBLE_GB = 1.5
MOST_GROWTH = 0.10
MOST_REVERSIBLE_TIME = 1.5


def bars(rows):
    """Return what reversible training of ours promises, as dicts of what, value, most and met (None: not measured)."""

    def ours(mode, blocks, key):
        of_case = (row["results"][OURS] for row in rows if (row["mode"], row["blocks"]) == (mode, blocks))
        return next(of_case, {}).get(key)

    depths = sorted({row["blocks"] for row in rows})
    fewest, most = depths[0], depths[-1]
    memory = ours("reversible", most, "above_start_gb")
    yield bar(f"reversible training of {most} blocks, GB above start", memory, MOST_REVERSIBLE_GB)
    if fewest != most:
        base = ours("reversible", fewest, "above_start_gb")
        yield bar(f"memory of {most} blocks over that of {fewest}", memory / base if memory and base else None, 1 + MOST_GROWTH)
    for blocks in depths:
        reversible, plain = ours("reversible", blocks, "seconds"), ours("plain", blocks, "seconds")
        yield bar(
            f"reversible step over plain step, {blocks} blocks",
            reversible / plain if reversible and plain else None,
            MOST_REVERSIBLE_TIME,
        )


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
    parser.add_argument("--fusion", action="store_true", help="fuse graph kernels of ours; needs g++ and pip install decorator")
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
    using = libraries()
    rows = []
    for mode in options.modes:
        for blocks in sorted(set(options.blocks)):
            case = dict(
                steps="revsci_steps",
                mode=mode,
                blocks=blocks,
                channels=options.channels,
                frames=options.frames,
                size=options.size,
                batch=options.batch,
                threads=options.threads,
                fusion=options.fusion,
            )
            rows.append(dict(row_of(f"{mode:10} {blocks:3} blocks", case, using, options.repeats), mode=mode, blocks=blocks))
    checked = list(bars(rows)) if {"plain", "reversible"} <= set(options.modes) else []
    fusion = ", ours with graph-kernel fusion" if options.fusion else ""
    report(
        f"RevSCI, two-way, {options.channels} channels, {options.batch} x {options.frames} x {options.size} x "
        f"{options.size}{fusion}",
        rows,
        using,
        checked,
        options,
    )


if __name__ == "__main__":
    main()
