"""``mindrestore data``: data sets as they are downloaded, made ready for training."""

from __future__ import annotations

import argparse

from mindrestore.commands.shared import Commands

LMDB = """\
Make an LMDB of a folder of clips (REDS, DVD, GoPro, DAVIS, Vimeo-90K, or your own), as training reads it.

    mindrestore data lmdb REDS/train_sharp train_sharp.lmdb
    mindrestore data lmdb vimeo_septuplet/sequences vimeo_train_GT.lmdb --list sep_trainlist.txt
    mindrestore data lmdb videos/frames mine.lmdb --write-list mine.txt

Keys are clip/frame, such as 000/00000000 or 00001/0001/im4; values are PNG files; meta_info.txt beside them lists all.
A run that was stopped or killed goes on when it is started again. A list (a line a clip: name frames (h,w,3) first-frame)
chooses clips and is checked against the folder; without one every clip is taken.
"""
REDS = """\
Bring REDS's validation clips to its training clips: 270 clips, validation clip n as 240 + n.

    mindrestore data regroup-reds REDS                       # copies val/*/n to train/*/(240 + n)
    mindrestore data regroup-reds REDS --output REDS270 --link

REDS is the folder that the archives were unpacked in: train/train_sharp, val/val_sharp, and where wanted
train/train_sharp_bicubic/X4, train/train_blur and so on. Run it again after a stop: what is in place is left alone.
"""


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    data = commands.add_parser(
        "data",
        help="make downloaded data sets ready for training",
        description="Make data sets as they are downloaded ready for training.",
    )
    tools = data.add_subparsers(dest="tool", required=True, metavar="lmdb | regroup-reds")
    lmdb = tools.add_parser(
        "lmdb", help="make an LMDB of a folder of clips", description=LMDB, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    lmdb.set_defaults(run=_make_lmdb)
    lmdb.add_argument("folder", help="of clips, each a folder of images")
    lmdb.add_argument("output", help="the LMDB folder to make; its name ends in .lmdb")
    lmdb.add_argument("--list", help="list of the clips to take")
    lmdb.add_argument("--write-list", metavar="FILE", help="write the list of the clips taken")
    lmdb.add_argument("--workers", type=int, help="threads; default: one a core")
    lmdb.add_argument("--compression", type=int, default=1, help="of PNG, 0-9, default 1 as published")
    reds = tools.add_parser(
        "regroup-reds",
        help="bring REDS's validation clips to its training clips",
        description=REDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    reds.set_defaults(run=_regroup)
    reds.add_argument("root", metavar="REDS", help="folder of the unpacked archives")
    reds.add_argument("--output", help="make the 270 clips here; by default validation clips join the training clips")
    reds.add_argument("--link", action="store_true", help="symbolic links instead of copies")
    reds.add_argument("--frames", type=int, default=100, help="frames of every clip, default 100")


def _make_lmdb(options: argparse.Namespace) -> None:
    from mindrestore.data.clip_lists import read_list
    from mindrestore.data.lmdb_writer import create_lmdb

    clips = read_list(options.list) if options.list else None
    stored = create_lmdb(
        options.folder,
        options.output,
        clips,
        workers=options.workers,
        compression=options.compression,
        listing=options.write_list,
    )
    print(f"{options.output}: {len(stored)} clips, {sum(clip.frames for clip in stored)} frames, verified")


def _regroup(options: argparse.Namespace) -> None:
    from mindrestore.data.regroup import TRAINING_CLIPS, VALIDATION_CLIPS, regroup

    for folder, clips, new in regroup(options.root, options.output, options.link, options.frames):
        whole = TRAINING_CLIPS + VALIDATION_CLIPS
        print(
            f"{folder}: {clips} clips of {options.frames} frames, {new} of them new"
            + ("" if clips == whole else f"; all of REDS is {whole}")
        )
