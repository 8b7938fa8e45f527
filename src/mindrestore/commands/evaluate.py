"""``mindrestore eval``, ``eval.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindrestore.commands.shared import Commands, command, common, loaded_for, of_whole_network, overrides_of, start
from mindrestore.errors import UserError

if TYPE_CHECKING:
    from mindrestore.config.snapshot import SnapshotConfig
    from mindrestore.config.video import VideoConfig


def add(commands: Commands) -> None:
    """Add the command to argparse's ``commands``."""
    evaluate = command(
        commands,
        "eval",
        _run,
        summary="restore clips, or reconstruct scenes from coded snapshots; score them",
        details="Without options: the demonstration scenes with the checkpoint that ships with mindrestore.",
    )
    evaluate.add_argument("--config", help="configuration file, or the name of one that ships, such as small_sr")
    evaluate.add_argument(
        "--checkpoint",
        help="weights: ours (.ckpt) or published (.pth, .npz, .safetensors, or a "
        "word such as 006, see `mindrestore weights list`)",
    )
    evaluate.add_argument(
        "--report",
        action="store_true",
        help="also write report.html: table, curves, clips playing and frames to compare in one page that needs nothing else",
    )
    evaluate.add_argument(
        "--ensemble",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="average over each tile's "
        "mirror images and its reversal in time, which the field writes as +: eight times the time",
    )
    video = evaluate.add_argument_group("videos (VRT)")
    video.add_argument("--gt", metavar="PATH", help="ground truth: frames, a video, or a folder of such clips")
    video.add_argument("--lq", metavar="PATH", help="low quality; made from ground truth if not given")
    video.add_argument("--sigma", type=float, help="noise level of denoising, for white = 255")
    video.add_argument("--save-frames", action=argparse.BooleanOptionalAction, default=None, help="write what is restored")
    snapshots = evaluate.add_argument_group("snapshots (RevSCI)")
    snapshots.add_argument(
        "--scenes",
        metavar="PATH",
        help="folder of benchmark scenes as .mat files: the six-scene table; "
        "or one .mat file, such as `mindrestore simulate` writes",
    )
    snapshots.add_argument("--captures", metavar="PATH", help="a camera's measurements: pictures and videos, no scores")
    snapshots.add_argument("--mask", help="mask file, or 'stored' for the mask in each scene's file")
    snapshots.add_argument("--gap-tv", action=argparse.BooleanOptionalAction, default=None, help="score GAP-TV beside it")
    common(evaluate)


def settings_of(options: argparse.Namespace) -> list[str]:
    """Return the overrides ``key=value`` that the options of this command stand for."""
    overrides = []
    for kind in ("scenes", "captures"):
        if getattr(options, kind):
            overrides += [f"evaluation.kind={kind}", f"evaluation.path={getattr(options, kind)}"]
    for key, value in (("mask.path", options.mask), ("evaluation.gt", options.gt), ("evaluation.lq", options.lq)):
        if value:
            overrides.append(f"{key}={value}")
    for key, value in (("gap_tv", options.gap_tv), ("save_frames", options.save_frames), ("ensemble", options.ensemble)):
        if value is not None:
            overrides.append(f"evaluation.{key}={str(value).lower()}")
    return overrides + ([] if options.sigma is None else [f"evaluation.sigma={options.sigma}"])


def _run(options: argparse.Namespace) -> None:
    from mindrestore.config import load_config, make_config
    from mindrestore.locks import held

    overrides = overrides_of(options) + settings_of(options)
    if options.config:
        config = of_whole_network(load_config(options.config, overrides))
    elif options.gt or options.lq:
        raise UserError(
            "--gt and --lq need a configuration that says how to restore: give --config, such as configs/vrt/small_sr.yaml."
        )
    else:
        config = make_config({"name": "eval", "evaluation": {"gap_tv": True}}, overrides, "command line")
    folder = config.output or f"results/{config.name}"
    with held(folder, Path(folder, ".lock")):
        EVALUATIONS[config.problem](config, options, folder)
    print(f"\nPictures and tables are in {folder}.")
    if options.report:
        print(f"Report: {Path(folder, 'report.html')}")


def _eval_videos(config: VideoConfig, options: argparse.Namespace, folder: str) -> None:
    start(config)
    from mindrestore.checkpoints.loading import load_for_settings
    from mindrestore.evaluation.video import UNTRAINED, evaluate_videos, video_cases

    cases = video_cases(config)
    parts = [(config.model, options.checkpoint or config.checkpoint)]
    if config.interpolation:
        parts.insert(0, (config.interpolation.model, config.interpolation.checkpoint))
    loaded = [load_for_settings(settings, checkpoint, config.name) for settings, checkpoint in parts]
    if not all(part.trained for part in loaded):
        print(f"mindrestore: weights: {UNTRAINED}.", file=sys.stderr)
    print(evaluate_videos(config, loaded, folder, cases, report=options.report).table())


def _eval_snapshots(config: SnapshotConfig, options: argparse.Namespace, folder: str) -> None:
    captures = config.evaluation.kind == "captures"
    if options.report and captures:
        raise UserError(
            "--report: a camera's captures have no ground truth to report on; leave it away, pictures and videos are written."
        )
    if options.config and not (options.checkpoint or config.checkpoint):
        raise UserError(f"configuration {config.name}: no weights; give --checkpoint, such as runs/{config.name}/best.ckpt.")
    start(config)
    from mindrestore.evaluation.snapshots import evaluate, reconstruct_captures
    from mindrestore.models import kind_of

    loaded = loaded_for(config, options)
    if kind_of(loaded.metadata.kind).problem != config.problem:
        raise UserError(
            f"{loaded.origin}: holds a {loaded.metadata.kind} network, which restores videos; give --config, which "
            "says of what."
        )
    if captures:
        print("\n".join(reconstruct_captures(config, loaded.network, loaded.metadata, folder)))
    else:
        print(
            evaluate(
                config, loaded.network, loaded.metadata, folder=folder, checkpoint=loaded.origin, report=options.report
            ).table()
        )


EVALUATIONS: dict[str, Callable[[Any, argparse.Namespace, str], None]] = {"video": _eval_videos, "snapshot": _eval_snapshots}
"""By the problem of a configuration."""
