"""Cutting one axis into overlapping tiles, and weighing what several tiles say of one place.

Pure arithmetic. All tiles of an axis have one size, so that a network meets one shape and compiles once. Two blends:

``published``  the rule of VRT's evaluation code: in space each border between two tiles drops ``overlap`` output
               pixels, half on either side, not multiplied by the scale, and what is still covered twice is averaged; in
               time nothing is dropped and all that overlaps is averaged
``feathered``  every inner border fades out over the whole overlap, by a raised cosine: no seam
"""
from typing import NamedTuple, Tuple

import numpy as np

from mindrestore.errors import UserError

BLENDS = ("published", "feathered")


class Tile(NamedTuple):
    """One tile of an axis: where it reads, where its result goes and how much it counts there."""

    start: int  # first input position
    stop: int  # one after the last, at most the padded extent
    first: int  # first output position
    weights: np.ndarray  # (outputs,) float32; over all tiles of an axis they sum to 1 everywhere

    @property
    def outputs(self):
        return slice(self.first, self.first + len(self.weights))


class Axis(NamedTuple):
    """A whole axis: how far it is padded at its end, by flipping, and its tiles."""

    padding: int
    tiles: Tuple[Tile, ...]


def axis_tiles(extent, tile, overlap, window=1, scale=1, blend="published"):
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
    raw = [border_weights(tile * scale, start > 0, start < starts[-1], overlap, scale, blend) for start in starts]
    total = np.zeros(extent * scale)
    for start, weights in zip(starts, raw):
        total[start * scale:(start + tile) * scale] += weights
    return Axis(0, tuple(
        Tile(start, start + tile, start * scale,
             (weights / total[start * scale:(start + tile) * scale]).astype(np.float32))
        for start, weights in zip(starts, raw)))


def tile_starts(extent, tile, overlap):
    """Where tiles begin: every ``tile - overlap`` positions, the last one at the end of the axis."""
    if not 0 < tile < extent:
        return [0]
    return [*range(0, extent - tile, tile - overlap), extent - tile]


def border_weights(size, before, after, overlap, scale=1, blend="published"):
    """Weights of a spatial tile before they are normalised.

    Args:
        size: output positions of the tile.
        before, after: whether another tile lies on that side.
        overlap, scale, blend: as for ``axis_tiles``.

    Returns:
        (size,) float64.
    """
    weights = np.ones(size)
    if blend == "feathered":
        return weights * fade(size, before, after, overlap * scale)
    if before:
        weights[:overlap // 2] = 0
    if after:
        weights[size - (overlap + 1) // 2:] = 0
    return weights


def fade(size, before, after, length):
    """Weights (size,) that rise over ``length`` positions where something lies before, and fall where after."""
    slope = np.sin(np.pi / 2 * (np.arange(min(length, size)) + 0.5) / max(length, 1)) ** 2
    weights = np.ones(size)
    if before:
        weights[:len(slope)] *= slope
    if after:
        weights[size - len(slope):] *= slope[::-1]
    return weights


def sequences(frames, tile, overlap):
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


def checked_tiling(tile, overlap, window, blend):
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


def _three(values, name):
    whole = [value for value in values if isinstance(value, (int, np.integer)) and not isinstance(value, bool)]
    if len(whole) != 3 or len(whole) != len(tuple(values)) or min(whole) < 0:
        raise UserError(f"{name} {values!r}: expected three whole numbers of 0 or more: frames, height, width.")
    return tuple(map(int, whole))
