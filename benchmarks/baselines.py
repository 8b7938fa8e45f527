"""What the small VRT networks are measured against: bicubic enlargement, and OpenCV's non-local means at its best strength.

    python benchmarks/baselines.py [--gt FOLDER] [--frames 6] [--sigma 10 25 50]

Scores the demonstration scenes, or the frames in a folder, on the low quality that ``eval.py`` makes (same reduction, same
noise, same seed) and with its scores, so that its tables compare.
"""

import argparse

import cv2
import numpy as np

from mindrestore.config.video import VideoEvaluation
from mindrestore.data.degradation import degraded
from mindrestore.data.resize import imresize
from mindrestore.data.video_sets import evaluation_clips
from mindrestore.evaluation.video_results import frame_score
from mindrestore.metrics import to_uint8

SCALE = 4
STRENGTHS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # h and hColor, times sigma
PATCH, SEARCH = 7, 21  # OpenCV's defaults


def main(options):
    settings = VideoEvaluation(set="folder" if options.gt else "demo", gt=options.gt)
    clips = {clip.name: frames_of(clip, options.frames) for clip in evaluation_clips(settings, None)}
    print("PSNR in RGB / on luma, dB, means over frames, then over clips")
    show("bicubic", {name: scores(bicubic(frames), frames) for name, frames in clips.items()})
    for sigma in options.sigma:
        noisy = {name: list(degraded(frames, "noise", sigma=sigma)) for name, frames in clips.items()}
        show(f"sigma {sigma:g}, as given", {name: scores(noisy[name], frames) for name, frames in clips.items()})
        tried = {
            strength: {
                name: scores((non_local_means(frame, strength * sigma) for frame in noisy[name]), frames)
                for name, frames in clips.items()
            }
            for strength in STRENGTHS
        }
        best = max(tried, key=lambda strength: mean(tried[strength])[0])
        show(f"sigma {sigma:g}, non-local means, h {best * sigma:g}", tried[best])


def frames_of(clip, count):
    frames = [np.asarray(frame, np.float32) for _, frame in zip(range(count), clip.gt.frames())]
    height, width = (size // SCALE * SCALE for size in frames[0].shape[1:])
    return [frame[:, :height, :width] for frame in frames]


def bicubic(frames):
    return (imresize(frame, SCALE) for frame in degraded(frames, "bicubic", SCALE))


def non_local_means(frame, strength):
    image = np.ascontiguousarray(to_uint8(frame).transpose(1, 2, 0)[..., ::-1])  # BGR
    image = cv2.fastNlMeansDenoisingColored(image, None, strength, strength, PATCH, SEARCH)
    return image[..., ::-1].transpose(2, 0, 1) / np.float32(255)


def scores(frames, truths):
    found = np.array([frame_score(frame, truth) for frame, truth in zip(frames, truths)])
    return found[:, 0].mean(), found[:, 2].mean()


def mean(by_clip):
    return np.mean(list(by_clip.values()), 0)


def show(method, by_clip):
    cells = ", ".join(f"{name} {rgb:.2f} / {luma:.2f}" for name, (rgb, luma) in {**by_clip, "mean": mean(by_clip)}.items())
    print(f"{method}: {cells}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gt", metavar="FOLDER", help="ground truth: a folder of frames, or of such folders")
    parser.add_argument("--frames", type=int, default=6, help="of each clip")
    parser.add_argument("--sigma", type=float, nargs="*", default=[10, 25, 50], help="noise levels, for white = 255")
    main(parser.parse_args())
