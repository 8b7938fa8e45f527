"""``mindrestore doctor``: what this machine and installation are, and whether what makes them fast is on."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from mindrestore.commands.shared import Commands


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    command = commands.add_parser(
        "doctor",
        help="say what this installation is and whether it runs as fast as it can",
        description="Print drivers, versions, device, processor, whether fast convolution and fusion are on, free memory and "
        "the tile it is enough for, and time a small convolution. A line that begins with ! says what to mend.",
    )
    command.set_defaults(run=_run)
    command.add_argument("--device", default="auto", choices=("auto", "cpu", "gpu", "ascend"), help="default: auto")


def _run(options: Namespace) -> None:
    for line in _report(options.device):
        print(line, flush=True)


def _report(choice: str) -> Iterator[str]:
    """Yield the lines of the report: drivers first, before MindSpore needs them."""
    from mindrestore.runtime import accelerators, session

    yield from accelerators.described()
    yield from _versions()
    device = session.start(choice)
    yield f"device        {device}"
    if device == "cpu":
        yield from _processor()
        yield _native()
    yield from _fusion()
    yield from _memory()
    yield _video()


def _versions() -> Iterator[str]:
    import platform

    import av
    import cv2
    import mindspore
    import numpy

    from mindrestore.version import __version__

    yield f"mindrestore   {__version__}"
    yield f"mindspore     {mindspore.__version__}"
    yield f"python        {platform.python_version()}, {platform.platform()}"
    yield f"libraries     numpy {numpy.__version__}, opencv {cv2.__version__}, av {av.__version__}"


def _processor() -> Iterator[str]:
    import os

    from mindrestore.runtime import environment, processor
    from mindrestore.runtime.convolution_probe import probe

    yield f"processor     {processor.described()}"
    cap = os.environ.get(environment.INSTRUCTIONS)
    yield f"instructions  {processor.instruction_set()}; convolutions keep to {cap} ({environment.INSTRUCTIONS})"
    measured = probe()
    if measured is None:
        yield "! convolution cannot be run in a process of its own; reinstall mindspore"
        return
    yield (
        f"convolution   {'fast' if measured.is_fast else 'slow'}: {1000 * measured.seconds:.1f} ms for a small one, "
        f"{measured.billions:.0f} GFLOP/s, kernel {measured.kernel or 'not said'}"
    )
    if not measured.is_fast:
        yield (
            f"! convolution takes the reference kernel, a hundred times slower; unset {environment.INSTRUCTIONS}, or set "
            f"it to {environment.FAST_INSTRUCTIONS}"
        )


def _native() -> str:
    from mindrestore import native

    used, why = native.described()
    if used or not native.wanted():
        return f"native        {'used' if used else 'not used'}: {why}"
    return f"! native operators cannot be had: {why}; VRT's attention takes five times as long; install g++"


def _fusion() -> Iterator[str]:
    from mindrestore.runtime import execution

    yield f"fusion        graph-kernel fusion is {'on' if execution.fuses() else 'off: mindrestore does not use it'}"


def _memory() -> Iterator[str]:
    from mindrestore.runtime import processor
    from mindrestore.tiling import NETWORKS, recommended_tile

    free = processor.free_memory()
    yield f"free memory   {free / 1e9:.1f} GB"
    for name in NETWORKS:
        tile = recommended_tile(free, name)
        if tile is None:
            yield f"! {name}: free memory is too little for any tile; close other programs"
        else:
            yield f"tile          {name}: --tile {' '.join(map(str, tile))}"


def _video() -> str:
    from mindrestore.media.video_writer import CODECS, has_encoder

    absent = [name for name, codec in CODECS.items() if not has_encoder(codec)]
    if absent:
        return f"! video cannot be written as {', '.join(absent)}: this build of PyAV has no encoder; install PyAV's own wheel"
    return f"video         is written as {', '.join(CODECS)}"
