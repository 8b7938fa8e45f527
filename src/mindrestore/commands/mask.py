"""``mindrestore mask``: make a mask of a snapshot camera, look at one, set one right."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from mindrestore.commands.shared import Commands

KINDS_HELP = (
    "random (every pixel of every plane by itself), shifted (one plane, moved left by a pixel a frame, as on a "
    "stage) or grey (pixels that let any part of the light through); default random"
)


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    command = commands.add_parser(
        "mask",
        help="make, look at or calibrate the mask of a snapshot camera",
        description="The mask of a snapshot camera: make one, look at one, or set one right.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_make(actions)
    _add_look(actions)
    _add_calibrate(actions)


def _add_make(actions: Commands) -> None:
    make = actions.add_parser(
        "make", help="draw a mask", description="Draw a mask and write it; it is described as by `mindrestore mask look`."
    )
    make.set_defaults(run=_make)
    make.add_argument("output", metavar="OUT", help=".mat, .npz or .npy file to write")
    make.add_argument("--kind", default="random", help=KINDS_HELP)
    make.add_argument("--size", type=int, nargs=2, required=True, metavar=("HEIGHT", "WIDTH"), help="in pixels")
    make.add_argument("--ratio", type=int, default=8, help="planes, which is frames a measurement; default 8")
    make.add_argument("--density", type=float, default=0.5, help="part of the light that it lets through; default 0.5")
    make.add_argument("--seed", type=int, default=0, help="default 0")
    _sheet(make)


def _add_look(actions: Commands) -> None:
    look = actions.add_parser(
        "look",
        help="say what a mask is like, and what that means",
        description="Say how much light a mask lets through, how much every pixel sees, which planes repeat, and whether it is "
        "one mask that moves; and what that means.",
    )
    look.set_defaults(run=_look)
    look.add_argument("mask", metavar="MASK", help="mask file (.mat, .npz, .npy), or measurements that hold one")
    look.add_argument("--ratio", type=int, help="only the first so many planes")
    _sheet(look)


def _add_calibrate(actions: Commands) -> None:
    calibrate = actions.add_parser(
        "calibrate",
        help="set a mask right that is a little wrong",
        description="Find how far, in pixels and parts of them, the mask of a camera lies from where it is thought to, from "
        "snapshots of anything; from snapshots of an evenly white surface (--white) also gain and vignetting.",
    )
    calibrate.set_defaults(run=_calibrate)
    calibrate.add_argument("mask", metavar="MASK", help="mask file, as it is thought to be")
    calibrate.add_argument("snapshots", metavar="SNAPSHOTS", help=".mat file of measurements through the real mask")
    calibrate.add_argument("output", metavar="OUT", help="mask file to write, .mat, .npz or .npy")
    calibrate.add_argument("--white", action="store_true", help="the snapshots are of an evenly lit white surface")
    calibrate.add_argument("--level", type=float, default=1.0, help="with --white: brightness of the surface; default 1, white")
    calibrate.add_argument("--number", type=int, default=1, help="without --white: which snapshot to take; default 1")


def _sheet(parser: ArgumentParser) -> None:
    parser.add_argument("--sheet", metavar="PNG", help="also draw its planes, their sum, and a corner enlarged")


def _make(options: Namespace) -> None:
    from mindrestore.restore.masks import make_mask

    print(
        "\n".join(
            make_mask(
                options.output,
                options.kind,
                options.ratio,
                *options.size,
                density=options.density,
                seed=options.seed,
                sheet=options.sheet,
            )
        )
    )


def _look(options: Namespace) -> None:
    from mindrestore.restore.masks import look_at_mask

    print("\n".join(look_at_mask(options.mask, options.ratio, options.sheet)))


def _calibrate(options: Namespace) -> None:
    from mindrestore.restore.masks import calibrate_mask

    print(
        "\n".join(
            calibrate_mask(
                options.mask, options.snapshots, options.output, white=options.white, level=options.level, number=options.number
            )
        )
    )
