"""Which scenes a configuration scores, and through which mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindrestore.config.snapshot import SnapshotConfig
from mindrestore.data.demo import demo_scenes
from mindrestore.data.scenes import Scene, find_benchmark_scenes, load_scene, scene_paths
from mindrestore.errors import UserError
from mindrestore.sensing.masks import crop_mask, fingerprint, load_mask, random_mask

STORED = "stored"  # value of mask.path: the mask in each scene's own file


@dataclass(frozen=True, eq=False)
class EvaluationMask:
    """A mask (T, H, W), where it came from, and the fingerprint of the mask that it was cropped from."""

    mask: np.ndarray
    origin: str
    fingerprint: str


def evaluation_scenes(config: SnapshotConfig) -> dict[str, Scene | None]:
    """Return the scenes by name, ``None`` for a benchmark scene that is absent.

    A path of a file is one scene, whatever its name. Raises ``UserError`` if a file or folder of scenes is not there or holds
    none.
    """
    settings, colour = config.evaluation, config.model.abilities.colour
    if settings.kind == "demo":
        return {scene.name: scene for scene in demo_scenes(colour)}
    if not settings.path:
        raise UserError("evaluation.path is missing: give the folder of the scenes to score.")
    if Path(settings.path).is_file():
        return {path.stem: load_scene(path, colour=colour) for path in scene_paths(settings.path)}
    paths = find_benchmark_scenes(settings.path)
    if not any(paths.values()):
        raise UserError(
            f"{settings.path}: holds none of the benchmark scenes {', '.join(paths)}; expected .mat files with these names."
        )
    return {name: load_scene(path, name, colour) if path else None for name, path in paths.items()}


def evaluation_mask(
    config: SnapshotConfig, height: int, width: int, frames: int, scene_mask: np.ndarray | None = None
) -> EvaluationMask:
    """Return the mask that ``frames`` frames of ``height`` x ``width`` are measured through.

    ``mask.path`` names a file, or is ``"stored"`` for ``scene_mask``, the mask in the scene's own file. Without a path the mask
    is random, by ``mask.density`` and ``mask.seed``. Raises ``UserError`` for a mask that is absent or does not fit.
    """
    settings = config.mask
    if settings.path == STORED:
        if scene_mask is None or len(scene_mask) != frames:
            planes = "none" if scene_mask is None else f"one of {len(scene_mask)} planes"
            raise UserError(
                f"mask.path: the mask stored with each scene was asked for, with {frames} planes; a scene has {planes}."
            )
        uncropped, origin = scene_mask, "the one stored with the scene"
    elif settings.path:
        uncropped, origin = load_mask(settings.path, frames), str(settings.path)
    else:
        uncropped = random_mask(frames, height, width, density=settings.density, rng=settings.seed)
        origin = f"random, density {settings.density:g}, seed {settings.seed}"
    return EvaluationMask(crop_mask(uncropped, height, width), origin, fingerprint(uncropped))
