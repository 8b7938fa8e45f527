"""Input and output side by side: a picture of a few frames before the work, a clip after it."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from mindrestore.files import PathLike
from mindrestore.media.pictures import write_comparison
from mindrestore.media.pixels import in_8_bits, in_colour, to_image
from mindrestore.media.video_writer import VideoSettings
from mindrestore.media.writing import write_clip

if TYPE_CHECKING:
    from mindrestore.restore.restorers import SnapshotRestorer, VideoRestorer

MOMENTS = (0, 0.5, 1)  # of the clip, in a preview
GAP = 4  # white pixels between the two


def write_preview(path: PathLike, restorer: VideoRestorer | SnapshotRestorer) -> None:
    """Restore a frame at the beginning, in the middle and at the end of a clip; write them beside the input as PNG."""
    numbers = sorted({round(moment * (restorer.count - 1)) for moment in MOMENTS})
    pairs = [restorer.sample(number) for number in numbers]
    shown, restored = (np.stack([_three(frame) for frame in frames], 1) for frames in zip(*pairs))  # (3, shown, H, W)
    frames = ", ".join(str(number + 1) for number in numbers)
    write_comparison(path, {f"input, frame {frames}": shown, "restored": restored}, range(len(numbers)))


def write_beside(path: PathLike, frames: Iterable[np.ndarray], images: Iterable[np.ndarray], count: int, rate: float,
                 video: VideoSettings) -> None:
    """Write a clip of input and output side by side.

    Args:
        path: of the clip.
        frames: iterable of frames (H, W) or (3, H, W), 0–1.
        images: iterable of as many stored images.
        count: of them.
        rate, video: of a video, as of ``mindrestore.media.writing.write_clip``.
    """
    def joined() -> Iterator[np.ndarray]:
        for frame, image in zip(frames, images):
            image = in_colour(in_8_bits(image))
            between = np.full((image.shape[0], GAP, 3), 255, np.uint8)
            yield np.concatenate((in_colour(to_image(frame)), between, image), 1)
    write_clip(path, joined(), count, rate, video=video)


def _three(frame: np.ndarray) -> np.ndarray:
    return np.stack([frame] * 3) if frame.ndim == 2 else frame
