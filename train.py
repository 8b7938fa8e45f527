"""Train a network: ``python train.py --config configs/revsci/small_cpu.yaml``; see ``python train.py --help``."""

import sys

from mindrestore.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
