"""Sources of training clips: ``len()``, ``clip(index, rng)`` and ``name(index)``; the rendered one is in ``rendered``."""
from mindrestore.data.augmentation import VIEWS
from mindrestore.data.frames import clips_folder, frame_files, read_clip, visible
from mindrestore.data.rendered import RenderedClips
from mindrestore.data.scenes import load_scene, scene_paths
from mindrestore.errors import UserError
from mindrestore.files import existing


def training_clips(settings, colour):
    """The source that settings ask for.

    Args:
        settings: with ``kind`` ("rendered", "davis" or "scenes"), ``path``, ``frames``, ``size``, ``view`` and ``clips``
            (``mindrestore.config.snapshot.Data``).
        colour: RGB clips instead of grey.
    """
    size = (settings.frames, settings.size, settings.size)
    if settings.kind == "rendered":
        return RenderedClips(*size, colour=colour, length=settings.clips)
    if settings.kind == "davis":
        return DavisClips(settings.path, *size, colour, settings.view)
    return SceneClips(scene_paths(settings.path), *size, colour, settings.view)


def group_starts(count, frames):
    """The first frames of all groups of ``frames`` frames that a clip of ``count`` makes: from every start, whatever follows in
    whole groups, as the toolbox that reproduces RevSCI counts. A late group so comes more often than an early one.

    The last start is left out, as published, unless there is no other. The 90 clips of DAVIS 2017 make 26,030 groups of 8.
    """
    last = count - frames
    return [first for start in range(max(last, 1)) for first in range(start, last + 1, frames)]


class DavisClips:
    """Consecutive frames from a tree of folders, one folder a clip.

    Args:
        folder: a folder of folders of frames, or DAVIS as it is unpacked, of which ``JPEGImages/480p`` is taken; for
            another resolution give the folder of that name.
        frames, height, width: size of what ``clip`` returns; published: 8 x 256 x 256 grey.
        colour: RGB instead of grey.
        view: a name of ``mindrestore.data.augmentation.VIEWS``.

    ``len()`` counts groups of ``frames`` frames, see ``group_starts``.

    Raises:
        UserError: no such folder, a folder in it without images, or none with enough of them.
    """

    def __init__(self, folder, frames=8, height=256, width=256, colour=False, view="scaled"):
        self.frames, self.height, self.width, self.colour, self.view = frames, height, width, colour, VIEWS[view]
        folder = clips_folder(existing(folder, "folder of clips"))
        clips = [path for path in visible(folder) if path.is_dir()]
        self._groups = [(path, first) for path in clips for first in group_starts(len(frame_files(path)), frames)]
        if not self._groups:
            raise UserError(f"{folder}: no clip of {frames} frames in it; expected folders with as many images.")

    def __len__(self):
        return len(self._groups)

    def name(self, index):
        folder, first = self._groups[index]
        return f"{folder} from frame {first}"

    def clip(self, index, rng):
        """A random view ``(T, height, width)`` or ``(3, T, height, width)`` of group ``index``."""
        folder, first = self._groups[index]
        clip = read_clip(folder, self.colour, first, self.frames)
        return self.view(clip, self.height, self.width, rng, str(folder))


class SceneClips:
    """Consecutive frames from scenes held in memory, at random places and times: to fine-tune on one's own material.

    Args:
        paths: scene files, folders of frames or videos, whatever ``load_scene`` takes.
        frames, height, width: size of what ``clip`` returns.
        colour: RGB instead of grey; a ``.mat`` must agree.
        view: as for ``DavisClips``.

    ``len()`` counts pieces of ``frames`` frames that do not overlap.

    Raises:
        UserError: a scene that cannot be read, is too short, or is grey where colour was asked for, or the other way.
    """

    def __init__(self, paths, frames=8, height=256, width=256, colour=False, view="scaled"):
        self.frames, self.height, self.width, self.view = frames, height, width, VIEWS[view]
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
        return self.view(frames, self.height, self.width, rng, scene.name)
