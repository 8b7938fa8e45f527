"""Input and output side by side: a picture of a few frames before the work, a clip or a page after it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from mindrestore.files import PathLike
from mindrestore.media.page import divided_frames, write_page
from mindrestore.media.pictures import write_comparison
from mindrestore.media.pixels import in_8_bits, in_colour, to_image
from mindrestore.media.player import MOST_FRAMES, Player
from mindrestore.restore.progress import FrameBar

if TYPE_CHECKING:
    from mindrestore.restore.restorers import SnapshotRestorer, VideoRestorer

MOMENTS = (0, 0.5, 1)  # of the clip, in a preview
GAP = 4  # white pixels between the two


def write_preview(path: PathLike, restorer: VideoRestorer | SnapshotRestorer, bar: FrameBar) -> None:
    """Restore a frame at the beginning, in the middle and at the end of a clip; write them beside the input as PNG."""
    numbers = previewed(restorer.count)
    pairs = []
    for place, number in enumerate(numbers):

        def tell(done: float, of: float, place: int = place) -> None:
            bar.tell(place + done / of, len(numbers))

        pairs.append(restorer.sample(number, tell))
        bar.safe()
    shown, restored = (np.stack([_three(frame) for frame in frames], 1) for frames in zip(*pairs))  # (3, shown, H, W)
    frames = ", ".join(str(number + 1) for number in numbers)
    write_comparison(path, {f"input, frame {frames}": shown, "restored": restored}, range(len(numbers)))


def write_report(
    path: PathLike, title: str, restorer: VideoRestorer | SnapshotRestorer, restored: Iterable[np.ndarray], rate: float
) -> None:
    """Write a page on which a clip plays under a divider, as it was given and ``restored``, and its middle frame stands.

    Args:
        path: of the .html file.
        title: of the page.
        restorer: knows what was given.
        restored: frames (3, H, W), 0–1, of all of the clip; an even size may hold an edge beyond ``restorer``'s.
        rate: frames a second.
    """
    player, middle = Player(rate), min(restorer.count, MOST_FRAMES) // 2
    shown = {}
    for number, (given, frame) in enumerate(zip(restorer.beside(), itertools.islice(restored, MOST_FRAMES))):
        images = {"input": given, "restored": frame[..., : restorer.height, : restorer.width]}
        player.add(images)
        if number == middle:
            shown = images
    still = f"<h3>frame {middle + 1} of {restorer.count}</h3>{divided_frames(shown, 'restored')}"
    write_page(path, title, player.section("restored", restorer.count) + f'<div class="still">{still}</div>')


def previewed(count: int) -> list[int]:
    """The numbers of the frames that a preview shows of ``count``."""
    return sorted({round(moment * (count - 1)) for moment in MOMENTS})


def beside(images: Iterable[np.ndarray], frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Stored images of input and output side by side.

    Args:
        images: iterable of stored images of the output.
        frames: iterator over frames (H, W) or (3, H, W), 0–1, of the input; no more are taken from it than there are images.
    """
    for image, frame in zip(images, frames):
        image = in_colour(in_8_bits(image))
        between = np.full((image.shape[0], GAP, 3), 255, np.uint8)
        yield np.concatenate((in_colour(to_image(frame)), between, image), 1)


def _three(frame: np.ndarray) -> np.ndarray:
    return np.stack([frame] * 3) if frame.ndim == 2 else frame
