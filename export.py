"""Write a trained network as MINDIR: ``python export.py``; see ``python export.py --help``."""

import sys

from mindrestore.cli import main

sys.exit(main(["export", *sys.argv[1:]]))
