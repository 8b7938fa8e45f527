"""Bring REDS's validation clips to its training clips: ``mindrestore data regroup-reds``; see
``python src/scripts/regroup_reds_dataset.py --help``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mindrestore import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    return cli.main(["data", "regroup-reds", *(sys.argv[1:] if arguments is None else arguments)])


if __name__ == "__main__":
    sys.exit(main())
