"""Make an LMDB of a folder of clips: ``mindrestore data lmdb``; see ``python src/scripts/create_lmdb.py --help``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mindrestore import cli


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    return cli.main(["data", "lmdb", *(sys.argv[1:] if arguments is None else arguments)])


if __name__ == "__main__":
    sys.exit(main())
