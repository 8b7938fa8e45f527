"""Evaluate networks that reconstruct from snapshots: score known scenes, or see what a real camera captured."""
import sys
from pathlib import Path
from typing import List

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
from mindrestore.evaluation.results import Row, environment, network_line
from mindrestore.evaluation.snapshot_results import SceneResults, reconstruct_scene, score
from mindrestore.evaluation.snapshot_scenes import evaluation_mask, evaluation_scenes
from mindrestore.files import PathLike, existing
from mindrestore.media import pictures
from mindrestore.metrics import psnr
from mindrestore.restore.snapshots import Reconstructor
from mindrestore.sensing.gap_tv import gap_tv


def evaluate(config: SnapshotConfig, network: nn.Cell, metadata: Metadata, folder: PathLike, checkpoint: PathLike,
             report: bool = False) -> SceneResults:
    """Score the configuration's scenes; write tables and pictures into ``folder``.

    Args:
        config: ``mindrestore.config.SnapshotConfig``; its model settings are those of ``network``.
        network: with trained weights.
        metadata: ``mindrestore.checkpoints.native.Metadata``.
        folder: of the results.
        checkpoint: to print.
        report: write ``folder/report.html`` too.

    Returns:
        ``SceneResults``.
    """
    folder = Path(folder)
    scenes = evaluation_scenes(config)
    methods = {"network": Reconstructor(network)}
    if config.evaluation.gap_tv:
        methods["gap_tv"] = _gap_tv(config.evaluation.gap_tv_iterations, network.abilities.colour)
    headings = {"network": f"{config.model.title} ({Path(checkpoint).stem})",
                "gap_tv": f"GAP-TV, {config.evaluation.gap_tv_iterations} iterations"}
    rows, masks, records = [], {}, []
    frames = config.evaluation.frames
    total = len(methods) * sum(scene.clip.shape[-3] // frames for scene in scenes.values() if scene)
    with tqdm(total=total, unit="clip", desc="reconstructing", file=sys.stderr, leave=False) as bar:
        for name, scene in scenes.items():
            if scene is None:
                rows.append(Row(name))
                continue
            if scene.colour != network.abilities.colour:
                raise UserError(f"scene {name} is {'colour' if scene.colour else 'grey'} and the network is not; "
                                f"use a checkpoint for {'colour' if scene.colour else 'grey'}.")
            camera = evaluation_mask(config, *scene.clip.shape[-2:], frames, scene.mask)
            masks[camera.fingerprint] = camera
            _prepare(methods["network"], camera.mask, bar)
            by_method = {}
            for method, reconstruct in methods.items():
                measure = dict(config.measure.model_dump(), rng=config.mask.seed)
                by_method[method] = reconstruct_scene(scene, camera.mask, _counted(reconstruct, bar), measure)
            rows.append(Row(name, {method: score(name, by_method[method]) for method in methods}))
            _write_comparison(folder / f"{name.lower()}.png", by_method, camera.mask, rows[-1], config.model.title)
            if report:
                records.append(_record(name, {headings[method]: by_method[method] for method in methods}))
    made_with = {
        "checkpoint": str(checkpoint), "network": network_line(network, metadata.kind),
        "mask": "; ".join(f"{camera.origin} (fingerprint {key})" for key, camera in masks.items()),
        "mask trained with": metadata.mask or "unknown", **environment()}
    warning = mask_warning(metadata.mask, masks)
    if warning:
        made_with["warning"] = warning
    benchmark = set(scenes) == set(BENCHMARK)
    title = ("Demonstration scenes: rendered from photographs that no training clip shows"
             if config.evaluation.kind == "demo" else "Six-scene benchmark" if benchmark else config.evaluation.path)
    results = SceneResults(title, {method: headings[method] for method in methods}, rows, made_with,
                           benchmark=benchmark)
    results.write(folder)
    if report:
        write_report(folder / "report.html", results, records, config.model_dump(mode="json"))
    return results


def reconstruct_captures(config: SnapshotConfig, network: nn.Cell, metadata: Metadata, folder: PathLike) -> List[str]:
    """Reconstruct a camera's measurements; write a strip of frames and a video for each. Returns lines to print."""
    folder, settings = Path(folder), config.evaluation
    if not settings.path or not config.mask.path:
        raise UserError("captures need evaluation.path, a .mat file or a folder of them, and mask.path, the mask that the "
                        "camera was calibrated to.")
    path = existing(settings.path, "capture file or folder")
    files = files_ending(path, ".mat") if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path}: holds no captures; expected .mat files with the key meas.")
    reconstruct, lines, masks = Reconstructor(network), [], {}
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
            lines.append(f"{file.name}: {capture.frames} frames -> {folder / name}.png, .mp4")
    if not lines:
        raise UserError(f"{path}: holds no capture of {settings.frames} frames a measurement; "
                        "leave evaluation.frames away to take all.")
    warning = mask_warning(metadata.mask, masks)
    return lines + ([f"warning: {warning}"] if warning else [])


def mask_warning(trained_with, masks):
    """Return a sentence if the network was not trained with the masks used, otherwise ``None``."""
    if trained_with == RANDOM_MASK or set(masks) == {trained_with}:
        return None
    used = ", ".join(masks)
    if trained_with is None:
        return f"the checkpoint does not say which mask it was trained with; with another than {used} it reconstructs noise."
    return (f"the network was trained with mask {trained_with} and measures through {used} here: expect a poor "
            "reconstruction unless it is fine-tuned on this mask (training.initial).")


def _prepare(reconstruct, mask, bar):
    """Compile for this size ahead of the clock."""
    if reconstruct.prepare(*mask.shape):
        bar.clear()
        print(f"Compiled the network for {mask.shape[1]} x {mask.shape[2]}.", file=sys.stderr)


def _record(name, by_heading):
    """The ``FrameRecord`` of a scene's reconstructions, lists by heading, the network's first."""
    judged, first = next(iter(by_heading.items()))
    frames = first[0].truth.shape[-3]
    record = FrameRecord(name, judged, middle=len(first) * frames // 2)
    axis = 0 if first[0].truth.ndim == 4 else None
    for number in range(len(first)):
        for index in range(frames):
            truth = first[number].truth[..., index, :, :]
            images = {heading: each[number].clip[..., index, :, :] for heading, each in by_heading.items()}
            scores = {heading: psnr(image, truth, channel_axis=axis) for heading, image in images.items()}
            record.add(images, truth, scores)
    return record


def _counted(reconstruct, bar):
    def counted(measurement, mask):
        clip = reconstruct(measurement, mask)
        bar.update()
        return clip
    return counted


def _gap_tv(iterations, colour):
    def reconstruct(measurement, mask):
        return gap_tv(measurement, mask, iterations, colour=colour)
    return reconstruct


def _write_comparison(path, by_method, mask, row, title):
    first = {method: reconstructions[0] for method, reconstructions in by_method.items()}
    network = first["network"]
    total = mask.sum(0)
    columns = {"measurement / mask sum": network.measurement / np.where(total == 0, 1, total)}
    if "gap_tv" in first:
        columns[f"GAP-TV {row.scores['gap_tv'].psnr:.2f} dB"] = first["gap_tv"].clip
    columns[f"{title} {row.scores['network'].psnr:.2f} dB"] = network.clip
    columns["ground truth"] = network.truth
    pictures.write_comparison(path, columns)
