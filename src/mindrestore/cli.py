"""The command line: ``mindrestore train | eval | restore | simulate | export | convert | plot | doctor``; ``train.py``,
``eval.py`` and ``export.py`` are the same.
"""
import argparse
import sys

from mindrestore.commands import doctor, plot, restore, simulate
from mindrestore.errors import UserError
from mindrestore.exit_status import status_of
from mindrestore.version import __version__


def main(arguments=None):
    """Run one command; return its exit status: 0, 2 after a user's mistake, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    return status_of(options.run, options)


def _parser():
    parser = argparse.ArgumentParser(prog="mindrestore", description="Video restoration on MindSpore.")
    parser.add_argument("--version", action="version", version=f"mindrestore {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    train = _command(commands, "train", _train, "train a network as a configuration says")
    train.add_argument("--config", required=True, help="configuration file, such as configs/revsci/small_cpu.yaml")
    train.add_argument("--resume", action="store_true", help="go on with the run in the output folder, exactly")
    _common(train)

    evaluate = _command(commands, "eval", _eval, "restore clips, or reconstruct scenes from coded snapshots; score them",
                        "Without options: the demonstration scenes with the checkpoint that ships with mindrestore.")
    evaluate.add_argument("--config", help="configuration file, such as configs/vrt/small_sr.yaml")
    evaluate.add_argument("--checkpoint", help="weights: ours (.ckpt) or published (.pth, .npz, .safetensors)")
    evaluate.add_argument("--report", action="store_true", help="also write report.html: table, curves and frames to compare "
                          "in one page that needs nothing else")
    video = evaluate.add_argument_group("videos (VRT)")
    video.add_argument("--gt", metavar="PATH", help="ground truth: frames, a video, or a folder of such clips")
    video.add_argument("--lq", metavar="PATH", help="low quality; made from ground truth if not given")
    video.add_argument("--sigma", type=float, help="noise level of denoising, for white = 255")
    video.add_argument("--save-frames", action=argparse.BooleanOptionalAction, default=None,
                       help="write what is restored")
    snapshots = evaluate.add_argument_group("snapshots (RevSCI)")
    snapshots.add_argument("--scenes", metavar="PATH", help="folder of benchmark scenes as .mat files: the six-scene table; "
                           "or one .mat file, such as `mindrestore simulate` writes")
    snapshots.add_argument("--captures", metavar="PATH", help="a camera's measurements: pictures and videos, no scores")
    snapshots.add_argument("--mask", help="mask file, or 'stored' for the mask in each scene's file")
    snapshots.add_argument("--gap-tv", action=argparse.BooleanOptionalAction, default=None,
                           help="score GAP-TV beside it")
    _common(evaluate)

    restore.add(commands)
    simulate.add(commands)

    export = _command(commands, "export", _export, "write a trained network as MINDIR, RevSCI also as ONNX, on Ascend AIR",
                      "A JSON file beside it says inputs, outputs, shapes, ranges, tile and window. Run a .mindir with "
                      "`mindrestore restore --model`. From MindSpore's documents, not tried here: `converter_lite --fmk=MINDIR "
                      "--modelFile=NET.mindir --outputFile=NET` makes a MindSpore Lite model, `atc --framework=1 "
                      "--model=NET.air --output=NET --soc_version=Ascend910A` an offline model of an AIR file.")
    export.add_argument("--config", help="configuration file, where the checkpoint is a published one")
    export.add_argument("--checkpoint", help="weights; the shipped ones by default")
    export.add_argument("--format", default="mindir", choices=("mindir", "air", "onnx"), help="default: mindir")
    export.add_argument("--height", type=int, help="fixed height in pixels; without it and --width RevSCI's is free, "
                        "VRT's the one trained on")
    export.add_argument("--width", type=int, help="fixed width in pixels")
    export.add_argument("--frames", type=int, help="frames a measurement or clip; default 8, VRT's those trained on")
    _common(export)

    convert = _command(commands, "convert", _convert, "turn published weights into a mindrestore checkpoint")
    convert.add_argument("source", help=".pth, .npz or .safetensors")
    convert.add_argument("target", help=".ckpt")

    plot.add(commands)
    doctor.add(commands)
    return parser


def _command(commands, name, run, summary, details=""):
    command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {details}")
    command.set_defaults(run=run)
    return command


def _common(command):
    command.add_argument("--device", choices=("auto", "cpu", "gpu", "ascend"), help="default: auto")
    command.add_argument("--output", help="folder, or for export the file, of the results")
    command.add_argument("overrides", nargs="*", metavar="key=value", help="settings, such as training.steps=100")


def _train(options):
    from mindrestore.config import load_config
    config = load_config(options.config, _overrides(options))
    _start(config)
    from mindrestore.runtime import cluster
    from mindrestore.training.trainer import train
    folder = train(config, options.resume)
    if cluster.is_main():
        print(f"Trained: {folder / 'best.ckpt'} and {folder / 'last.ckpt'}; the log is {folder / 'log.jsonl'}.")
    cluster.leave()


def _eval(options):
    from mindrestore.config import VideoConfig, load_config, make_config
    overrides = _overrides(options) + _evaluation_overrides(options)
    if options.config:
        config = _of_whole_network(load_config(options.config, overrides))
    elif options.gt or options.lq:
        raise UserError("--gt and --lq need a configuration that says how to restore: give --config, such as "
                        "configs/vrt/small_sr.yaml.")
    else:
        config = make_config({"name": "eval", "evaluation": {"gap_tv": True}}, overrides, "command line")
    if options.report and not isinstance(config, VideoConfig) and config.evaluation.kind == "captures":
        raise UserError("--report: a camera's captures have no ground truth to report on; leave it away, pictures and videos "
                        "are written.")
    _start(config)
    folder = config.output or f"results/{config.name}"
    (_eval_videos if isinstance(config, VideoConfig) else _eval_snapshots)(config, options, folder)
    print(f"\nPictures and tables are in {folder}.")


def _eval_videos(config, options, folder):
    from mindrestore.evaluation.video import UNTRAINED, evaluate_videos, video_cases
    from mindrestore.inference.loading import load_video_network
    cases = video_cases(config)
    parts = [(config.model, options.checkpoint or config.checkpoint)]
    if config.interpolation:
        parts.insert(0, (config.interpolation.model, config.interpolation.checkpoint))
    loaded = [load_video_network(*part, config.name) for part in parts]
    if not all(one.trained for one in loaded):
        print(f"mindrestore: weights: {UNTRAINED}.", file=sys.stderr)
    print(evaluate_videos(config, loaded, folder, cases, options.report).table())


def _eval_snapshots(config, options, folder):
    from mindrestore.evaluation.snapshots import evaluate, reconstruct_captures
    from mindrestore.inference.loading import load_for_use
    network, metadata, checkpoint = load_for_use(config, options.checkpoint, bool(options.config))
    if config.evaluation.kind == "captures":
        print("\n".join(reconstruct_captures(config, network, metadata, folder)))
    else:
        print(evaluate(config, network, metadata, folder, checkpoint, options.report).table())


def _evaluation_overrides(options):
    overrides = []
    for kind in ("scenes", "captures"):
        if getattr(options, kind):
            overrides += [f"evaluation.kind={kind}", f"evaluation.path={_quoted(getattr(options, kind))}"]
    for key, value in (("mask.path", options.mask), ("evaluation.gt", options.gt), ("evaluation.lq", options.lq)):
        if value:
            overrides.append(f"{key}={_quoted(value)}")
    for key, value in (("gap_tv", options.gap_tv), ("save_frames", options.save_frames)):
        if value is not None:
            overrides.append(f"evaluation.{key}={str(value).lower()}")
    return overrides + ([] if options.sigma is None else [f"evaluation.sigma={options.sigma}"])


def _of_whole_network(config):
    """Return ``config``; ``UserError`` where it is of a part that is only trained by itself."""
    from mindrestore.config import FlowConfig
    if isinstance(config, FlowConfig):
        raise UserError(f"configuration {config.name}: SpyNet is trained by itself but used as a part of VRT; give the "
                        "configuration of a VRT, such as configs/vrt/small_sr.yaml.")
    return config


def _export(options):
    from mindrestore.config import VideoConfig, load_config, make_config
    target, options.output = options.output, None
    overrides = _overrides(options)
    config = _of_whole_network(load_config(options.config, overrides)) if options.config else make_config(
        {"name": "export"}, overrides, "command line")
    _start(config)
    from mindrestore.deploy.export import export_network
    from mindrestore.inference.loading import load_for_use, load_video_network
    if isinstance(config, VideoConfig):
        loaded = load_video_network(config.model, options.checkpoint or config.checkpoint, config.name)
        if not loaded.trained:
            raise UserError(f"configuration {config.name}: no weights to export; give --checkpoint.")
        network, metadata = loaded.network, loaded.metadata
    else:
        network, metadata, _ = load_for_use(config, options.checkpoint, bool(options.config))
    target = target or f"{metadata.kind}.{options.format}"
    summary = export_network(network, metadata, target, options.format, options.frames, options.height, options.width)
    print(f"Wrote {target}: inputs " + ", ".join(f"{port['name']} {port['shape']}" for port in summary["inputs"]) + ".")
    if summary["compared"]:
        difference = summary["compared"]["largest_difference"]
        print(f"Read back and compared with the network: they differ by {difference:.1e} at most.")
    else:
        print("Not read back and compared: nothing here runs this format.")


def _convert(options):
    from mindrestore.checkpoints.convert import convert
    print(convert(options.source, options.target))


def _overrides(options):
    overrides = list(options.overrides)
    if options.device:
        overrides.append(f"runtime.device={options.device}")
    if options.output:
        overrides.append(f"output={_quoted(options.output)}")
    return overrides


def _quoted(text):
    return "'" + text.replace("'", "''") + "'"


def _start(config):
    from mindrestore.runtime import session
    session.start(config.runtime.device, config.runtime.mode, config.runtime.threads)


if __name__ == "__main__":
    sys.exit(main())
