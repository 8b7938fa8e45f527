"""Sources of training clips for snapshot imaging; the rendered one is in ``rendered``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from mindrestore.data.augmentation import VIEWS
from mindrestore.data.folders import clips_folder, find_clips, gap_sentence, runs
from mindrestore.data.frames import read_clip
from mindrestore.data.rendered import RenderedClips
from mindrestore.data.scenes import load_scene, scene_paths
from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing


class ClipSource(Protocol):
    """What training draws clips from. Index and generator alone decide a clip."""

    notes: Sequence[str]
    """Sentences to print before training: what of the data is not used."""

    def __len__(self) -> int:
        """Clips of one pass."""

    def name(self, index: int) -> str:
        """Where clip ``index`` is from."""

    def clip(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """Clip ``index``, (T, H, W) grey or (3, T, H, W) colour, float32 0–1."""


class ClipSettings(Protocol):
    """What of a configuration decides the clips (``mindrestore.config.snapshot.Data``)."""

    kind: str
    path: str | None
    frames: int
    size: int
    view: str
    clips: int
    defocus: float
    photographs: Sequence[str]


def training_clips(settings: ClipSettings, colour: bool) -> ClipSource:
    """The source that settings ask for.

    Args:
        settings: ``kind`` is "rendered", "davis" or "scenes".
        colour: RGB clips instead of grey.

    Raises ``UserError`` as the source does.
    """
    size = (settings.frames, settings.size, settings.size)
    if settings.kind == "rendered":
        return RenderedClips(*size, settings.photographs, colour=colour, length=settings.clips, defocus=settings.defocus)
    if settings.kind == "davis":
        return DavisClips(settings.path, *size, colour=colour, view=settings.view)
    return SceneClips(scene_paths(settings.path), *size, colour=colour, view=settings.view)


def group_starts(count: int, frames: int) -> list[int]:
    """The first frames of all groups of ``frames`` frames in a clip of ``count``, as the toolbox that reproduces RevSCI counts:
    from every start, all groups that follow one another. Late groups are so counted more often than early ones.

    The last start is left out, as published, unless it is the only one. The 90 clips of DAVIS 2017 make 26,030 groups of 8.
    """
    last = count - frames
    return [first for start in range(max(last, 1)) for first in range(start, last + 1, frames)]


class DavisClips:
    """Consecutive frames from a tree of folders, one folder a clip (``mindrestore.data.folders.find_clips``).

    Args:
        folder: a folder of clips, or DAVIS as it is unpacked, of which ``JPEGImages/480p`` is taken; for
            another resolution give the folder of that name.
        frames, height, width: size of what ``clip`` returns; published: 8 x 256 x 256 grey.
        colour: RGB instead of grey.
        view: a name of ``mindrestore.data.augmentation.VIEWS``.

    ``len()`` counts groups of ``frames`` frames, see ``group_starts``. No group crosses a gap in the numbers of frames.

    Raises:
        UserError: no such folder, no clip in it with enough frames, or as for ``find_clips``.
    """

    def __init__(
        self,
        folder: PathLike,
        frames: int = 8,
        height: int = 256,
        width: int = 256,
        *,
        colour: bool = False,
        view: str = "scaled",
    ) -> None:
        self.frames, self.height, self.width, self.colour, self.view = frames, height, width, colour, VIEWS[view]
        folder = clips_folder(existing(folder, "folder of clips"))
        self._groups, self.notes = [], []
        for path, files in find_clips(folder).values():
            names = [file.stem for file in files]
            self._groups += [(path, run.start + first) for run in runs(names) for first in group_starts(len(run), frames)]
            self.notes += filter(None, [gap_sentence(path, names)])
        if not self._groups:
            raise UserError(f"{folder}: no clip of {frames} frames in it; expected folders with as many images.")

    def __len__(self) -> int:
        """Groups of one pass."""
        return len(self._groups)

    def name(self, index: int) -> str:
        """Folder and first frame of group ``index``."""
        folder, first = self._groups[index]
        return f"{folder} from frame {first}"

    def clip(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """A random view ``(T, height, width)`` or ``(3, T, height, width)`` of group ``index``."""
        folder, first = self._groups[index]
        clip = read_clip(folder, self.colour, first, self.frames)
        return self.view(clip, self.height, self.width, rng, name=str(folder))


class SceneClips:
    """Consecutive frames from scenes held in memory, at random places and times: to fine-tune on one's own material.

    Args:
        paths: scene files, folders of frames or videos, whatever ``load_scene`` takes.
        frames, height, width: size of what ``clip`` returns.
        colour: RGB instead of grey; a ``.mat`` must agree.
        view: as for ``DavisClips``.

    ``len()`` counts groups of ``frames`` frames that do not overlap.

    Raises:
        UserError: a scene that cannot be read, is too short, or is grey where colour was asked for, or the other way.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        frames: int = 8,
        height: int = 256,
        width: int = 256,
        *,
        colour: bool = False,
        view: str = "scaled",
    ) -> None:
        self.frames, self.height, self.width, self.view = frames, height, width, VIEWS[view]
        self.notes = ()
        scenes = [load_scene(path, colour=colour) for path in paths]
        for path, scene in zip(paths, scenes):
            if scene.colour != colour:
                raise UserError(
                    f"{path}: the scene is {'colour' if scene.colour else 'grey'}, expected "
                    f"{'colour' if colour else 'grey'} as the network is."
                )
        self._scenes = [scene for scene in scenes for _ in scene.snapshots(frames)]  # of every index

    def __len__(self) -> int:
        """Groups of one pass."""
        return len(self._scenes)

    def name(self, index: int) -> str:
        """The scene that ``index`` stands for."""
        return f"scene {self._scenes[index].name}"

    def clip(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """A random view ``(T, height, width)`` or ``(3, T, height, width)`` of the scene that ``index`` stands for."""
        scene = self._scenes[index]
        first = int(rng.integers(scene.clip.shape[-3] - self.frames + 1))
        frames = scene.clip[..., first : first + self.frames, :, :]
        return self.view(frames, self.height, self.width, rng, name=scene.name)
