"""What a report shows of a clip: the PSNR of every frame, and a few frames to look at, the worst among them."""
import math
from dataclasses import dataclass, field
from typing import Dict, List, Optional

import numpy as np

TRUTH = "ground truth"


@dataclass(eq=False)
class FrameRecord:
    """Collects the frames of one clip, one by one; holds three of them at most.

    Attributes:
        name: of the clip.
        judged: heading of the method whose worst frame is kept.
        curves: PSNR in dB of every frame by heading, empty without ground truth; infinite where frames are equal.
        shown: images (H, W) or (3, H, W) of 0–1 by heading, by number of the frame.
        worst: number of the frame that ``judged`` restored worst; None without ground truth.
    """

    name: str
    judged: str
    middle: Optional[int] = None
    curves: Dict[str, List[float]] = field(default_factory=dict)
    shown: Dict[int, Dict[str, np.ndarray]] = field(default_factory=dict)
    worst: Optional[int] = None
    count: int = 0

    def add(self, images, truth=None, scores=None):
        """Add the next frame: images by heading, what they should be, and their PSNR by heading."""
        number, self.count = self.count, self.count + 1
        if truth is not None:
            images = {**images, TRUTH: truth}
            for heading, value in scores.items():
                self.curves.setdefault(heading, []).append(value)
            judged = self.curves[self.judged]
            if self.worst is None or judged[number] < judged[self.worst]:
                self._drop(self.worst)
                self.worst = number
                self.shown[number] = images
        if number in (0, self.middle):
            self.shown[number] = images

    def lowest(self):
        """Return the PSNR of the worst frame, None without ground truth or where it is perfect."""
        value = math.inf if self.worst is None else self.curves[self.judged][self.worst]
        return value if math.isfinite(value) else None

    def _drop(self, number):
        if number not in (None, 0, self.middle):
            del self.shown[number]
