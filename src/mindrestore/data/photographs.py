"""The photographs that rendered clips are made of: files inside the installed scikit-image, all free to use.

Nothing is downloaded. Training and held-out photographs are disjoint, so a score on held-out ones is a fair one. As
scikit-image's documentation has it: astronaut and hubble_deep_field (NASA), rocket (SpaceX), text: public domain; brick, camera,
chelsea, coffee, grass, gravel, retina: CC0; coins, ihc: no known copyright restrictions.
"""
import functools
from pathlib import Path

import numpy as np
import skimage
import skimage.io

from mindrestore.errors import UserError

TRAIN_PHOTOGRAPHS = ("astronaut", "brick", "camera", "coffee", "grass", "hubble_deep_field", "ihc", "retina", "text")
HELD_OUT_PHOTOGRAPHS = ("chelsea", "coins", "gravel", "rocket")


@functools.lru_cache(maxsize=None)
def photograph(name):
    """One photograph as RGB ``(H, W, 3)`` float32 in 0..1, read once and read-only.

    Raises ``UserError`` for a name that is none of ours, or one that this scikit-image lacks.
    """
    if name not in TRAIN_PHOTOGRAPHS + HELD_OUT_PHOTOGRAPHS:
        raise UserError(f"photograph '{name}' is unknown; expected one of {', '.join(TRAIN_PHOTOGRAPHS + HELD_OUT_PHOTOGRAPHS)}.")
    folder = Path(skimage.__file__).parent / "data"
    for path in (folder / f"{name}.png", folder / f"{name}.jpg"):
        if path.exists():
            image = skimage.io.imread(path).astype(np.float32) / 255
            image = np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image[..., :3]
            image.flags.writeable = False
            return image
    raise UserError(f"{folder}: photograph '{name}' is missing; install a scikit-image of at least 0.22 from its wheel.")
