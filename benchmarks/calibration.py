"""What a mask costs that is a little wrong, how the residual tells it, what calibration regains: tables of docs/snapshots.md.

    python benchmarks/calibration.py [--scenes FOLDER --mask mask.mat] [--error "0.1 right"]

Measures the first snapshot of the benchmark's scenes in a folder, or of the demonstration scenes, through a mask that is moved,
darker, or darker in the corners than it is thought to be; reconstructs it with GAP-TV and with the network that ships through
the real mask, through the one it is thought to be, and through that one calibrated on the snapshot itself and on a white
surface; noise 1, for white = 255. The outermost pixels of scenes and mask are left away, so that what is moved in is not known
to calibration.
"""

import argparse

import numpy as np

from mindrestore.checkpoints.loading import load, shipped
from mindrestore.data.demo import demo_scenes
from mindrestore.data.scenes import find_benchmark_scenes, load_scene
from mindrestore.metrics import psnr
from mindrestore.restore.snapshots import Reconstructor
from mindrestore.runtime import session
from mindrestore.sensing import SnapshotImaging, gap_tv, load_mask, random_mask
from mindrestore.sensing.calibration import EVEN, Calibration, calibrate_on_scene, calibrate_on_white

FRAMES, MARGIN = 8, 8
NOISE = 1 / 255
ERRORS = {  # shift down and right in pixels, light
    "0.1 right": ((0, 0.1), EVEN),
    "0.3 down, 0.6 left": ((0.3, -0.6), EVEN),
    "gain 0.9, corners 0.7": ((0, 0), (0.9, 0, 0, -0.2)),
    "both of these": ((0.3, -0.6), (0.9, 0, 0, -0.2)),
}
HEADINGS = ("right mask", "wrong", "by itself", "by white")
WORST = 0.05  # share of the pixels whose residual is largest


def main(options):
    session.start("cpu")
    methods = {
        "GAP-TV": lambda seen, mask: gap_tv(seen, mask, options.iterations),
        "network": Reconstructor(load(shipped("sci")).network),
    }
    scenes = scenes_of(options.scenes)
    given = None if options.mask is None else load_mask(options.mask, FRAMES)
    print(
        "PSNR in dB / |y - sum M x|, white = 255; off: how far the shift is off that was found, pixels;\n"
        "worst: mean error of the 5 % of pixels with the largest residual over that of all, right mask"
    )
    headings = "".join(f"{heading:>15}" for heading in HEADINGS)
    print(f"{'error':23}{'scene':9}{'method':8}{headings}   off: itself  white worst", flush=True)
    for error, (shift, light) in ((error, ERRORS[error]) for error in options.error or ERRORS):
        found = [measured(name, clip, given, Calibration(shift, light, 0, 0), methods) for name, clip in scenes.items()]
        for scores in found:
            show(error, scores)
        means = {method: np.mean([scores[method] for _, scores in found], 0) for method in methods}
        show(error, ("mean", means))


def scenes_of(folder):
    if folder is None:
        scenes = {scene.name: scene for scene in demo_scenes()}
    else:
        scenes = {name: load_scene(path, name) for name, path in find_benchmark_scenes(folder).items() if path}
    return {name: scene.snapshots(FRAMES)[0] for name, scene in scenes.items()}


def measured(name, clip, given, error, methods):
    """(name of the scene, for each method four times PSNR and residual, how far off two shifts are, the worst's error)"""
    mask = random_mask(FRAMES, *clip.shape[1:], rng=0) if given is None else given[:, : clip.shape[1], : clip.shape[2]]
    real, thought, clip = (inner(array) for array in (error.correct(mask), mask, clip))
    camera = SnapshotImaging(real)
    seen = camera.measure(clip, NOISE, rng=0)
    found = [calibrate_on_scene(thought, seen), calibrate_on_white(thought, camera.measure(np.ones_like(clip), NOISE, rng=1))]
    off = [np.hypot(*np.subtract(each.shift, error.shift)) for each in found]
    scores = {}
    for method, reconstruct in methods.items():
        numbers = []
        for tried in (real, thought, *(each.correct(thought) for each in found)):
            restored = reconstruct(seen, tried)
            residual = SnapshotImaging(tried).residual(restored, seen)
            numbers += [psnr(restored, clip), 255 * residual.mean()]
            if tried is real:
                wrong = np.abs(restored - clip).mean(0)
                worst = wrong[residual >= np.quantile(residual, 1 - WORST)].mean() / wrong.mean()
        scores[method] = [*numbers, *off, worst]
    return name, scores


def inner(array):
    return array[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def show(error, named):
    name, scores = named
    for method, numbers in scores.items():
        cells = "".join(f"{f'{quality:.2f} / {residual:.2f}':>15}" for quality, residual in zip(numbers[0:8:2], numbers[1:8:2]))
        print(f"{error:23}{name:9}{method:8}{cells}{numbers[8]:15.3f}{numbers[9]:7.3f}{numbers[10]:6.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", help="folder of benchmark scenes (.mat); by default the demonstration scenes")
    parser.add_argument("--mask", help="mask file; by default a random one")
    parser.add_argument("--error", action="append", choices=list(ERRORS), help="may be given again; by default all")
    parser.add_argument("--iterations", type=int, default=25, help="of GAP-TV")
    main(parser.parse_args())
