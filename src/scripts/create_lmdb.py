"""Make an LMDB of a folder of clips (REDS, DVD, GoPro, DAVIS, Vimeo-90K, or your own), as training reads it.

    python src/scripts/create_lmdb.py REDS/train_sharp train_sharp.lmdb
    python src/scripts/create_lmdb.py vimeo_septuplet/sequences vimeo_train_GT.lmdb --list sep_trainlist.txt
    python src/scripts/create_lmdb.py videos/frames mine.lmdb --write-list mine.txt

Keys are clip/frame, such as 000/00000000 or 00001/0001/im4; values are PNG files; meta_info.txt beside them lists all.
A run that was stopped or killed goes on when it is started again. A list (a line a clip: name frames (h,w,3) first-frame)
chooses clips and is checked against the folder; without one every clip is taken.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mindrestore.data.clip_lists import read_list, write_list
from mindrestore.data.lmdb_writer import create_lmdb
from mindrestore.exit_status import status_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="of clips, each a folder of images")
    parser.add_argument("output", help="the LMDB folder to make; its name ends in .lmdb")
    parser.add_argument("--list", help="list of the clips to take")
    parser.add_argument("--write-list", metavar="FILE", help="write the list of the clips taken")
    parser.add_argument("--workers", type=int, help="threads; default: one a core")
    parser.add_argument("--compression", type=int, default=1, help="of PNG, 0-9, default 1 as published")
    return status_of(_run, parser.parse_args(arguments))


def _run(options: argparse.Namespace) -> None:
    clips = read_list(options.list) if options.list else None
    stored = create_lmdb(options.folder, options.output, clips, workers=options.workers, compression=options.compression)
    if options.write_list:
        write_list(options.write_list, stored)
    print(f"{options.output}: {len(stored)} clips, {sum(clip.frames for clip in stored)} frames, verified")


if __name__ == "__main__":
    sys.exit(main())
