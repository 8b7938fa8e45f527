"""Bring REDS's validation clips to its training clips: 270 clips, validation clip n as 240 + n.

    python src/scripts/regroup_reds_dataset.py REDS                       # copies val/*/n to train/*/(240 + n)
    python src/scripts/regroup_reds_dataset.py REDS --output REDS270 --link

REDS is the folder that the archives were unpacked in: train/train_sharp, val/val_sharp, and where wanted
train/train_sharp_bicubic/X4, train/train_blur and so on. Run it again after a stop: what is in place is left alone.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mindrestore.data.regroup import TRAINING_CLIPS, VALIDATION_CLIPS, regroup
from mindrestore.exit_status import status_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", metavar="REDS", help="folder of the unpacked archives")
    parser.add_argument("--output", help="make the 270 clips here; by default validation clips join the training clips")
    parser.add_argument("--link", action="store_true", help="symbolic links instead of copies")
    parser.add_argument("--frames", type=int, default=100, help="frames of every clip, default 100")
    return status_of(_run, parser.parse_args(arguments))


def _run(options: argparse.Namespace) -> None:
    all_clips = TRAINING_CLIPS + VALIDATION_CLIPS
    for folder, clips, new in regroup(options.root, options.output, options.link, options.frames):
        print(f"{folder}: {clips} clips of {options.frames} frames, {new} of them new"
              + ("" if clips == all_clips else f"; all of REDS is {all_clips}"))


if __name__ == "__main__":
    sys.exit(main())
