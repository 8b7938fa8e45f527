"""``mindrestore restore``: your own clip, restored."""
from __future__ import annotations

import argparse

from mindrestore.commands.shared import Commands, precision
from mindrestore.restore.tasks import TASKS

EPILOG = """\
INPUT   a video, a folder of frames (taken in natural order), a picture (each page of a .tif is a frame);
        for --task sci a .mat file of measurements, such as `mindrestore simulate` writes
OUTPUT  .mp4 .m4v .mov .mkv .avi: a video; .tif: a page a frame; .png .jpg …: a single frame;
        no suffix: a folder of PNG frames. Count, order and size are the input's, 16 bits stay 16 but in
        videos, grey stays grey. A video keeps another's times, colours, 10 bits, sound, subtitles and titles;
        of a turned one frames are stored upright.

tasks:
  sr             super-resolution, 4 times the height and width with the network that ships
  deblur         motion blur
  denoise        noise of the level --sigma, its standard deviation for white = 255
  interpolate    twice the frame rate: one new frame between any two
  space-time-sr  interpolate, then sr
  sci            the frames behind coded snapshots

examples:
  mindrestore restore holiday.mp4 clean.mp4 --task denoise --sigma 25 --preview
  mindrestore restore frames/ large/ --task sr
  mindrestore restore scan.tif sharp.tif --task deblur --checkpoint 006
  mindrestore simulate holiday.mp4 coded.mat --ratio 8 && mindrestore restore coded.mat back.mp4 --task sci

Ctrl-C keeps what is finished in OUTPUT.part; the same command with --resume goes on from there.

exit status: 0 done, 2 a mistake, 3 done, but the input video is damaged and frames of it are missing,
130 interrupted
"""


DAMAGED = 3  # exit status: done, of a video of which frames are missing


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    command = commands.add_parser(
        "restore", help="restore your own video, folder of frames or measurements", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Restore a clip of any length and size; memory does not grow with a video's length.")
    command.set_defaults(run=_run)
    command.add_argument("input", metavar="INPUT", help="the clip, see below")
    command.add_argument("output", metavar="OUTPUT", help="what to write; its name says which kind, see below")
    command.add_argument("--task", required=True, choices=TASKS, help="what to do, see below")
    command.add_argument("--sigma", type=float, help="noise level of the input for --task denoise, 0 to 255")
    command.add_argument("--checkpoint", action="append", default=[], metavar="PATH",
                         help="weights, ours (.ckpt) or published (.pth, or a word such as 006, see `mindrestore weights "
                              "list`); by default the small network that ships for the "
                              "task. Twice for space-time-sr")
    command.add_argument("--model", action="append", default=[], metavar="PATH",
                         help="a network that `mindrestore export` wrote (.mindir) instead of a checkpoint")
    command.add_argument("--mask", metavar="PATH", help="mask of the measurements, where their file does not hold it")
    command.add_argument("--trust", metavar="PNG",
                         help="for --task sci, also draw how far every pixel of a measurement is from being explained by the "
                              "frames, |y - sum M x|")
    command.add_argument("--tile", type=int, nargs=3, metavar=("FRAMES", "HEIGHT", "WIDTH"),
                         help="what the network is given at a time, 0 for all there is; less takes less memory "
                              "(`mindrestore doctor` recommends one)")
    command.add_argument("--overlap", type=int, nargs=3, metavar=("FRAMES", "HEIGHT", "WIDTH"),
                         help="what neighbouring tiles share")
    command.add_argument("--ensemble", action="store_true", help="average over each tile's mirror images and its reversal in "
                         "time: a little better, in eight times the time")
    command.add_argument("--rate", type=float,
                         help="frames a second of an input that does not say, or says wrong; by default 25")
    command.add_argument("--codec", choices=("h264", "h265", "ffv1"),
                         help="of a video: h264, which everything plays (the default), h265, or ffv1, which loses nothing")
    command.add_argument("--crf", type=int, help="quality of h264 and h265, 0 to 51, lower is better and larger; default 18")
    command.add_argument("--preview", action="store_true",
                         help="first write OUTPUT_preview.png: input and output of a few frames side by side")
    command.add_argument("--compare", action="store_true",
                         help="also write OUTPUT_compare: input and output side by side, as a clip of the same kind")
    command.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    command.add_argument("--device", default="auto", choices=("auto", "cpu", "gpu", "ascend"), help="default: auto")
    precision(command)
    command.add_argument("--threads", type=int, help="cores of the CPU to compute on; default all")


def _run(options: argparse.Namespace) -> None:
    from mindrestore.errors import UserError
    if options.rate is not None and not 0.01 <= options.rate <= 1000:
        raise UserError(f"--rate {options.rate:g}: it must be 0.01 to 1000 frames a second.")
    if options.sigma is not None and not 0 <= options.sigma <= 255:
        raise UserError(f"--sigma {options.sigma:g}: it must be 0 to 255.")
    from mindrestore.runtime import cluster, session
    cluster.refuse_other_starts()
    session.start(options.device, threads=options.threads, precision=options.precision or "float32")
    from mindrestore.restore.run import Request, restore
    whole = restore(Request(
        source=options.input, target=options.output, task=options.task, checkpoints=tuple(options.checkpoint),
        models=tuple(options.model), sigma=options.sigma, mask=options.mask, trust=options.trust,
        tile=options.tile and tuple(options.tile), overlap=options.overlap and tuple(options.overlap),
        ensemble=options.ensemble, rate=options.rate,
        codec=options.codec, crf=options.crf, preview=options.preview, compare=options.compare, resume=options.resume))
    return 0 if whole else DAMAGED
