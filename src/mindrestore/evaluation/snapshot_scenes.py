"""Which scenes a configuration scores, and through which mask."""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindrestore.data.demo import demo_scenes
from mindrestore.data.scenes import find_benchmark_scenes, load_scene, scene_paths
from mindrestore.errors import UserError
from mindrestore.sensing.masks import crop_mask, fingerprint, load_mask, random_mask

STORED = "stored"  # value of mask.path: the mask in each scene's own file


@dataclass(frozen=True, eq=False)
class ChosenMask:
    """A mask (T, H, W), where it came from, and the fingerprint of the whole mask it was cut from."""

    mask: np.ndarray
    origin: str
    fingerprint: str


def evaluation_scenes(config):
    """Return the scenes by name; a benchmark scene that is absent is ``None``. One file is one scene, whatever its name.

    Raises ``UserError`` if a file or folder of scenes is not there or holds none.
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
        raise UserError(f"{settings.path}: holds none of the benchmark scenes {', '.join(paths)}; "
                        "expected .mat files with these names.")
    return {name: load_scene(path, name, colour) if path else None for name, path in paths.items()}


def evaluation_mask(config, height, width, frames, stored=None):
    """Return the ``ChosenMask`` that frames of ``height`` x ``width`` are measured through.

    ``mask.path`` names a file, or ``stored`` for the mask in a scene's own file; without it the mask is random, by
    ``mask.density`` and ``mask.seed``.
    """
    settings = config.mask
    if settings.path == STORED:
        if stored is None or len(stored) != frames:
            planes = "none" if stored is None else f"one of {len(stored)} planes"
            raise UserError(f"mask.path: the mask stored with each scene was asked for, with {frames} planes; "
                            f"a scene has {planes}.")
        whole, origin = stored, "the one stored with the scene"
    elif settings.path:
        whole, origin = load_mask(settings.path, frames), str(settings.path)
    else:
        whole = random_mask(frames, height, width, settings.density, settings.seed)
        origin = f"random, density {settings.density:g}, seed {settings.seed}"
    return ChosenMask(crop_mask(whole, height, width), origin, fingerprint(whole))
