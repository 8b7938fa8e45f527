"""Evaluate networks that reconstruct from snapshots: score known scenes, or see what a real camera captured."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from mindspore import nn
from tqdm import tqdm

from mindrestore.checkpoints.native import RANDOM_MASK, Metadata
from mindrestore.config.snapshot import SnapshotConfig
from mindrestore.data.captures import load_capture
from mindrestore.data.folders import files_ending
from mindrestore.data.scenes import BENCHMARK
from mindrestore.errors import UserError
from mindrestore.evaluation.report import FrameRecord, write_report
from mindrestore.evaluation.results import ENSEMBLE, Row, environment, network_line, operations_line
from mindrestore.evaluation.snapshot_results import Reconstruct, Reconstruction, SceneResults, reconstruct_scene, score
from mindrestore.evaluation.snapshot_scenes import evaluation_mask, evaluation_scenes
from mindrestore.files import PathLike, check_writable, existing
from mindrestore.media import pictures
from mindrestore.media.player import Player
from mindrestore.media.trust import mean_residual, trust_pictures, write_trust
from mindrestore.metrics import psnr
from mindrestore.restore.ensemble import SnapshotEnsemble
from mindrestore.restore.snapshots import Reconstructor
from mindrestore.sensing.gap_tv import gap_tv
from mindrestore.sensing.operator import SnapshotImaging

TRUST_NAMES = {"network": "network", "gap_tv": "GAP-TV"}  # by method, in the heading of a map


def evaluate(
    config: SnapshotConfig, network: nn.Cell, metadata: Metadata, folder: PathLike, checkpoint: PathLike, report: bool = False
) -> SceneResults:
    """Score the configuration's scenes; write tables and pictures into ``folder``.

    Args:
        config: its model settings are those of ``network``.
        network: with trained weights.
        metadata: of its checkpoint.
        folder: of the results.
        checkpoint: its path, to print.
        report: write ``folder/report.html`` too.

    Raises:
        UserError: scenes or a mask that are absent or do not fit the network.
    """
    folder = Path(folder)
    check_writable(folder / "results.json")
    scenes = evaluation_scenes(config)
    reconstructor = Reconstructor(network)
    methods: dict[str, Reconstruct] = {"network": _as_asked(reconstructor, config)}
    if config.evaluation.gap_tv:
        methods["gap_tv"] = _gap_tv(config.evaluation.gap_tv_iterations, network.abilities.colour)
    plus = "+" if config.evaluation.ensemble else ""
    headings = {
        "network": f"{config.model.title}{plus} ({Path(checkpoint).stem})",
        "gap_tv": f"GAP-TV, {config.evaluation.gap_tv_iterations} iterations",
    }
    rows, masks, records = [], {}, []
    frames = config.evaluation.frames
    total = len(methods) * sum(scene.clip.shape[-3] // frames for scene in scenes.values() if scene)
    with tqdm(total=total, unit="clip", desc="reconstructing", file=sys.stderr, leave=False) as bar:
        for name, scene in scenes.items():
            if scene is None:
                rows.append(Row(name))
                continue
            if scene.colour != network.abilities.colour:
                raise UserError(
                    f"scene {name} is {'colour' if scene.colour else 'grey'} and the network is not; "
                    f"use a checkpoint for {'colour' if scene.colour else 'grey'}."
                )
            camera = evaluation_mask(config, *scene.clip.shape[-2:], frames, scene.mask)
            masks[camera.fingerprint] = camera
            _prepare(reconstructor, camera.mask, bar)
            by_method = {}
            for method, reconstruct in methods.items():
                measure = dict(config.measure.model_dump(), rng=config.mask.seed)
                by_method[method] = reconstruct_scene(scene, camera.mask, _advancing(bar, reconstruct), measure)
            rows.append(Row(name, {method: score(name, by_method[method]) for method in methods}))
            _write_comparison(
                folder / f"{name.lower()}.png", by_method, mask=camera.mask, row=rows[-1], title=config.model.title
            )
            write_trust(
                folder / f"{name.lower()}_trust.png",
                {
                    f"{TRUST_NAMES[method]} {number + 1}": reconstruction.residual
                    for method in methods
                    for number, reconstruction in enumerate(by_method[method])
                },
                columns=len(by_method["network"]),
            )
            if report:
                records.append(_record(name, {headings[method]: by_method[method] for method in methods}))
    circumstances = {
        "checkpoint": str(checkpoint),
        "network": network_line(network, metadata.kind),
        "multiply-adds": operations_line(network, metadata.kind, frames),
        "mask": "; ".join(f"{camera.origin} (fingerprint {key})" for key, camera in masks.items()),
        "mask trained with": metadata.mask or "unknown",
        **environment(),
    }
    if config.evaluation.ensemble:
        circumstances["ensemble"] = ENSEMBLE
    warning = mask_warning(metadata.mask, masks)
    if warning:
        circumstances["warning"] = warning
    benchmark = set(scenes) == set(BENCHMARK)
    title = (
        "Demonstration scenes: rendered from photographs that no training clip shows"
        if config.evaluation.kind == "demo"
        else "Six-scene benchmark"
        if benchmark
        else config.evaluation.path
    )
    results = SceneResults(title, {method: headings[method] for method in methods}, rows, circumstances, benchmark=benchmark)
    results.write(folder)
    if report:
        write_report(folder / "report.html", results, records, config.model_dump(mode="json"))
    return results


def reconstruct_captures(config: SnapshotConfig, network: nn.Cell, metadata: Metadata, folder: PathLike) -> list[str]:
    """Reconstruct a camera's measurements; write a strip of frames, a video and a trust map for each; return lines to
    print.

    Raises ``UserError`` where there are no captures of the configured number of frames, or no mask for them.
    """
    folder, settings = Path(folder), config.evaluation
    check_writable(folder / "results.json")
    if not settings.path or not config.mask.path:
        raise UserError(
            "captures need evaluation.path, a .mat file or a folder of them, and mask.path, the mask that the "
            "camera was calibrated to."
        )
    path = existing(settings.path, "capture file or folder")
    files = files_ending(path, ".mat") if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: holds no captures; expected .mat files with the key meas.")
    reconstruct, lines, masks = _as_asked(Reconstructor(network), config), [], {}
    for file in files:
        capture = load_capture(file)
        if "frames" in settings.model_fields_set and capture.frames != settings.frames:
            continue
        camera = evaluation_mask(config, *capture.measurements.shape[-2:], capture.frames)
        masks[camera.fingerprint] = camera
        for number, measurement in enumerate(capture.measurements):
            clip = reconstruct(measurement, camera.mask)
            name = capture.name if len(capture.measurements) == 1 else f"{capture.name}_{number + 1}"
            pictures.write_strip(folder / f"{name}.png", clip)
            pictures.write_video(folder / f"{name}.mp4", clip)
            residual = SnapshotImaging(camera.mask, network.abilities.colour).residual(clip, measurement)
            write_trust(folder / f"{name}_trust.png", {"network": residual})
            lines.append(
                f"{file.name}: {capture.frames} frames -> {folder / name}.png, .mp4, _trust.png; residual "
                f"{mean_residual(residual):.2f} of 255"
            )
    if not lines:
        raise UserError(
            f"{path}: holds no capture of {settings.frames} frames a measurement; leave evaluation.frames away to take all."
        )
    warning = mask_warning(metadata.mask, masks)
    return lines + ([f"warning: {warning}"] if warning else [])


def mask_warning(trained_with: str | None, masks: Iterable[str]) -> str | None:
    """Return a warning if the network was not trained with the masks that it is used with, otherwise ``None``.

    Masks are fingerprints; ``trained_with`` is ``RANDOM_MASK`` where the mask changed from clip to clip, None if unknown.
    """
    if trained_with == RANDOM_MASK or set(masks) == {trained_with}:
        return None
    fingerprints = ", ".join(masks)
    if trained_with is None:
        return (
            "the checkpoint does not say which mask it was trained with; with another than "
            f"{fingerprints} it reconstructs noise."
        )
    return (
        f"the network was trained with mask {trained_with} and measures through {fingerprints} here: expect a poor "
        "reconstruction unless it is fine-tuned on this mask (training.initial)."
    )


def _as_asked(reconstructor: Reconstructor, config: SnapshotConfig) -> Reconstruct:
    """Return what reconstructs a clip as the configuration asks: ``reconstructor``, or its mean over mirror images."""
    colour = reconstructor.network.abilities.colour
    return SnapshotEnsemble(reconstructor, colour) if config.evaluation.ensemble else reconstructor


def _prepare(reconstructor: Reconstructor, mask: np.ndarray, bar: tqdm) -> None:
    """Compile for the size of ``mask`` now, so that it is not timed as part of a reconstruction."""
    if reconstructor.prepare(*mask.shape):
        bar.clear()
        print(f"Compiled the network for {mask.shape[1]} x {mask.shape[2]}.", file=sys.stderr)


def _record(name: str, by_heading: Mapping[str, list[Reconstruction]]) -> FrameRecord:
    """Return the ``FrameRecord`` of a scene from its reconstructions by heading, the network's first."""
    judged, by_network = next(iter(by_heading.items()))
    frames = by_network[0].truth.shape[-3]
    record = FrameRecord(name, judged, middle=len(by_network) * frames // 2, player=Player())
    record.trust = trust_pictures(
        {f"measurement {number + 1}": reconstruction.residual for number, reconstruction in enumerate(by_network)}
    )
    axis = 0 if by_network[0].truth.ndim == 4 else None
    for number, reconstruction in enumerate(by_network):
        for index in range(frames):
            truth = reconstruction.truth[..., index, :, :]
            images = {
                heading: reconstructions[number].clip[..., index, :, :] for heading, reconstructions in by_heading.items()
            }
            scores = {heading: psnr(image, truth, channel_axis=axis) for heading, image in images.items()}
            record.add(images, truth, scores)
    return record


def _advancing(bar: tqdm, reconstruct: Reconstruct) -> Reconstruct:
    """Return ``reconstruct`` as a function that also moves the progress bar on."""

    def advancing(measurement: np.ndarray, mask: np.ndarray) -> np.ndarray:
        clip = reconstruct(measurement, mask)
        bar.update()
        return clip

    return advancing


def _gap_tv(iterations: int, colour: bool) -> Reconstruct:
    def reconstruct(measurement: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return gap_tv(measurement, mask, iterations, colour=colour)

    return reconstruct


def _write_comparison(
    path: Path, by_method: Mapping[str, list[Reconstruction]], *, mask: np.ndarray, row: Row, title: str
) -> None:
    first = {method: reconstructions[0] for method, reconstructions in by_method.items()}
    network = first["network"]
    total = mask.sum(0)
    columns = {"measurement / mask sum": network.measurement / np.where(total == 0, 1, total)}
    if "gap_tv" in first:
        columns[f"GAP-TV {row.scores['gap_tv'].psnr:.2f} dB"] = first["gap_tv"].clip
    columns[f"{title} {row.scores['network'].psnr:.2f} dB"] = network.clip
    columns["ground truth"] = network.truth
    pictures.write_comparison(path, columns)
