"""A task on a clip or on measurements: restored frames from any frame on, equal to those of a run from the first."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mindrestore.data.measurements import Measurements
from mindrestore.data.resize import imresize
from mindrestore.errors import UserError, some_of
from mindrestore.media.clips import Clip
from mindrestore.models import abilities_of
from mindrestore.models.kind import INTERPOLATED_FRAMES
from mindrestore.ops.reflection import reflected
from mindrestore.restore.cuts import find_cuts
from mindrestore.restore.ensemble import SnapshotEnsemble
from mindrestore.restore.exported import ExportedSnapshot
from mindrestore.restore.networks import TaskNetwork
from mindrestore.restore.noise import noise_level
from mindrestore.restore.progress import FrameBar
from mindrestore.restore.snapshots import Reconstructor
from mindrestore.restore.video import restore_clip, restore_video
from mindrestore.sensing.operator import SnapshotImaging
from mindrestore.tiling import axis_tiles, tile_starts

Tell = Callable[[float, float], None] | None  # is called with how much is done, and of how much
AUTO = "auto"  # a noise level that is estimated
JUDGED = 9  # frames that a noise level is estimated from
SAMPLED = 4  # frames a sample is restored from
SHOWN_CUTS = 12


class TimedTiles(NamedTuple):
    """The tiles that a network takes for a whole result, and the seconds of its first one and of each after it."""

    name: str
    count: int
    first: float
    again: float


class Scene(NamedTuple):
    """Frames of a clip that no cut parts."""

    start: int  # number in the clip of the first one
    count: int
    is_last: bool


class VideoRestorer:
    """Restores a ``mindrestore.media.clips.Clip``, each scene by itself: no frame is made from those behind a cut.

    Where frames are added, the one between two scenes is the last of the former again. A scene shorter than a tile is reflected
    up to it, so that the network is compiled for one size.

    Args:
        clip: what to restore.
        networks: list of ``mindrestore.restore.networks.TaskNetwork``: one, or an interpolating and an upscaling one.
        sigma: noise level of 0–255, for a network that takes one, or ``AUTO``: ``look`` estimates it.
        ensemble: as of ``restore_video``.

    Attributes:
        count: frames of the result.
        height, width: of them.
        speed: how many times the clip's frame rate.
        sigma: the noise level.
        cuts: numbers of the clip's frames that begin a scene, but for the first.

    Raises:
        UserError: no noise level and a network that takes one, or the other way round.
    """

    def __init__(
        self, clip: Clip, networks: list[TaskNetwork], sigma: float | str | None = None, ensemble: bool = False
    ) -> None:
        self.clip, self.sigma, self.networks, self._ensemble = clip, sigma, networks, ensemble
        needs = [abilities_of(each.network) for each in networks]
        if needs[-1].takes_noise_level and sigma is None:
            raise UserError(
                "--sigma is missing: say how noisy the clip is, such as --sigma 25 for visible noise (0 to 255), "
                "or --sigma auto."
            )
        if sigma is not None and not needs[-1].takes_noise_level:
            raise UserError(
                f"--sigma {sigma if sigma == AUTO else format(sigma, 'g')}: {networks[-1].origin} takes no noise "
                "level; leave it away."
            )
        self._interpolator = networks[0] if needs[0].interpolates else None
        self._restorer = None if needs[-1].interpolates else networks[-1]
        self.scale = needs[-1].scale
        self.speed = 2 if self._interpolator else 1
        self.count = 2 * clip.count - 1 if self._interpolator else clip.count
        self.height, self.width = self.scale * clip.height, self.scale * clip.width
        self.part_at(())

    def look(self, cuts: bool = True) -> list[str]:
        """Find what only the frames tell: the noise level, if it is to be estimated, and with ``cuts`` where scenes begin.

        Returns:
            Sentences about it.
        """
        said = []
        if self.sigma == AUTO:
            step = max(1, self.clip.count // JUDGED)
            judged = min(self.clip.count, JUDGED)
            frames = itertools.islice(self.clip.frames(), 0, step * judged, step)
            self.sigma = min(255.0, round(noise_level(frames), 1))
            said.append(f"Noise: sigma {self.sigma:g}, estimated from {judged} frame{'s' if judged > 1 else ''}.")
        if cuts and self.clip.count > 1:
            with FrameBar("looking for cuts", self.clip.count, state="seen") as bar:
                self.part_at(find_cuts(bar.over(self.clip.frames())))
        if self.cuts:
            numbers = some_of((cut + 1 for cut in self.cuts), SHOWN_CUTS)
            said.append(
                f"Cuts: {len(self.cuts)} found, before frame{'s' if len(self.cuts) > 1 else ''} {numbers}; scenes are "
                "restored apart (--cuts off mixes them)."
            )
        return said

    def part_at(self, cuts: Sequence[int]) -> None:
        """Take the frames with these numbers, ascending, for the first of a scene."""
        self.cuts = list(cuts)
        bounds = [0, *self.cuts, self.clip.count]
        self._scenes = [Scene(start, stop - start, stop == self.clip.count) for start, stop in zip(bounds, bounds[1:])]

    def restored(self, first: int = 0, tell: Tell = None) -> Iterator[np.ndarray]:
        """An iterator over the restored frames from number ``first`` on, (3, sH, sW), not clamped.

        ``tell(done, total)`` is called after every tile, with frames, not all of them whole.
        """
        number, first = self._place(first)
        scenes = self._scenes[number:]
        total, told = sum(map(self._made, scenes)) - first, 0
        frames = self.clip.frames(scenes[0].start + self._beginnings(scenes[0], first)[0])
        for scene in scenes:
            made = self._made(scene) - first
            given = itertools.islice(frames, scene.count - self._beginnings(scene, first)[0])
            yield from self._of_scene(scene, given, first, _told(tell, told, made, total))
            first, told = 0, told + made

    def beside(self, first: int = 0) -> Iterator[np.ndarray]:
        """An iterator over what is given, frame for frame with ``restored``: enlarged, or the frame before it repeated."""

        def shown() -> Iterator[np.ndarray]:
            for number, frame in enumerate(self.clip.frames(first // self.speed), first // self.speed):
                enlarged = imresize(frame, self.scale) if self.scale > 1 else frame
                yield enlarged
                if self.speed == 2 and number < self.clip.count - 1:
                    yield enlarged

        return itertools.islice(shown(), first % self.speed, None)

    def sample(self, number: int, tell: Tell = None) -> tuple[np.ndarray, np.ndarray]:
        """Restore one frame from few: (what is given, restored frame ``number``), roughly as the run will make it."""
        place, number = self._place(number)
        scene = self._scenes[place]
        number = min(number, self.speed * (scene.count - 1))
        first = max(0, number // self.speed - 1)
        part = Scene(0, min(SAMPLED, scene.count - first), True)
        around = list(itertools.islice(self.clip.frames(scene.start + first), part.count))
        frames = self._of_scene(part, iter(around), 0, tell, least=SAMPLED)
        shown = around[number // self.speed - first]
        restored = next(itertools.islice(frames, number - self.speed * first, None))
        return (imresize(shown, self.scale) if self.scale > 1 else shown), restored

    @property
    def depth(self) -> int:
        """Frames of the result that are held until they are whole."""
        depth = self._restorer.tile[0] if self._restorer else 1
        longest = max(map(self._made, self._scenes))
        return min(depth, longest) if depth else longest

    def time_tiles(self) -> list[TimedTiles]:
        """Restore one tile by each network twice, the first time with compiling."""
        timed = []
        for each in self.networks:
            needs, tile = abilities_of(each.network), self._first_tile(each)
            options = {"between_only": True} if needs.interpolates else {}
            if needs.takes_noise_level:
                options["sigma"] = self.sigma
            run = functools.partial(restore_clip, each.network, tile, tile=(each.tile[0], 0, 0), overlap=(0, 0, 0), **options)
            frames, _, height, width = tile.shape
            name = f"of {frames} x {height} x {width} by {each.origin.stem}"
            timed.append(TimedTiles(name, self._tile_count(each), seconds_of(run), seconds_of(run)))
        return timed

    def _tile_count(self, each: TaskNetwork) -> int:
        """How many tiles a network is given for the whole result."""
        needs = abilities_of(each.network)
        if needs.interpolates:
            runs = sum(scene.count - 1 for scene in self._scenes)
        else:
            runs = sum(len(tile_starts(self._made(scene), each.tile[0], each.overlap[0])) for scene in self._scenes)
        rows, columns = (
            len(axis_tiles(*axis).tiles)
            for axis in zip((self.clip.height, self.clip.width), each.tile[1:], each.overlap[1:], needs.window[1:])
        )
        return runs * rows * columns

    def _first_tile(self, each: TaskNetwork) -> np.ndarray:
        """The first frames of the clip as a network is given them, (D, 3, h, w)."""
        depth, *size = each.tile
        longest = max(map(self._made, self._scenes))
        if abilities_of(each.network).interpolates:
            depth = INTERPOLATED_FRAMES
        elif not depth or depth > longest and not self.cuts:  # one scene is not reflected
            depth = longest
        frames = list(itertools.islice(self.clip.frames(), depth))
        height, width = (least or whole for least, whole in zip(size, frames[0].shape[1:]))
        return np.stack([frames[place][:, :height, :width] for place in reflected(len(frames), depth)])

    def _made(self, scene: Scene) -> int:
        """Frames that are made of a scene."""
        return self.speed * scene.count - (1 if self.speed == 2 and scene.is_last else 0)

    def _place(self, number: int) -> tuple[int, int]:
        """Return (which scene, which of the frames made of it) frame ``number`` of the result is."""
        for place, scene in enumerate(self._scenes):
            if number < self._made(scene) or scene.is_last:
                return place, number
            number -= self._made(scene)
        raise AssertionError("a clip has a last scene")

    def _beginnings(self, scene: Scene, first: int) -> tuple[int, int]:
        """Where work begins for frame ``first`` of those made of a scene: (the scene's frame that is read first, the first one
        that the restoring network is given).
        """
        begin = first
        if self._restorer is not None:
            depth = self._restorer.tile[0]
            starts = tile_starts(self._made(scene), depth, self._restorer.overlap[0])
            begin = next(start for start in starts if not depth or start + depth > first)
        return (max(0, begin // 2 - 1) if self._interpolator else begin), begin

    def _of_scene(
        self, scene: Scene, frames: Iterator[np.ndarray], first: int, tell: Tell = None, least: int | None = None
    ) -> Iterator[np.ndarray]:
        """What is made of a scene, from number ``first`` on; ``frames`` begin as ``_beginnings`` says."""
        read, begin = self._beginnings(scene, first)
        if self._interpolator:
            frames = self._interpolated(frames, scene.count - read, None if self._restorer else tell)
            frames = itertools.islice(frames if scene.is_last else _held(frames), begin - 2 * read, None)
        if self._restorer is None:
            return frames
        if self._interpolator:
            frames = (np.clip(frame, 0, 1) for frame in frames)
        count = self._made(scene) - begin
        restored = self._restore(frames, count, tell, least)
        return itertools.islice(restored, first - begin, count)

    def _interpolated(self, frames: Iterator[np.ndarray], count: int, tell: Tell) -> Iterator[np.ndarray]:
        interpolator = self._interpolator
        return restore_video(
            interpolator.network,
            frames,
            interpolator.tile,
            interpolator.overlap,
            total=count,
            progress=tell,
            ensemble=self._ensemble,
        )

    def _restore(self, frames: Iterator[np.ndarray], count: int, tell: Tell, least: int | None) -> Iterator[np.ndarray]:
        restorer, depth = self._restorer, self._restorer.tile[0]
        full = min(depth, least or depth)
        if self.cuts and count < full:
            frames = list(frames)
            frames, count = iter([frames[place] for place in reflected(count, full)]), full
        return restore_video(
            restorer.network,
            frames,
            restorer.tile,
            restorer.overlap,
            sigma=self.sigma,
            total=count,
            progress=tell,
            ensemble=self._ensemble,
        )


def seconds_of(run: Callable[[], object]) -> float:
    """Call a function; return how long it took."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def _held(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames, the last one twice."""
    frame = None
    for frame in frames:
        yield frame
    yield frame


def _told(tell: Tell, before: int, made: int, total: int) -> Tell:
    """A ``Tell`` of tiles that says frames instead: ``made`` of them are made by all tiles, behind ``before`` others."""
    return tell and (lambda done, of: tell(before + made * done / of, total))


class SnapshotRestorer:
    """Reconstructs ``mindrestore.data.measurements.Measurements``; used as ``mindrestore.restore.restorers.VideoRestorer``.

    Args:
        measurements: of one file.
        networks: list of one ``mindrestore.restore.networks.TaskNetwork``.
        ensemble: average over mirror images and the reversal in time.

    Raises:
        UserError: colour measurements and a network for grey ones, or the other way round.
    """

    speed, sigma, cuts = 1, None, ()

    def __init__(self, measurements: Measurements, networks: list[TaskNetwork], ensemble: bool = False) -> None:
        self._measurements = measurements
        network = networks[0].network
        if measurements.colour is not None and measurements.colour != network.abilities.colour:
            kind, other = ("colour", "grey") if measurements.colour else ("grey", "colour")
            raise UserError(
                f"{measurements.path}: was measured in {kind} and {networks[0].origin} reconstructs {other}; give "
                f"a network for {kind} with --checkpoint."
            )
        self._reconstruct = network if isinstance(network, ExportedSnapshot) else Reconstructor(network)
        if ensemble:
            self._reconstruct = SnapshotEnsemble(self._reconstruct, network.abilities.colour)
        self._frames, self.height, self.width = measurements.mask.shape
        self.count = len(measurements.measurements) * self._frames
        total = measurements.mask.sum(0)
        self._light = np.where(total == 0, 1, total)

    def restored(self, first: int = 0, tell: Tell = None) -> Iterator[np.ndarray]:
        """An iterator over the frames from number ``first`` on, (H, W) or (3, H, W); ``tell`` as of videos."""
        start = first // self._frames
        for number in range(start, len(self._measurements.measurements)):
            clip = self._clip(number)
            if tell:
                tell(number - start + 1, len(self._measurements.measurements) - start)
            for index in range(first - start * self._frames if number == start else 0, self._frames):
                yield clip[..., index, :, :]

    def look(self, cuts: bool = True) -> list[str]:
        """Nothing is to be found in measurements before they are reconstructed."""
        return []

    @property
    def depth(self) -> int:
        """Frames of the result that are held until they are whole."""
        return self._frames

    def time_tiles(self) -> list[TimedTiles]:
        """Reconstruct the first measurement twice."""
        run, name = functools.partial(self._clip, 0), f"measurements of {self._frames} x {self.height} x {self.width}"
        return [TimedTiles(name, len(self._measurements.measurements), seconds_of(run), seconds_of(run))]

    def beside(self, first: int = 0) -> Iterator[np.ndarray]:
        """For every frame from number ``first`` on the measurement behind it, over the mask sum."""
        for number in range(first, self.count):
            yield self._shown(number // self._frames)

    def sample(self, number: int, tell: Tell = None) -> tuple[np.ndarray, np.ndarray]:
        """(the measurement, restored frame ``number``)"""
        measured = number // self._frames
        clip = self._clip(measured)
        if tell:
            tell(1, 1)
        return self._shown(measured), clip[..., number % self._frames, :, :]

    def unexplained(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """An iterator over what stored images of all frames leave of each measurement, |y - sum M x|, (H, W) in units of one
        frame's white.
        """
        images = iter(images)
        for measurement in self._measurements.measurements:
            clip = np.stack(list(itertools.islice(images, self._frames))) / np.float32(255)  # (T, H, W) or BGR (T, H, W, 3)
            colour = clip.ndim == 4
            frames = np.moveaxis(clip[..., ::-1], -1, 0) if colour else clip
            yield SnapshotImaging(self._measurements.mask, colour).residual(frames, measurement)

    def _clip(self, number: int) -> np.ndarray:
        return self._reconstruct(self._measurements.measurements[number], self._measurements.mask)

    def _shown(self, number: int) -> np.ndarray:
        return self._measurements.measurements[number] / self._light
