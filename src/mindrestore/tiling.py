"""Tiles: how axes are divided into them, how results that overlap are blended, and the default sizes.

Pure arithmetic, without MindSpore or files. All tiles of an axis have one size, so that a network is compiled once. Sizes are
(frames, height, width) of the input of a network; 0 stands for the whole axis.
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
    """The size of a tile, and the overlap of neighbouring tiles."""

    tile: Sizes
    overlap: Sizes


PUBLISHED = Tiling((12, 256, 256), (2, 20, 20))
"""The default of configurations and of ``mindrestore.restore.restore_video``."""
TASKS = {
    "sr": Tiling((8, 128, 128), (2, 16, 16)),
    "deblur": Tiling((8, 256, 320), (2, 16, 16)),
    "denoise": Tiling((8, 256, 320), (2, 16, 16)),
    "interpolate": Tiling((0, 192, 320), (0, 16, 16)),
    "sci": Tiling((0, 0, 0), (0, 0, 0)),
}
"""By task of ``mindrestore restore``: the largest tile for networks of few channels, which ``fitted_tile`` fits to a clip."""
FEW_CHANNELS = 32
LARGE = (6, 128, 128)  # the largest tile of a network of more channels: about 6 GB with a published one


class Measured(NamedTuple):
    """Memory that one kind of network was measured to need on a CPU, and the tiles to choose from, largest first."""

    fixed: float  # bytes, whatever the tile
    a_pixel: float  # bytes for each pixel of each frame of a tile
    tiles: tuple[Sizes, ...]


NETWORKS = {
    "small networks": Measured(
        0.65e9, 4.6e3, ((8, 256, 320), (8, 192, 320), (8, 128, 192), (8, 128, 128), (6, 128, 128), (4, 64, 64))
    ),
    "published networks": Measured(0.65e9, 50e3, ((12, 256, 256), (6, 192, 192), (6, 128, 128), (6, 64, 64))),
}
"""By kind of network. Small: fitted to denoising with flows, 8 frames of 64 x 64, 128 x 128 and 192 x 320 (2.9 GB). Published:
super-resolution, measured at 6 frames of 64 x 64 only; all memory beyond the fixed part of a small network counts as that of
pixels."""
SHARE = 0.7  # of free memory that may be used
LEAST = 64  # height and width to which networks pad smaller inputs


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
    """Return the overlap of a task: no more than a quarter of the tile, unless the tile is the whole axis."""
    return tuple(min(shared, size // 4) if size else shared for shared, size in zip(TASKS[task].overlap, tile))


def fitted_tile(largest: Sizes, size: tuple[int, int], overlap: Sizes, multiple: int = 8) -> Sizes:
    """Return the tile that covers a frame with the fewest pixels in all tiles, none of more pixels than ``largest``.

    Args:
        largest: a tile; the result has as many frames.
        size: height and width of the frames.
        overlap: that neighbours share at least.
        multiple: of the network's window, which height and width are multiples of.
    """

    def divided(extent: int, shared: int) -> Iterator[tuple[int, int]]:
        for count in range(1, max(1, extent // LEAST) + 1):
            yield count, math.ceil((extent + (count - 1) * shared) / count / multiple) * multiple

    possible = [
        (rows * height * columns * width, rows * columns, height, width)
        for rows, height in divided(size[0], overlap[1])
        for columns, width in divided(size[1], overlap[2])
        if height * width <= largest[1] * largest[2]
    ]
    return (largest[0], *min(possible)[2:]) if possible else tuple(largest)


# Blends


def dropped_border(size: int, before: bool, after: bool, overlap: int, scale: int = 1) -> np.ndarray:
    """Weights of a tile without ``overlap // 2`` output pixels at each border with another tile, so that each pair drops
    ``overlap`` together.
    """
    weights = np.ones(size)
    if before:
        weights[: overlap // 2] = 0
    if after:
        weights[size - (overlap + 1) // 2 :] = 0
    return weights


def faded_border(size: int, before: bool, after: bool, overlap: int, scale: int = 1) -> np.ndarray:
    """Weights of a tile that fades over the whole overlap, by a raised cosine, at each border with another."""
    length = overlap * scale
    slope = np.sin(np.pi / 2 * (np.arange(min(length, size)) + 0.5) / max(length, 1)) ** 2
    weights = np.ones(size)
    if before:
        weights[: len(slope)] *= slope
    if after:
        weights[size - len(slope) :] *= slope[::-1]
    return weights


def all_alike(size: int, before: bool, after: bool, overlap: int, scale: int = 1) -> np.ndarray:
    """Weights of 1 everywhere."""
    return np.ones(size)


class Blend(NamedTuple):
    """The weights of a tile along an axis of space, and along time, before they are normalised.

    Both are functions of (size of the tile in outputs, whether a tile lies before, whether one lies after, overlap in inputs,
    outputs for each input) that return (size,) float64.
    """

    space: Callable[..., np.ndarray]
    time: Callable[..., np.ndarray]


BLENDS = {"published": Blend(dropped_border, all_alike), "feathered": Blend(faded_border, faded_border)}
"""``published``: the rule of VRT's evaluation code: in space ``overlap`` pixels of the result, not multiplied by the scale, are
dropped at a border; the rest of the overlap is averaged, as is the whole overlap in time. ``feathered``: no seam, in space and
time."""


# Axes


class Tile(NamedTuple):
    """One tile of an axis: the inputs it reads, the outputs it writes and their weights."""

    start: int  # first input position
    stop: int  # one past the last, at most the padded extent
    first: int  # first output position
    weights: np.ndarray  # (outputs,) float32; over all tiles of an axis they sum to 1 everywhere

    @property
    def outputs(self) -> slice:
        return slice(self.first, self.first + len(self.weights))


class Axis(NamedTuple):
    """A whole axis: how many positions of reflection it is padded by at its end, and its tiles."""

    padding: int
    tiles: tuple[Tile, ...]


def axis_tiles(extent: int, tile: int, overlap: int, window: int = 1, scale: int = 1, blend: str = "published") -> Axis:
    """Divide a spatial axis.

    Args:
        extent: input positions, 1 or more.
        tile: input positions of a tile; 0, or ``extent`` or more: the whole axis.
        overlap: least overlap of neighbouring tiles in input positions, less than ``tile``.
        window: of the network's attention; a whole axis is padded to a multiple of it.
        scale: outputs for each input.
        blend: one of ``BLENDS``.

    Returns:
        ``Axis``.
    """
    if not 0 < tile < extent:
        return Axis(-extent % window, (Tile(0, extent + -extent % window, 0, np.ones(extent * scale, np.float32)),))
    starts = tile_starts(extent, tile, overlap)
    weigh = BLENDS[blend].space
    raw = [weigh(tile * scale, start > 0, start < starts[-1], overlap, scale=scale) for start in starts]
    total = np.zeros(extent * scale)
    for start, weights in zip(starts, raw):
        total[start * scale : (start + tile) * scale] += weights
    return Axis(
        0,
        tuple(
            Tile(
                start, start + tile, start * scale, (weights / total[start * scale : (start + tile) * scale]).astype(np.float32)
            )
            for start, weights in zip(starts, raw)
        ),
    )


def tile_starts(extent: int, tile: int, overlap: int) -> list[int]:
    """Return the first position of each tile: every ``tile - overlap`` positions, the last tile at the end of the axis."""
    if not 0 < tile < extent:
        return [0]
    return [*range(0, extent - tile, tile - overlap), extent - tile]


def sequences(frames: Iterable, tile: int, overlap: int) -> Iterator[tuple[int, list, bool]]:
    """Divide a stream of frames into tiles, with one tile of frames in memory.

    The tiles are those of ``tile_starts``, but the number of frames need not be known.

    Args:
        frames: an iterable.
        tile: frames a tile; 0 takes all frames at once.
        overlap: least overlap of neighbouring tiles, less than ``tile``.

    Yields:
        (index of the first frame, list of frames, whether it is the last tile). A clip shorter than a tile yields one of fewer
        frames, an empty one nothing.
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
            raise UserError(
                f"tile {list(tile)}: its {name} {size} must be a multiple of the network's window, "
                f"{multiple}, such as {max(1, round(size / multiple)) * multiple}, or 0 for all of it."
            )
    for name, size, shared in zip(("frames", "height", "width"), tile, overlap):
        if size and shared >= size:
            raise UserError(f"overlap {list(overlap)}: {shared} in {name} must be less than the tile's {size}.")
    if blend not in BLENDS:
        raise UserError(f"blend {blend!r}: unknown, choose one of {', '.join(BLENDS)}.")
    return tile, overlap


def _three(values: Sequence[int], name: str) -> Sizes:
    """Return three values as ints; raise ``UserError`` that calls them ``name`` if they are not whole numbers from 0."""
    numbers = [value for value in values if isinstance(value, (int, np.integer)) and not isinstance(value, bool)]
    if len(numbers) != 3 or len(numbers) != len(tuple(values)) or min(numbers) < 0:
        raise UserError(f"{name} {values!r}: expected three whole numbers of 0 or more: frames, height, width.")
    return tuple(map(int, numbers))
