"""``mindrestore export``, ``export.py``."""

from __future__ import annotations

from argparse import Namespace

from mindrestore.commands.shared import Commands, command, common, loaded_for, of_whole_network, overrides_of, start
from mindrestore.errors import UserError


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    export = command(
        commands,
        "export",
        _run,
        summary="write a trained network as MINDIR or ONNX, on Ascend also as AIR",
        details="A JSON file beside it says inputs, outputs, shapes, ranges, tile and window. Run a .mindir "
        "or .onnx with `mindrestore restore --model`. From MindSpore's documents, not tried here: `converter_lite --fmk=MINDIR "
        "--modelFile=NET.mindir --outputFile=NET` makes a MindSpore Lite model, `atc --framework=1 "
        "--model=NET.air --output=NET --soc_version=Ascend910A` an offline model of an AIR file.",
    )
    export.add_argument("--config", help="configuration file, where the checkpoint is a published one")
    export.add_argument("--checkpoint", help="weights; the shipped ones by default")
    export.add_argument("--format", default="mindir", choices=("mindir", "air", "onnx"), help="default: mindir")
    export.add_argument(
        "--height", type=int, help="fixed height in pixels; without it and --width RevSCI's is free, VRT's the one trained on"
    )
    export.add_argument("--width", type=int, help="fixed width in pixels")
    export.add_argument("--frames", type=int, help="frames a measurement or clip; default 8, VRT's those trained on")
    common(export)


def _run(options: Namespace) -> None:
    from mindrestore.config import load_config, make_config

    target, options.output = options.output, None
    overrides = overrides_of(options)
    config = (
        of_whole_network(load_config(options.config, overrides))
        if options.config
        else make_config({"name": "export"}, overrides, "command line")
    )
    start(config)
    from mindrestore.deploy.export import export_network

    loaded = loaded_for(config, options)
    if not loaded.trained:
        raise UserError(f"configuration {config.name}: no weights to export; give --checkpoint.")
    network, metadata = loaded.network, loaded.metadata
    target = target or f"{metadata.kind}.{options.format}"
    summary = export_network(
        network, metadata, target, options.format, frames=options.frames, height=options.height, width=options.width
    )
    print(f"Wrote {target}: inputs " + ", ".join(f"{port['name']} {port['shape']}" for port in summary["inputs"]) + ".")
    if summary["compared"]:
        difference = summary["compared"]["largest_difference"]
        print(f"Read back and compared with the network: they differ by {difference:.1e} at most.")
    else:
        print("Not read back and compared: nothing here runs this format.")
