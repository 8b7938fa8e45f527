"""Tiles: how axes are cut into them, how what several say of one place is weighed, and how large they are by default.

Pure arithmetic, without MindSpore or files. All tiles of an axis have one size, so that a network meets one shape and compiles
once. Sizes are (frames, height, width) of what a network is given, 0 being all there are.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mindrestore.errors import UserError

Sizes = tuple[int, int, int]  # frames, height, width


# Defaults and memory


class Tiling(NamedTuple):
    """The size of a tile, and what neighbouring ones share."""

    tile: Sizes
    overlap: Sizes


PUBLISHED = Tiling((12, 256, 256), (2, 20, 20))
"""That of a configuration, and of ``mindrestore.restore.restore_video``, which says nothing else."""
TASKS = {
    "sr": Tiling((8, 128, 128), (2, 16, 16)),
    "deblur": Tiling((8, 256, 320), (2, 16, 16)),
    "denoise": Tiling((8, 256, 320), (2, 16, 16)),
    "interpolate": Tiling((0, 192, 320), (0, 16, 16)),
    "sci": Tiling((0, 0, 0), (0, 0, 0)),
}
"""By task of ``mindrestore restore``: the largest tile, which ``fitted_tile`` fits to a clip; for networks of few channels."""
FEW_CHANNELS = 32
LARGE = (6, 128, 128)  # the largest tile of a network of more channels: about 6 GB with a published one


class Measured(NamedTuple):
    """What one kind of network was measured to take on a CPU, and the tiles to choose from, largest first."""

    fixed: float  # bytes, whatever the tile
    a_pixel: float  # bytes a pixel of each of the tile's frames
    tiles: tuple[Sizes, ...]


NETWORKS = {
    "small networks": Measured(0.65e9, 4.6e3, ((8, 256, 320), (8, 192, 320), (8, 128, 192), (8, 128, 128), (6, 128, 128),
                                               (4, 64, 64))),
    "published networks": Measured(0.65e9, 50e3, ((12, 256, 256), (6, 192, 192), (6, 128, 128), (6, 64, 64))),
}
"""By kind of network. Small: denoising with flows, 8 frames of 64 x 64, 128 x 128 and 192 x 320 (2.9 GB). Published:
super-resolution, 6 frames of 64 x 64 alone, so all it took beyond what a small network takes anyway is counted to the
pixels."""
SHARE = 0.7  # of free memory; the rest is left to others
LEAST = 64  # height and width below which a network pads what it is given


def recommended_tile(free: int, network: str) -> Sizes | None:
    """Return the largest tile that fits into ``free`` bytes; None if not even the smallest does.

    Args:
        free: bytes.
        network: one of ``NETWORKS``.
    """
    measured = NETWORKS[network]
    for tile in measured.tiles:
        frames, height, width = tile
        if measured.fixed + measured.a_pixel * frames * height * width < SHARE * free:
            return tile
    return None


def default_tile(task: str, channels: int, overlap: Sizes, size: tuple[int, int], multiple: int) -> Sizes:
    """Return the tile of a task of ``mindrestore restore``.

    Args:
        task: one of ``TASKS``.
        channels: of the network's features.
        overlap: that neighbours share at least.
        size: height and width of the frames.
        multiple: of the network's window, which height and width are multiples of.
    """
    largest = TASKS[task].tile
    if channels > FEW_CHANNELS:
        largest = min(largest[0], LARGE[0]), *LARGE[1:]
    return fitted_tile(largest, size, overlap, multiple)


def default_overlap(task: str, tile: Sizes) -> Sizes:
    """Return the overlap of a task: no more than a quarter of the tile, where the tile is not all there is."""
    return tuple(min(shared, size // 4) if size else shared for shared, size in zip(TASKS[task].overlap, tile))


def fitted_tile(largest: Sizes, size: tuple[int, int], overlap: Sizes, multiple: int = 8) -> Sizes:
    """Return the tile of no more pixels than ``largest`` for which least is computed to cover a frame.

    Args:
        largest: a tile; the result has as many frames.
        size: height and width of the frames.
        overlap: that neighbours share at least.
        multiple: of the network's window, which height and width are multiples of.
    """
    def divided(extent: int, shared: int) -> Iterator[tuple[int, int]]:
        for count in range(1, max(1, extent // LEAST) + 1):
            yield count, math.ceil((extent + (count - 1) * shared) / count / multiple) * multiple

    possible = [(rows * height * columns * width, rows * columns, height, width)
                for rows, height in divided(size[0], overlap[1]) for columns, width in divided(size[1], overlap[2])
                if height * width <= largest[1] * largest[2]]
    return (largest[0], *min(possible)[2:]) if possible else tuple(largest)


# Blends


def dropped_border(size: int, before: bool, after: bool, overlap: int, scale: int = 1) -> np.ndarray:
    """Weights of a tile that drops ``overlap`` output pixels at each border with another, half on either side."""
    weights = np.ones(size)
    if before:
        weights[:overlap // 2] = 0
    if after:
        weights[size - (overlap + 1) // 2:] = 0
    return weights


def faded_border(size: int, before: bool, after: bool, overlap: int, scale: int = 1) -> np.ndarray:
    """Weights of a tile that fades over the whole overlap, by a raised cosine, at each border with another."""
    length = overlap * scale
    slope = np.sin(np.pi / 2 * (np.arange(min(length, size)) + 0.5) / max(length, 1)) ** 2
    weights = np.ones(size)
    if before:
        weights[:len(slope)] *= slope
    if after:
        weights[size - len(slope):] *= slope[::-1]
    return weights


def all_alike(size: int, before: bool, after: bool, overlap: int, scale: int = 1) -> np.ndarray:
    """Weights of a tile that counts as much at its borders as elsewhere."""
    return np.ones(size)


class Blend(NamedTuple):
    """A rule of what a tile counts, before weights are normalised: in space, and in time.

    Both are functions of (size of the tile in outputs, whether a tile lies before, whether one lies after, overlap in inputs,
    outputs an input) that return (size,) float64.
    """

    space: Callable
    time: Callable


BLENDS = {"published": Blend(dropped_border, all_alike), "feathered": Blend(faded_border, faded_border)}
"""``published``: the rule of VRT's evaluation code: in space a border drops ``overlap`` pixels of the result, not multiplied by
the scale; what is still covered twice is averaged, and in time all that overlaps. ``feathered``: no seam, in space and time."""


# Axes


class Tile(NamedTuple):
    """One tile of an axis: where it reads, where its result goes and how much it counts there."""

    start: int  # first input position
    stop: int  # one after the last, at most the padded extent
    first: int  # first output position
    weights: np.ndarray  # (outputs,) float32; over all tiles of an axis they sum to 1 everywhere

    @property
    def outputs(self) -> slice:
        return slice(self.first, self.first + len(self.weights))


class Axis(NamedTuple):
    """A whole axis: how far it is padded at its end, by flipping, and its tiles."""

    padding: int
    tiles: tuple[Tile, ...]


def axis_tiles(extent: int, tile: int, overlap: int, window: int = 1, scale: int = 1, blend: str = "published") -> Axis:
    """Divide a spatial axis.

    Args:
        extent: input positions, 1 or more.
        tile: of them in a tile; 0, or as many as there are or more, means the whole axis.
        overlap: input positions that neighbouring tiles share at least, less than ``tile``.
        window: of the network's attention; a whole axis is padded to a multiple of it.
        scale: outputs an input.
        blend: one of ``BLENDS``.

    Returns:
        ``Axis``.
    """
    if not 0 < tile < extent:
        return Axis(-extent % window, (Tile(0, extent + -extent % window, 0, np.ones(extent * scale, np.float32)),))
    starts = tile_starts(extent, tile, overlap)
    raw = [BLENDS[blend].space(tile * scale, start > 0, start < starts[-1], overlap, scale) for start in starts]
    total = np.zeros(extent * scale)
    for start, weights in zip(starts, raw):
        total[start * scale:(start + tile) * scale] += weights
    return Axis(0, tuple(
        Tile(start, start + tile, start * scale,
             (weights / total[start * scale:(start + tile) * scale]).astype(np.float32))
        for start, weights in zip(starts, raw)))


def tile_starts(extent: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin: every ``tile - overlap`` positions, the last one at the end of the axis."""
    if not 0 < tile < extent:
        return [0]
    return [*range(0, extent - tile, tile - overlap), extent - tile]


def sequences(frames: Iterable, tile: int, overlap: int) -> Iterator[tuple[int, list, bool]]:
    """Divide time: go through ``frames`` once, holding one tile of them.

    The same tiles as ``tile_starts`` gives, though nobody knows the number of frames yet.

    Args:
        frames: an iterable.
        tile: frames a tile; 0 takes all frames at once.
        overlap: frames that neighbours share at least, less than ``tile``.

    Yields:
        (index of the first frame, list of frames, whether it is the last tile). Only a clip shorter than a tile gives
        fewer frames, and an empty one gives nothing.
    """
    held, first, due = [], 0, 0
    for frame in frames:
        if tile and len(held) == tile:
            if first == due:
                yield first, list(held), False
                due += tile - overlap
            del held[0]
            first += 1
        held.append(frame)
    if held:
        yield first, held, True


def checked_tiling(tile: Sequence[int], overlap: Sequence[int], window: Sizes, blend: str) -> tuple[Sizes, Sizes]:
    """Return tile and overlap as tuples of three ints (frames, height, width).

    Raises:
        UserError: not three whole numbers, a tile that is not a multiple of the window in height or width, an overlap
            that is not less than its tile, or an unknown blend.
    """
    tile, overlap = _three(tile, "tile"), _three(overlap, "overlap")
    for name, size, multiple in zip(("height", "width"), tile[1:], window[1:]):
        if size % multiple:
            raise UserError(f"tile {list(tile)}: its {name} {size} must be a multiple of the network's window, "
                            f"{multiple}, such as {max(1, round(size / multiple)) * multiple}, or 0 for all of it.")
    for name, size, shared in zip(("frames", "height", "width"), tile, overlap):
        if size and shared >= size:
            raise UserError(f"overlap {list(overlap)}: {shared} in {name} must be less than the tile's {size}.")
    if blend not in BLENDS:
        raise UserError(f"blend {blend!r}: unknown, choose one of {', '.join(BLENDS)}.")
    return tile, overlap


def _three(values: Sequence[int], name: str) -> Sizes:
    whole = [value for value in values if isinstance(value, (int, np.integer)) and not isinstance(value, bool)]
    if len(whole) != 3 or len(whole) != len(tuple(values)) or min(whole) < 0:
        raise UserError(f"{name} {values!r}: expected three whole numbers of 0 or more: frames, height, width.")
    return tuple(map(int, whole))
