"""A task on a clip or on measurements: restored frames from any frame on, equal to those of a run from the first."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mindrestore.data.measurements import Measurements
from mindrestore.data.resize import imresize
from mindrestore.errors import UserError
from mindrestore.media.clips import Clip
from mindrestore.models import abilities_of
from mindrestore.restore.ensemble import SnapshotEnsemble
from mindrestore.restore.exported import ExportedSnapshot
from mindrestore.restore.networks import TaskNetwork
from mindrestore.restore.snapshots import Reconstructor
from mindrestore.restore.video import restore_video
from mindrestore.sensing.operator import SnapshotImaging
from mindrestore.tiling import tile_starts

Tell = Callable[[int, int], None] | None  # is called with tiles done and tiles in all
SAMPLED = 4  # frames a sample is restored from


class VideoRestorer:
    """Restores a ``mindrestore.media.clips.Clip``.

    Args:
        clip: what to restore.
        networks: list of ``mindrestore.restore.networks.TaskNetwork``: one, or an interpolating and an upscaling one.
        sigma: noise level of 0–255, for a network that takes one.
        ensemble: as of ``restore_video``.

    Attributes:
        count: frames of the result.
        height, width: of them.
        speed: how many times the clip's frame rate.

    Raises:
        UserError: no noise level and a network that takes one, or the other way round.
    """

    def __init__(self, clip: Clip, networks: list[TaskNetwork], sigma: float | None = None, ensemble: bool = False) -> None:
        self.clip, self._sigma, self._ensemble = clip, sigma, ensemble
        needs = [abilities_of(each.network) for each in networks]
        if needs[-1].takes_noise_level and sigma is None:
            raise UserError("--sigma is missing: say how noisy the clip is, such as --sigma 25 for visible noise (0 to 255).")
        if sigma is not None and not needs[-1].takes_noise_level:
            raise UserError(f"--sigma {sigma:g}: {networks[-1].origin} takes no noise level; leave it away.")
        self._interpolator = networks[0] if needs[0].interpolates else None
        self._restorer = None if needs[-1].interpolates else networks[-1]
        self.scale = needs[-1].scale
        self.speed = 2 if self._interpolator else 1
        self.count = self._restored_count(clip.count)
        self.height, self.width = self.scale * clip.height, self.scale * clip.width

    def restored(self, first: int = 0, tell: Tell = None) -> Iterator[np.ndarray]:
        """An iterator over the restored frames from number ``first`` on, (3, sH, sW), not clamped.

        ``tell(done, total)`` is called after every tile.
        """
        if self._restorer is None:
            return self._interpolated(self.clip.frames, self.clip.count, first, tell)
        start = self._start(first)
        frames = self._restore(self._input(start), self.count - start, tell)
        return itertools.islice(frames, first - start, None)

    def beside(self) -> Iterator[np.ndarray]:
        """An iterator over what is given, frame for frame with ``restored``: enlarged, or the frame before it repeated."""
        for number, frame in enumerate(self.clip.frames()):
            shown = imresize(frame, self.scale) if self.scale > 1 else frame
            yield shown
            if self.speed == 2 and number < self.clip.count - 1:
                yield shown

    def sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Restore one frame from few: (what is given, restored frame ``number``), roughly as the run will make it."""
        first = max(0, number // self.speed - 1)
        around = list(itertools.islice(self.clip.frames(first), SAMPLED))

        def opened(start: int) -> Iterator[np.ndarray]:
            return iter(around[start:])
        frames = opened(0)
        if self._interpolator:
            frames = self._interpolated(opened, len(around), 0)
        if self._restorer:
            frames = self._restore(frames, self._restored_count(len(around)))
        shown = around[number // self.speed - first]
        restored = next(itertools.islice(frames, number - self.speed * first, None))
        return (imresize(shown, self.scale) if self.scale > 1 else shown), restored

    def _restored_count(self, count: int) -> int:
        return 2 * count - 1 if self._interpolator else count

    def _start(self, first: int) -> int:
        """Where the first tile that covers frame ``first`` begins."""
        frames = self._restorer.tile[0]
        starts = tile_starts(self.count, frames, self._restorer.overlap[0])
        return next(start for start in starts if not frames or start + frames > first)

    def _input(self, first: int) -> Iterator[np.ndarray]:
        """What the restoring network is given, from frame ``first`` on."""
        if self._interpolator is None:
            return self.clip.frames(first)
        frames = self._interpolated(self.clip.frames, self.clip.count, first)
        return (np.clip(frame, 0, 1) for frame in frames)

    def _interpolated(self, opened: Callable[[int], Iterator[np.ndarray]], count: int, first: int,
                      tell: Tell = None) -> Iterator[np.ndarray]:
        """Twice the frames, from number ``first`` of them on; ``opened(n)`` gives the clip from frame ``n`` on."""
        start = max(0, first // 2 - 1)
        interpolator = self._interpolator
        frames = restore_video(interpolator.network, opened(start), interpolator.tile, interpolator.overlap,
                               total=count - start, progress=tell, ensemble=self._ensemble)
        return itertools.islice(frames, first - 2 * start, None)

    def _restore(self, frames: Iterator[np.ndarray], total: int, tell: Tell = None) -> Iterator[np.ndarray]:
        restorer = self._restorer
        return restore_video(restorer.network, frames, restorer.tile, restorer.overlap, sigma=self._sigma, total=total,
                             progress=tell, ensemble=self._ensemble)


class SnapshotRestorer:
    """Reconstructs ``mindrestore.data.measurements.Measurements``; used as ``mindrestore.restore.restorers.VideoRestorer``.

    Args:
        measurements: of one file.
        networks: list of one ``mindrestore.restore.networks.TaskNetwork``.
        ensemble: average over mirror images and the reversal in time.

    Raises:
        UserError: colour measurements and a network for grey ones, or the other way round.
    """

    speed = 1

    def __init__(self, measurements: Measurements, networks: list[TaskNetwork], ensemble: bool = False) -> None:
        self._measurements = measurements
        network = networks[0].network
        if measurements.colour is not None and measurements.colour != network.abilities.colour:
            kind, other = ("colour", "grey") if measurements.colour else ("grey", "colour")
            raise UserError(f"{measurements.path}: was measured in {kind} and {networks[0].origin} reconstructs {other}; give "
                            f"a network for {kind} with --checkpoint.")
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

    def beside(self) -> Iterator[np.ndarray]:
        """For every frame the measurement behind it, over the mask sum."""
        for number in range(self.count):
            yield self._shown(number // self._frames)

    def sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """(the measurement, restored frame ``number``)"""
        measured = number // self._frames
        return self._shown(measured), self._clip(measured)[..., number % self._frames, :, :]

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
