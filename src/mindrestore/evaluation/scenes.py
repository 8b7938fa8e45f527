"""Which scenes a configuration scores, and through which mask."""
from mindrestore.data.demo import demo_scenes
from mindrestore.data.scenes import find_benchmark_scenes, load_scene
from mindrestore.errors import UserError
from mindrestore.sensing.masks import crop_mask, load_mask, random_mask


def evaluation_scenes(config):
    """Return the scenes by name; a benchmark scene that is absent is ``None``.

    Raises ``UserError`` if a folder of scenes is not there or holds none.
    """
    settings = config.evaluation
    if settings.kind == "demo":
        return {scene.name: scene for scene in demo_scenes(config.model.colour)}
    if not settings.path:
        raise UserError("evaluation.path is missing: give the folder of the scenes to score.")
    paths = find_benchmark_scenes(settings.path)
    if not any(paths.values()):
        raise UserError(f"{settings.path}: holds none of the benchmark scenes {', '.join(paths)}; "
                        "expected .mat files with these names.")
    return {name: load_scene(path, name, config.model.colour) if path else None for name, path in paths.items()}


def evaluation_mask(config, scene):
    """Return the mask (T, H, W) that ``scene`` is measured through: from ``mask.path``, or random by ``mask.seed``."""
    height, width = scene.clip.shape[-2:]
    if config.mask.path:
        return crop_mask(load_mask(config.mask.path, config.evaluation.frames), height, width)
    return random_mask(config.evaluation.frames, height, width, config.mask.density, config.mask.seed)
