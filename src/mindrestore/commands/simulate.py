"""``mindrestore simulate``: any video as a snapshot camera would have measured it."""

from __future__ import annotations

from argparse import Namespace

from mindrestore.commands.mask import KINDS_HELP
from mindrestore.commands.shared import Commands


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    command = commands.add_parser(
        "simulate",
        help="turn any video into coded snapshots (.mat)",
        description="Measure a video as a snapshot camera does: every RATIO frames, each seen through its own plane of a "
        "mask, add up to one measurement. OUT.mat holds measurements, mask and originals in the benchmark's "
        "format; read it with `mindrestore restore --task sci`, `mindrestore eval --scenes OUT.mat --mask "
        "stored`, MATLAB, Octave or SciPy.",
    )
    command.set_defaults(run=_run)
    command.add_argument("video", metavar="VIDEO", help="a video, a folder of frames or a picture of several pages")
    command.add_argument("output", metavar="OUT.mat", help="MATLAB file of version 5 to write")
    command.add_argument("--ratio", type=int, default=8, help="frames a measurement; default 8")
    command.add_argument(
        "--mask",
        metavar="PATH",
        help="mask file (.mat, .npz, .npy) of RATIO planes or more; frames that are larger are cut to their "
        "middle. By default one is drawn, half open, of the frames' size",
    )
    command.add_argument("--mask-kind", metavar="KIND", help=f"which mask to draw where none is given: {KINDS_HELP}")
    command.add_argument("--seed", type=int, default=0, help="of the mask that is drawn and of the noise; default 0")
    command.add_argument("--colour", action="store_true", help="measure in colour, behind an RGGB Bayer filter")
    command.add_argument(
        "--noise",
        type=float,
        default=0.0,
        metavar="SIGMA",
        help="standard deviation of the sensor's noise, for white = 255; default 0",
    )
    command.add_argument("--bits", type=int, help="bits of the sensor's converter, 1 to 16; by default values are exact")
    command.add_argument("--frames", type=int, help="only the first so many frames")


def _run(options: Namespace) -> None:
    from mindrestore.restore.simulation import simulate

    print(
        simulate(
            options.video,
            options.output,
            ratio=options.ratio,
            mask=options.mask,
            colour=options.colour,
            noise=options.noise,
            bits=options.bits,
            frames=options.frames,
            seed=options.seed,
            mask_kind=options.mask_kind,
        )
    )
