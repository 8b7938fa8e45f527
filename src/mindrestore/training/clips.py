"""The source of training clips that a configuration asks for."""
from pathlib import Path

from mindrestore.data.providers import DavisClips, SceneClips
from mindrestore.data.rendered import RenderedClips
from mindrestore.errors import UserError
from mindrestore.files import existing


def training_clips(data, colour):
    """Return an object with ``len()`` and ``clip(index, rng)``.

    Args:
        data: ``mindrestore.config.Data``.
        colour: whether clips are RGB.
    """
    size = (data.frames, data.size, data.size, colour)
    if data.kind == "rendered":
        return RenderedClips(data.frames, data.size, data.size, colour=colour, length=data.clips)
    if data.kind == "davis":
        return DavisClips(data.path, *size)
    paths = sorted(path for path in Path(existing(data.path, "folder of scenes")).iterdir() if not path.name.startswith("."))
    if not paths:
        raise UserError(f"{data.path}: holds no scenes; expected .mat files, videos or folders of frames.")
    return SceneClips(paths, *size)
