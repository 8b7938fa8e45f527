"""Restore clips of any length and size with a network: tile by tile, frame after frame, in bounded memory.

    frames = restore_video(network, stream_frames("clip.mp4", colour=True), tile=(12, 256, 256))
    for frame in frames: ...                                    # (3, sH, sW), as soon as it is complete

Of the clip one tile of frames is held, in space everything. A clip shorter than the network needs, or a tile smaller
than it takes, is the network's own business: it pads and crops. Here only a whole axis (tile 0) is flip-padded to the
window, because that is part of the published tiling.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from mindrestore.errors import UserError
from mindrestore.models import abilities_of
from mindrestore.models.kind import INTERPOLATED_FRAMES, VideoAbilities
from mindrestore.restore.calls import on_arrays
from mindrestore.restore.ensemble import ClipEnsemble
from mindrestore.restore.progress import tile_bar
from mindrestore.sensing.values import all_finite, finite
from mindrestore.tiling import BLENDS, PUBLISHED, axis_tiles, checked_tiling, sequences, tile_starts

Progress = str | Callable[[int, int | None], None] | None
WHITE = 255  # sigma is given on the scale of 8-bit frames, as papers do


def restore_video(
    network: Callable,
    clip: Iterable[np.ndarray],
    tile: Sequence[int] = PUBLISHED.tile,
    overlap: Sequence[int] = PUBLISHED.overlap,
    blend: str = "published",
    sigma: float | None = None,
    total: int | None = None,
    progress: Progress = None,
    between_only: bool = False,
    ensemble: bool = False,
) -> Iterator[np.ndarray]:
    """Restore a clip.

    Args:
        network: of those that restore videos; any callable from Tensor (1, D, C, H, W) to Tensor (1, D, 3, sH, sW), for
            interpolation from (1, 4, C, H, W) to (1, 1, C, H, W), with ``abilities``
            (``mindrestore.models.kind.VideoAbilities``), or ``settings`` that say ``upscale``, ``window_size``, ``pa_frames``
            and ``nonblind_denoising`` (0 and false: it interpolates) as a VRT's do.
        clip: an array (D, 3, H, W), or any iterable of frames (3, H, W); float32 0–1. It is read as far as needed.
        tile: (frames, height, width) of what the network is given at a time, 0 for all there are. Height and width must
            be multiples of the window. Interpolation takes 4 frames whatever the tile says.
        overlap: (frames, height, width) that neighbouring tiles share.
        blend: ``"published"`` or ``"feathered"``, see ``mindrestore.tiling``.
        sigma: noise level of 0–255, needed by a network that denoises at a given level and by no other.
        total: frames of the clip, for the time left, where ``len(clip)`` does not tell.
        progress: a name shows a progress bar with that name on stderr; a function is called after every tile with the
            number of tiles done and of all there are, None if nobody knows.
        between_only: of interpolation, give only the frames in between that have two of the clip on either side, D - 3:
            those that published figures score.
        ensemble: average over every tile's mirror images and its reversal in time, which takes eight times as long
            (``mindrestore.restore.ensemble``).

    Returns:
        An iterator over frames (3, sH, sW), float32, as the network gives them: rounding to 8 bits clamps. As many as
        the clip has; interpolation gives one more between any two, 2 D - 1.

    Raises:
        UserError: at once for a tiling that cannot be, a sigma that is missing or not wanted; on the way for a clip
            without frames, a frame of another size, or a number that is not finite in a frame or in what becomes of it.
    """
    needs = abilities_of(network)
    network = on_arrays(network)
    network = ClipEnsemble(network) if ensemble else network
    tile, overlap = checked_tiling(tile, overlap, needs.window, blend)
    if needs.takes_noise_level and sigma is None:
        raise UserError("sigma is missing: this network denoises at a given noise level; give it, of 0 to 255.")
    if sigma is not None and not (needs.takes_noise_level and 0 <= sigma <= WHITE):
        raise UserError(
            f"sigma {sigma:g}: it must be 0 to 255."
            if needs.takes_noise_level
            else f"sigma {sigma:g}: this network does not take a noise level; leave it away."
        )
    total = len(clip) if total is None and hasattr(clip, "__len__") else total
    if needs.interpolates:
        runs = total and max(0, total - (INTERPOLATED_FRAMES - 1 if between_only else 1))
    else:
        runs = total and len(tile_starts(total, tile[0], overlap[0]))
    spatial = _Spatial(network, needs, tile=tile, overlap=overlap, blend=blend, sigma=sigma, runs=runs, progress=progress)
    if not needs.interpolates:
        return all_finite(_restore(spatial, _frames(clip)))
    return all_finite(_between(spatial, _frames(clip)) if between_only else _interpolate(spatial, _frames(clip)))


def restore_clip(network: Callable, clip: Iterable[np.ndarray], **options: Any) -> np.ndarray:
    """Restore a clip that fits in memory: ``restore_video`` as an array (D', 3, sH, sW), float32."""
    return np.stack(list(restore_video(network, clip, **options)))


def restore_space_time(
    interpolator: Callable,
    upscaler: Callable,
    clip: Iterable[np.ndarray],
    options: dict[str, Any] | None = None,
    upscaler_options: dict[str, Any] | None = None,
) -> Iterator[np.ndarray]:
    """Space-time super-resolution: interpolate, then upscale what there is then, each with its own tiling, streamed.

    Args:
        interpolator, upscaler: networks for ``restore_video``.
        clip: as there.
        options, upscaler_options: dicts of keyword arguments of ``restore_video`` for either.

    Returns:
        An iterator over 2 D - 1 frames (3, sH, sW).
    """
    options, total = dict(options or {}), len(clip) if hasattr(clip, "__len__") else None
    total = options.setdefault("total", total)
    between = (np.clip(frame, 0, 1) for frame in restore_video(interpolator, clip, **options))
    return restore_video(upscaler, between, **{"total": total and 2 * total - 1, **(upscaler_options or {})})


def _frames(clip: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames of a clip as float32 (C, H, W), all of one shape."""
    shape = None
    for index, frame in enumerate(clip):
        frame = np.asarray(frame, np.float32)
        shape = shape or frame.shape
        if frame.ndim != 3 or frame.shape != shape:
            raise UserError(
                f"frame {index} of the clip has shape {frame.shape}, expected "
                f"{shape if len(shape) == 3 else '(3, H, W)'} as all frames of a clip."
            )
        yield finite(frame, f"frame {index} of the clip", "colour")
    if shape is None:
        raise UserError("the clip has no frames: give at least one.")


def _restore(spatial: _Spatial, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames (C, H, W) -> restored frames, as soon as no further tile of frames changes them."""
    depth, shared = spatial.tile[0], spatial.overlap[0]
    sums, weights, first = [], [], 0  # of the frames from ``first`` on
    with contextlib.closing(spatial):
        for start, held, last in sequences(frames, depth, shared):
            while first < start:
                yield sums.pop(0) / weights.pop(0)
                first += 1
            tile = np.stack(held)
            if not depth:
                tile = _flipped(tile, 0, -len(held) % spatial.needs.window[0])
            counts = BLENDS[spatial.blend].time(len(held), start > 0, not last, shared).astype(np.float32)
            for index, (frame, weight) in enumerate(zip(spatial(tile), counts)):
                frame *= weight
                if index < len(sums):
                    sums[index] += frame
                    weights[index] += weight
                else:
                    sums.append(frame)
                    weights.append(weight)
        while sums:
            yield sums.pop(0) / weights.pop(0)


def _interpolate(spatial: _Spatial, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames (C, H, W) -> the same with one more between any two. Beyond its ends the clip stands still."""
    ahead, behind = itertools.tee(frames)
    for frame, between in itertools.zip_longest(behind, _between(spatial, _ends_repeated(ahead))):
        yield frame
        if between is not None:
            yield between


def _ends_repeated(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The first frame twice, those after it, the last one twice."""
    frame = next(frames)
    yield frame
    yield frame
    for frame in frames:
        yield frame
    yield frame


def _between(spatial: _Spatial, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames (C, H, W) -> the frame in the middle of every four that follow each other."""
    held = collections.deque(maxlen=INTERPOLATED_FRAMES)
    with contextlib.closing(spatial):
        for frame in frames:
            held.append(frame)
            if len(held) == INTERPOLATED_FRAMES:
                yield spatial(np.stack(held))[0]


class _Spatial:
    """Runs the network over the tiles of frames, all of one size, and shows how far it got.

    ``runs`` is how often it will be called, None if nobody knows.
    """

    def __init__(
        self,
        network: Callable,
        needs: VideoAbilities,
        *,
        tile: Sequence[int],
        overlap: Sequence[int],
        blend: str,
        sigma: float | None,
        runs: int | None,
        progress: Progress,
    ) -> None:
        self.network, self.needs, self.tile, self.overlap, self.blend = network, needs, tile, overlap, blend
        self.sigma, self.runs, self.progress = sigma, runs, progress
        self._axes = self._bar = None

    def __call__(self, frames: np.ndarray) -> list[np.ndarray]:
        """(D, C, H, W) -> list of D' frames (3, sH, sW) that are the caller's to keep."""
        if self._axes is None:
            self._plan(*frames.shape[2:])
        rows, columns = self._axes
        frames = self._as_taken(frames)
        restored = None
        for row in rows.tiles:
            for column in columns.tiles:
                tile = frames[None, :, :, row.start : row.stop, column.start : column.stop]
                restored_tile = self.network(tile)[0]  # (D', 3, sh, sw)
                weights = row.weights[:, None] * column.weights
                if restored is None:
                    restored = [np.zeros((restored_tile.shape[1], *self._size), np.float32) for _ in restored_tile]
                for frame, part in zip(restored, restored_tile):
                    frame[:, row.outputs, column.outputs] += weights * part[:, : len(row.weights), : len(column.weights)]
                if self._bar is not None:
                    self._bar.update()
        return restored

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _plan(self, height: int, width: int) -> None:
        scale = self.needs.scale
        self._axes = [
            axis_tiles(*settings, scale, self.blend)
            for settings in zip((height, width), self.tile[1:], self.overlap[1:], self.needs.window[1:])
        ]
        self._size = (height * scale, width * scale)
        if self.progress:
            tiles = self.runs and self.runs * len(self._axes[0].tiles) * len(self._axes[1].tiles)
            self._bar = tile_bar(self.progress, tiles)

    def _as_taken(self, frames: np.ndarray) -> np.ndarray:
        """Frames flip-padded where an axis is whole, with the noise level as a fourth channel where it is wanted."""
        for axis, plan in zip((2, 3), self._axes):
            frames = _flipped(frames, axis, plan.padding)
        if self.needs.takes_noise_level:
            level = np.full((len(frames), 1, *frames.shape[2:]), self.sigma / WHITE, np.float32)
            frames = np.concatenate((frames, level), 1)
        return frames


def _flipped(array: np.ndarray, axis: int, count: int) -> np.ndarray:
    """``array`` with ``count`` entries more at the end of an axis: its last ones, backwards."""
    if not count:
        return array
    return np.pad(array, [(0, count if index == axis else 0) for index in range(array.ndim)], mode="symmetric")
