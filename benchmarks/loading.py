"""Speed of loading task 001's training samples beside PyTorch's DataLoader doing the same work, as ratios from one run.

    python benchmarks/loading.py                                           # folders and LMDB; 0, 1 and 2 workers
    python benchmarks/loading.py --stores lmdb --workers 2 --repeats 3     # a quick look

Makes clips of REDS's size in a temporary folder. See README.md in this folder for what is measured. PyTorch is optional;
without it ours is measured alone.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from side_by_side import LABELS, OURS, THEIRS, bar, bar_line, libraries, measure, notes

STORES = ("folders", "lmdb")
HEIGHT, WIDTH, SCALE = 720, 1280, 4  # of REDS; low quality is a quarter of it
PATCH, FRAMES = 256, 6  # of task 001
DECODED = 2 * FRAMES  # frames a sample: ground truth and low quality
RATIOS = {"time, ratio": "all_seconds", "processor time, ratio": "processor_seconds"}
MOST_TIME = 1.0


def make_clips(folder, clips, frames, height=HEIGHT, width=WIDTH):
    """Render clips into ``folder``; return store -> paths of ground truth and low quality."""
    from mindrestore.data.degradation import degraded
    from mindrestore.data.lmdb_writer import create_lmdb
    from mindrestore.data.rendered import render_clip

    folder = Path(folder)
    for clip in range(clips):
        gt = render_clip(clip, frames, height, width, colour=True).swapaxes(0, 1)  # (T, 3, H, W)
        for part, images in (("gt", gt), ("lq", degraded(gt, "bicubic", SCALE))):
            target = folder / part / f"{clip:03d}"
            target.mkdir(parents=True)
            for number, image in enumerate(images):
                stored = np.rint(255 * image).astype(np.uint8).transpose(1, 2, 0)
                cv2.imwrite(str(target / f"{number:08d}.png"), np.ascontiguousarray(stored[..., ::-1]))
    for part in ("gt", "lq"):
        create_lmdb(folder / part, folder / f"{part}.lmdb")
    return {
        "folders": [str(folder / part) for part in ("gt", "lq")],
        "lmdb": [str(folder / f"{part}.lmdb") for part in ("gt", "lq")],
    }


def case_of(paths, patch=PATCH, batch=4, workers=1, samples=24):
    """What both loaders of ``loading_steps.py`` read."""
    return dict(
        steps="loading_steps",
        paths=paths,
        frames=FRAMES,
        patch=patch,
        scale=SCALE,
        batch=batch,
        workers=workers,
        batches=samples // batch,
    )


def table(rows, using):
    """Return the rows as lines of a table in Markdown."""
    names = [LABELS[library] for library in using]
    columns = [f"{name}, {unit} / s" for unit in ("samples", "frames") for name in names] + list(RATIOS)[: 2 * len(using) - 2]
    yield f"| clips in | workers | {' | '.join(columns)} |"
    yield "|---" * (2 + len(columns)) + "|"
    for row in rows:
        speeds = [row["speeds"].get(library) for library in using]
        cells = [_cell(value) for value in speeds] + [_cell(value and DECODED * value, 0) for value in speeds]
        cells += map(_cell, row["ratios"])
        yield f"| {row['store']} | {row['workers']} | {' | '.join(cells)} | {'; '.join(notes(row))}".rstrip()


def _cell(value, places=2):
    return "-" if value is None else f"{value:.{places}f}"


def row_of(store, workers, case, using, repeats):
    """Measure a case; return its row."""
    print(f"measuring {store}, {workers} workers ...", file=sys.stderr, flush=True)
    results, alternated = measure(case, using, repeats)
    measured = {library: result for library, result in results.items() if "seconds" in result}
    speeds = {library: case["batch"] * case["batches"] / result["seconds"] for library, result in measured.items()}
    both = len(measured) == 2
    return dict(
        store=store,
        workers=workers,
        results=results,
        alternated=alternated,
        speeds=speeds,
        same_values=results[OURS]["values"] == results[THEIRS]["values"] if both else None,
        ratios=[_ratio(measured, key) if both else None for key in RATIOS.values()][: 2 * len(using) - 2],
    )


def _ratio(results, key):
    """Ours over PyTorch's, the median of pairs of steps that follow each other, which a busy machine disturbs alike."""
    return statistics.median(ours / theirs for ours, theirs in zip(results[OURS][key], results[THEIRS][key]))


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES), help="default both")
    parser.add_argument(
        "--workers",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        help="default 0 1 2; with 0 the DataLoader loads in its own process, ours in one thread",
    )
    parser.add_argument("--batch", type=int, default=4, help="default 4")
    parser.add_argument("--samples", type=int, default=24, help="of a step, a multiple of --batch; default 24")
    parser.add_argument("--repeats", type=int, default=5, help="steps timed after the first; default 5")
    parser.add_argument("--clips", type=int, default=4, help="default 4")
    parser.add_argument("--length", type=int, default=12, help="frames of a clip; default 12")
    parser.add_argument("--json", type=Path, help="file to write everything measured to")
    options = parser.parse_args(arguments)
    if min(options.batch, options.repeats, options.clips) < 1 or min(options.workers) < 0:
        parser.error("--batch, --repeats and --clips must be at least 1 and --workers at least 0")
    if options.samples < options.batch or options.samples % options.batch or options.length < FRAMES:
        parser.error(f"--samples must be a multiple of --batch and --length at least {FRAMES}")
    return options


def main(arguments=None):
    options = parse(arguments)
    using = libraries()[:2]  # an allocator is no part of loading
    with tempfile.TemporaryDirectory(prefix="mindrestore-") as folder:
        print("making clips ...", file=sys.stderr, flush=True)
        paths = make_clips(folder, options.clips, options.length)
        sizes = {part: np.mean([path.stat().st_size for path in Path(folder, part).rglob("*.png")]) for part in ("gt", "lq")}
        rows = [
            row_of(
                store, workers, case_of(paths[store], PATCH, options.batch, workers, options.samples), using, options.repeats
            )
            for store in options.stores
            for workers in options.workers
        ]
    bars = [
        bar(f"{row['store']}, {row['workers']} workers: time over the DataLoader's", row["ratios"][0], MOST_TIME)
        for row in rows
        if len(using) > 1
    ]
    versions = sorted({result["version"] for row in rows for result in row["results"].values() if "version" in result})
    print(
        f"{FRAMES} frames of {WIDTH} x {HEIGHT} ({sizes['gt'] / 1e6:.2f} MB a PNG) and {WIDTH // SCALE} x {HEIGHT // SCALE} "
        f"({sizes['lq'] / 1e6:.2f} MB), patches of {PATCH}, batches of {options.batch}; median of {options.repeats} times "
        f"{options.samples} samples; {', '.join(versions)}\n"
    )
    print("\n".join([*table(rows, using), "", *map(bar_line, bars)]))
    if options.json:
        content = dict(options={**vars(options), "json": str(options.json)}, png_bytes=sizes, rows=rows, bars=bars)
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
