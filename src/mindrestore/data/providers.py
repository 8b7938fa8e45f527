"""Sources of training clips: ``len()``, ``clip(index, rng)`` and ``name(index)``; the rendered one is in ``rendered``."""
from mindrestore.data.augmentation import random_view
from mindrestore.data.frames import frame_files, read_clip, visible
from mindrestore.data.rendered import RenderedClips
from mindrestore.data.scenes import load_scene, scene_paths
from mindrestore.errors import UserError
from mindrestore.files import existing


def training_clips(settings, colour):
    """The source that settings ask for.

    Args:
        settings: with ``kind`` ("rendered", "davis" or "scenes"), ``path``, ``frames``, ``size`` and ``clips``
            (``mindrestore.config.Data``).
        colour: RGB clips instead of grey.
    """
    size = (settings.frames, settings.size, settings.size)
    if settings.kind == "rendered":
        return RenderedClips(*size, colour=colour, length=settings.clips)
    if settings.kind == "davis":
        return DavisClips(settings.path, *size, colour=colour)
    return SceneClips(scene_paths(settings.path), *size, colour=colour)


class DavisClips:
    """Consecutive frames from a tree of folders, one folder a clip, with the published augmentation.

    Args:
        folder: a folder of folders of frames, or DAVIS as it is unpacked, of which ``JPEGImages/480p`` is taken; for
            another resolution give the folder of that name.
        frames, height, width: size of what ``clip`` returns; published: 8 x 256 x 256 grey.
        colour: RGB instead of grey.
        scales: smallest and largest factor by which frames are scaled before the window is cut out.

    ``len()`` counts pieces of ``frames`` frames that do not overlap.

    Raises:
        UserError: no such folder, a folder in it without images, or none with enough of them.
    """

    def __init__(self, folder, frames=8, height=256, width=256, colour=False, scales=(0.8, 1.2)):
        self.frames, self.height, self.width, self.colour, self.scales = frames, height, width, colour, scales
        folder = existing(folder, "folder of clips")
        if (folder / "JPEGImages").exists():
            folder = existing(folder / "JPEGImages" / "480p", "folder of clips")
        counts = {path: len(frame_files(path)) for path in visible(folder) if path.is_dir()}
        self._counts = counts
        self._pieces = [(path, start) for path in counts for start in range(0, counts[path] - frames + 1, frames)]
        if not self._pieces:
            raise UserError(f"{folder}: no clip of {frames} frames in it; expected folders with as many images.")

    def __len__(self):
        return len(self._pieces)

    def name(self, index):
        folder, start = self._pieces[index]
        return f"{folder} around frame {start}"

    def clip(self, index, rng):
        """A random view ``(T, height, width)`` or ``(3, T, height, width)`` of frames that start within piece
        ``index``.
        """
        folder, start = self._pieces[index]
        latest = min(start + self.frames - 1, self._counts[folder] - self.frames)
        clip = read_clip(folder, self.colour, int(rng.integers(start, latest + 1)), self.frames)
        return random_view(clip, self.height, self.width, rng, self.scales, name=str(folder))


class SceneClips:
    """Consecutive frames from scenes held in memory, at random places and times: to fine-tune on one's own material.

    Args:
        paths: scene files, folders of frames or videos, whatever ``load_scene`` takes.
        frames, height, width: size of what ``clip`` returns.
        colour: RGB instead of grey; a ``.mat`` must agree.
        scales: as for ``DavisClips``.

    ``len()`` counts pieces of ``frames`` frames that do not overlap.

    Raises:
        UserError: a scene that cannot be read, is too short, or is grey where colour was asked for, or the other way.
    """

    def __init__(self, paths, frames=8, height=256, width=256, colour=False, scales=(0.8, 1.2)):
        self.frames, self.height, self.width, self.scales = frames, height, width, scales
        scenes = [load_scene(path, colour=colour) for path in paths]
        for path, scene in zip(paths, scenes):
            if scene.colour != colour:
                raise UserError(f"{path}: the scene is {'colour' if scene.colour else 'grey'}, expected "
                                f"{'colour' if colour else 'grey'} as the network is.")
        self._scene_of_piece = [scene for scene in scenes for _ in scene.snapshots(frames)]

    def __len__(self):
        return len(self._scene_of_piece)

    def name(self, index):
        return f"scene {self._scene_of_piece[index].name}"

    def clip(self, index, rng):
        """A random view ``(T, height, width)`` or ``(3, T, height, width)`` of the scene that piece ``index``
        belongs to.
        """
        scene = self._scene_of_piece[index]
        first = int(rng.integers(scene.clip.shape[-3] - self.frames + 1))
        frames = scene.clip[..., first:first + self.frames, :, :]
        return random_view(frames, self.height, self.width, rng, self.scales, name=scene.name)
