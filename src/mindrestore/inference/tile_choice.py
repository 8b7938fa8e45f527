"""How large a tile free memory is enough for, and which tile of that size a frame is cut into with least done twice."""
import math
from typing import NamedTuple, Tuple


class Measured(NamedTuple):
    """What one kind of network was measured to take on a CPU, and the tiles to choose from, largest first."""

    fixed: float  # bytes, whatever the tile
    a_pixel: float  # bytes a pixel of each of the tile's frames
    tiles: Tuple[Tuple[int, int, int], ...]  # (frames, height, width)


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


def recommended_tile(free, network):
    """Return the largest tile (frames, height, width) that fits into ``free`` bytes; None if not even the smallest does.

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


def fitted_tile(most, size, overlap, multiple=8):
    """Return a tile (frames, height, width) of no more pixels than ``most`` for which least is computed to cover a frame.

    Args:
        most: a tile; the frames of it are kept.
        size: height and width of the frames.
        overlap: (frames, height, width) that neighbours share at least.
        multiple: of the network's window, which height and width are multiples of.
    """
    def divided(extent, shared):
        for count in range(1, max(1, extent // LEAST) + 1):
            yield count, math.ceil((extent + (count - 1) * shared) / count / multiple) * multiple

    possible = [(rows * height * columns * width, rows * columns, height, width)
                for rows, height in divided(size[0], overlap[1]) for columns, width in divided(size[1], overlap[2])
                if height * width <= most[1] * most[2]]
    return (most[0], *min(possible)[2:]) if possible else tuple(most)
