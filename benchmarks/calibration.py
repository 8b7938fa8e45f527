"""What a mask costs that is a little wrong, and what calibration regains: the table of docs/snapshots.md.

    python benchmarks/calibration.py [--scenes FOLDER --mask mask.mat] [--iterations 25]

Measures the first snapshot of the benchmark's scenes in a folder, or of the demonstration scenes, through a mask that is moved,
darker, or darker in the corners than it is thought to be; reconstructs it with GAP-TV through the real mask, through the one it
is thought to be, and through that one calibrated on the snapshot itself and on a white surface; noise 1, for white = 255. The
outermost pixels of scenes and mask are left away, so that what is moved in is not known to calibration.
"""
import argparse

import numpy as np

from mindrestore.data.demo import demo_scenes
from mindrestore.data.scenes import find_benchmark_scenes, load_scene
from mindrestore.metrics import psnr
from mindrestore.sensing import SnapshotImaging, gap_tv, load_mask, random_mask
from mindrestore.sensing.calibration import EVEN, Calibration, calibrate_on_scene, calibrate_on_white

FRAMES, MARGIN = 8, 8
NOISE = 1 / 255
ERRORS = {  # shift down and right in pixels, light
    "0.1 right": ((0, 0.1), EVEN), "0.5 right": ((0, 0.5), EVEN), "0.3 down, 0.6 left": ((0.3, -0.6), EVEN),
    "gain 0.9": ((0, 0), (0.9, 0, 0, 0)), "corners 0.7": ((0, 0), (1, 0, 0, -0.3)),
    "all of the last three": ((0.3, -0.6), (0.9, 0, 0, -0.3)),
}
HEADINGS = ("right mask", "wrong", "by itself", "by white")


def main(options):
    scenes = scenes_of(options.scenes)
    given = None if options.mask is None else load_mask(options.mask, FRAMES)
    print("PSNR in dB of GAP-TV; in brackets how far off the shift is that was found, pixels")
    print(f"{'error':24}{'scene':10}" + "".join(f"{heading:>18}" for heading in HEADINGS), flush=True)
    for error, (shift, light) in ERRORS.items():
        rows = [measured(name, clip, given, Calibration(shift, light, 0, 0), options.iterations)
                for name, clip in scenes.items()]
        for name, scores, misses in rows:
            show(error, name, scores, misses)
        if len(rows) > 1:
            show(error, "mean", np.mean([scores for _, scores, _ in rows], 0), np.mean([misses for *_, misses in rows], 0))


def scenes_of(folder):
    if folder is None:
        scenes = {scene.name: scene for scene in demo_scenes()}
    else:
        scenes = {name: load_scene(path, name) for name, path in find_benchmark_scenes(folder).items() if path}
    return {name: scene.snapshots(FRAMES)[0] for name, scene in scenes.items()}


def measured(name, clip, given, error, iterations):
    mask = random_mask(FRAMES, *clip.shape[1:], rng=0) if given is None else given[:, :clip.shape[1], :clip.shape[2]]
    real, thought, clip = (inner(array) for array in (error.correct(mask), mask, clip))
    camera = SnapshotImaging(real)
    seen = camera.measure(clip, NOISE, rng=0)
    found = [calibrate_on_scene(thought, seen), calibrate_on_white(thought, camera.measure(np.ones_like(clip), NOISE, rng=1))]
    masks = [real, thought, *(each.correct(thought) for each in found)]
    scores = [psnr(gap_tv(seen, mask, iterations), clip) for mask in masks]
    return name, scores, [np.hypot(*np.subtract(each.shift, error.shift)) for each in found]


def inner(array):
    return array[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


def show(error, name, scores, misses):
    cells = [f"{scores[0]:18.2f}", f"{scores[1]:18.2f}", *(f"{score:9.2f} ({miss:.3f})".rjust(18) for score, miss in zip(
        scores[2:], misses))]
    print(f"{error:24}{name:10}" + "".join(cells), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", help="folder of benchmark scenes (.mat); by default the demonstration scenes")
    parser.add_argument("--mask", help="mask file; by default a random one")
    parser.add_argument("--iterations", type=int, default=25, help="of GAP-TV")
    main(parser.parse_args())
