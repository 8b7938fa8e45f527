"""Trust maps: how far a reconstruction is from explaining its measurement, pixel by pixel, ``|y - sum M x|``.

Where a map is bright the clip contradicts what was measured. Where it is dark the clip may still be wrong, as many clips have
the same measurement; a map is evidence against a reconstruction, never for one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mindrestore.files import PathLike
from mindrestore.media.pictures import heat, write_sheet

WHITE = 255
BRIGHTEST = 99.5  # percentile of the values that is shown brightest, so that single pixels do not darken the rest


def mean_residual(residual: np.ndarray) -> float:
    """Return the mean of maps (..., H, W), given in units of one frame's white, for white = 255."""
    return float(WHITE * np.mean(residual, dtype=np.float64))


def trust_pictures(maps: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return maps (H, W) as pictures (3, H, W), 0–1, all on one scale; headings tell means and what is brightest,
    white being 255.
    """
    top = float(np.percentile(np.stack(list(maps.values())), BRIGHTEST))
    return {
        f"{name}: mean {mean_residual(image):.2f}, yellow {WHITE * top:.1f}": heat(image, top) for name, image in maps.items()
    }


def write_trust(path: PathLike, maps: Mapping[str, np.ndarray], columns: int = 4) -> None:
    """Write maps (H, W) by their names as a PNG sheet, ``columns`` a row."""
    write_sheet(path, trust_pictures(maps), columns)
