"""The photographs that rendered clips are made of: files inside the installed scikit-image, all free to use.

Nothing is downloaded. Training and held-out photographs are disjoint, so a score on held-out ones is a fair one. As
scikit-image's documentation has it: astronaut and hubble_deep_field (NASA), rocket (SpaceX), text: public domain;
brick, camera, chelsea, coffee, grass, gravel, retina: CC0; coins, ihc: no known copyright restrictions.
"""

import functools
from pathlib import Path

import cv2
import numpy as np
import skimage
import skimage.io

from mindrestore.errors import UserError

TRAIN_PHOTOGRAPHS = ("astronaut", "brick", "camera", "coffee", "grass", "hubble_deep_field", "ihc", "retina", "text")
HELD_OUT_PHOTOGRAPHS = ("chelsea", "coins", "gravel", "rocket")

_LONGEST_SIDE = 720  # larger photographs are reduced to it: beyond, they hold no detail and cost time


@functools.cache
def photograph(name: str) -> np.ndarray:
    """One photograph as RGB ``(H, W, 3)`` float32 in 0..1, at most 720 pixels a side; read once, read-only.

    Raises ``UserError`` for a name that is none of ours, or one that this scikit-image lacks.
    """
    known = TRAIN_PHOTOGRAPHS + HELD_OUT_PHOTOGRAPHS
    if name not in known:
        raise UserError(f"photograph '{name}' is unknown; expected one of {', '.join(known)}.")
    folder = Path(skimage.__file__).parent / "data"
    path = next((path for path in (folder / f"{name}.png", folder / f"{name}.jpg") if path.exists()), None)
    if path is None:
        raise UserError(f"{folder}: photograph '{name}' is missing; install scikit-image 0.22 or later from its wheel.")
    image = skimage.io.imread(path).astype(np.float32) / 255
    image = np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image[..., :3]
    reduction = _LONGEST_SIDE / max(image.shape)
    if reduction < 1:
        image = cv2.resize(image, None, fx=reduction, fy=reduction, interpolation=cv2.INTER_AREA)
    image.flags.writeable = False
    return image
