"""Reconstruct and score: ``python eval.py``; see ``python eval.py --help``."""

import sys

from mindrestore.cli import main

sys.exit(main(["eval", *sys.argv[1:]]))
