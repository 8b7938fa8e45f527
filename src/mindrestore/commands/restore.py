"""``mindrestore restore``: your own clip, restored."""

from __future__ import annotations

import argparse
from pathlib import Path

from mindrestore.commands.shared import Commands, precision
from mindrestore.restore.tasks import TASKS

EPILOG = """\
INPUT   a video, a folder of frames (taken in natural order), a picture (each page of a .tif is a frame);
        for --task sci a .mat file of measurements, such as `mindrestore simulate` writes
OUTPUT  .mp4 .m4v .mov .mkv .avi: a video; .tif: a page a frame; .png .jpg …: a single frame;
        no suffix: a folder of PNG frames; of several inputs, or for a folder of videos, a folder
        in which each gets its own name. What is there is replaced with --overwrite only. Count, order and
        size are the input's, 16 bits stay 16 but in videos, grey stays grey. A video keeps another's times,
        colours, 10 bits, sound, subtitles and titles; of a turned one frames are stored upright.

tasks:
  sr             super-resolution, 4 times the height and width with the network that ships
  deblur         motion blur
  denoise        noise of the level --sigma, its standard deviation for white = 255, or --sigma auto
  interpolate    twice the frame rate: one new frame between any two
  space-time-sr  interpolate, then sr
  sci            the frames behind coded snapshots

examples:
  mindrestore restore holiday.mp4 clean.mp4 --task denoise --sigma auto --preview
  mindrestore restore holiday.mp4 clean.mp4 --task denoise --sigma 25 --start 1:05 --end 1:10
  mindrestore restore VIDEOS large/ --task sr --dry-run
  mindrestore restore frames/ large/ --task sr
  mindrestore restore scan.tif sharp.tif --task deblur --checkpoint 006
  mindrestore simulate holiday.mp4 coded.mat --ratio 8 && mindrestore restore coded.mat back.mp4 --task sci

Ctrl-C keeps what is finished in OUTPUT.part; the same command with --resume goes on from there.

exit status: 0 done, 2 a mistake, 3 done, but the input video is damaged and frames of it are missing,
130 interrupted; of several inputs the worst
"""


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    command = commands.add_parser(
        "restore",
        help="restore your own video, folder of frames or measurements",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Restore a clip of any length and size; memory does not grow with a video's length.",
    )
    command.set_defaults(run=_run)
    command.add_argument("input", metavar="INPUT", nargs="+", help="the clip, or several, see below")
    command.add_argument("output", metavar="OUTPUT", help="what to write; its name says which kind, see below")
    command.add_argument("--task", required=True, choices=TASKS, help="what to do, see below")
    command.add_argument(
        "--sigma", help="noise level of the input for --task denoise, 0 to 255, or auto: estimated for each clip"
    )
    command.add_argument("--start", metavar="TIME", help="begin there: seconds or m:ss of the input")
    command.add_argument("--end", metavar="TIME", help="stop before that")
    command.add_argument("--frames", type=int, metavar="N", help="so many frames of the input at most")
    command.add_argument(
        "--cuts",
        choices=("auto", "off"),
        default="auto",
        help="find cuts and restore scenes apart (the default), or take the clip for one scene",
    )
    command.add_argument(
        "--checkpoint",
        action="append",
        default=[],
        metavar="PATH",
        help="weights, ours (.ckpt) or published (.pth, or a word such as 006, see `mindrestore weights "
        "list`); by default the small network that ships for the "
        "task. Twice for space-time-sr",
    )
    command.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="PATH",
        help="a network that `mindrestore export` wrote (.mindir, or .onnx, which needs no MindSpore) instead of a checkpoint",
    )
    command.add_argument("--mask", metavar="PATH", help="mask of the measurements, where their file does not hold it")
    command.add_argument(
        "--trust",
        metavar="PNG",
        help="for --task sci, also draw how far every pixel of a measurement is from being explained by the "
        "frames, |y - sum M x|",
    )
    command.add_argument(
        "--tile",
        type=int,
        nargs=3,
        metavar=("FRAMES", "HEIGHT", "WIDTH"),
        help="what the network is given at a time, 0 for all there is; less takes less memory "
        "(`mindrestore doctor` recommends one)",
    )
    command.add_argument(
        "--overlap", type=int, nargs=3, metavar=("FRAMES", "HEIGHT", "WIDTH"), help="what neighbouring tiles share"
    )
    command.add_argument(
        "--ensemble",
        action="store_true",
        help="average over each tile's mirror images and its reversal in time: a little better, in eight times the time",
    )
    command.add_argument(
        "--rate", type=float, help="frames a second of an input that does not say, or says wrong; by default 25"
    )
    command.add_argument(
        "--codec",
        choices=("h264", "h265", "ffv1"),
        help="of a video: h264, which everything plays (the default), h265, or ffv1, which loses nothing",
    )
    command.add_argument("--crf", type=int, help="quality of h264 and h265, 0 to 51, lower is better and larger; default 18")
    command.add_argument(
        "--preview",
        action="store_true",
        help="write OUTPUT_preview.png, input and output of a few frames side by side, and stop",
    )
    command.add_argument("--go-on", action="store_true", help="with --preview: restore the clip then")
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="time one tile and say how many frames, how long, how much memory and disk; write nothing",
    )
    command.add_argument(
        "--compare",
        action="store_true",
        help="also write OUTPUT_compare: input and output side by side, as a clip of the same kind",
    )
    command.add_argument(
        "--report",
        action="store_true",
        help="also write OUTPUT_report.html: a page on which input and output play under a divider",
    )
    command.add_argument("--resume", action="store_true", help="go on with a run that was stopped")
    command.add_argument("--overwrite", action="store_true", help="replace an OUTPUT that is there")
    command.add_argument("--device", default="auto", choices=("auto", "cpu", "gpu", "ascend"), help="default: auto")
    precision(command)
    command.add_argument("--threads", type=int, help="cores of the CPU to compute on; default all")


def _run(options: argparse.Namespace) -> int:
    from mindrestore.errors import UserError

    if options.rate is not None and not 0.01 <= options.rate <= 1000:
        raise UserError(f"--rate {options.rate:g}: it must be 0.01 to 1000 frames a second.")
    if options.go_on and not options.preview:
        raise UserError("--go-on: has no meaning without --preview; leave it away.")
    if options.dry_run and (options.preview or options.resume or options.overwrite):
        raise UserError("--dry-run: writes nothing; leave --preview, --resume and --overwrite away.")
    sigma = _sigma(options.sigma)
    _start(options)
    from mindrestore.restore import batch
    from mindrestore.restore.request import Request
    from mindrestore.restore.run import restore
    from mindrestore.restore.spans import seconds_of

    start, end = (
        None if text is None else seconds_of(text, name) for name, text in (("start", options.start), ("end", options.end))
    )
    sources = batch.sources_in(options.input)
    request = Request(
        source=sources[0],
        target=options.output,
        task=options.task,
        checkpoints=tuple(options.checkpoint),
        models=tuple(options.model),
        sigma=sigma,
        mask=options.mask,
        trust=options.trust,
        tile=options.tile and tuple(options.tile),
        overlap=options.overlap and tuple(options.overlap),
        ensemble=options.ensemble,
        rate=options.rate,
        codec=options.codec,
        crf=options.crf,
        start=start,
        end=end,
        frames=options.frames,
        cuts=options.cuts == "auto",
        preview=options.preview,
        go_on=options.go_on,
        compare=options.compare,
        report=options.report,
        dry_run=options.dry_run,
        resume=options.resume,
        overwrite=options.overwrite,
    )
    if sources != [Path(options.input[0])]:
        return batch.restore_all(request, sources)
    return batch.DONE if restore(request) else batch.DAMAGED


def _start(options: argparse.Namespace) -> None:
    """Prepare MindSpore, unless ONNX files alone restore the clip."""
    from mindrestore.restore.networks import need_mindspore

    number_type = options.precision or "float32"
    if need_mindspore(options.task, options.checkpoint, options.model):
        from mindrestore.runtime import cluster, session

        cluster.refuse_other_starts()
        session.start(options.device, threads=options.threads, precision=number_type)
    else:
        from mindrestore.runtime import onnx_file, precision as of_process

        of_process.use(number_type)
        onnx_file.start(options.device, options.threads)


def _sigma(text: str | None) -> float | str | None:
    """The value of ``--sigma``: a number, ``"auto"`` or None."""
    from mindrestore.errors import UserError

    if text is None or text == "auto":
        return text
    try:
        sigma = float(text)
    except ValueError:
        raise UserError(f"--sigma {text}: it must be a number of 0 to 255, or auto.") from None
    if not 0 <= sigma <= 255:
        raise UserError(f"--sigma {sigma:g}: it must be 0 to 255.")
    return sigma
