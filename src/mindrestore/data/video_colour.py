"""Colours of video: between the luma and chroma planes that a codec stores and BGR images.

A video's samples mean nothing without its matrix and its range: decoded by another matrix, BT.709's pure red reads
(233, 0, 2). The codes are those of ITU-T H.273, which FFmpeg's ``AVCOL_*`` constants are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

RGB, BT709_MATRIX, UNSPECIFIED, FCC, BT470BG, BT601_MATRIX, SMPTE240M, BT2020_MATRIX = 0, 1, 2, 4, 5, 6, 7, 9
WEIGHTS = {  # of red and blue in luma
    BT709_MATRIX: (0.2126, 0.0722),
    FCC: (0.30, 0.11),
    BT470BG: (0.299, 0.114),
    BT601_MATRIX: (0.299, 0.114),
    SMPTE240M: (0.212, 0.087),
    BT2020_MATRIX: (0.2627, 0.0593),
}
HD_LINES = 720  # from here on players take a video that does not name its matrix for BT.709


@dataclass(frozen=True)
class Colour:
    """What the samples of a video mean, in codes of ITU-T H.273.

    Attributes:
        matrix: between R'G'B' and luma and chroma, one of ``WEIGHTS``; ``RGB`` where R'G'B' itself is stored.
        full: whether samples use the whole range of their bits, not 16–235 and 16–240 of 255.
        primaries, transfer: of the R'G'B' values; passed on, never converted.
    """

    matrix: int
    full: bool = False
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    def coded(self) -> Colour:
        """As a codec of luma and chroma stores it: R'G'B' becomes BT.709 of limited range."""
        return self if self.matrix in WEIGHTS else replace(self, matrix=BT709_MATRIX, full=False)

    def plain(self) -> Colour:
        """As a codec of R'G'B' stores it."""
        return replace(self, matrix=RGB, full=True)


BT709 = Colour(BT709_MATRIX, full=False, primaries=1, transfer=1)
"""What pictures become, which are sRGB."""


def usual_matrix(height: int) -> int:
    """Return the matrix of a video of ``height`` lines that does not name one, as players take it."""
    return BT709_MATRIX if height >= HD_LINES else BT601_MATRIX


def bgr_of(luma: np.ndarray, chroma: tuple[np.ndarray, np.ndarray], colour: Colour, bits: int) -> np.ndarray:
    """Convert planes to an image.

    Args:
        luma: (H, W), uint8 or uint16 samples of ``bits``.
        chroma: blue and red difference, each (H, W), or halved in width or in both, left-sited as H.264's are.
        colour: of the samples.
        bits: of a sample, 8 to 16.

    Returns:
        BGR (H, W, 3), uint8 for 8 bits, otherwise uint16 with white at 65535.
    """
    height, width = luma.shape
    planes = [luma.astype(np.float32)] + [_enlarged(plane.astype(np.float32), height, width) for plane in chroma]
    red, blue = WEIGHTS[colour.matrix]
    green = 1 - red - blue
    inverse = np.array(
        [[1, 2 * (1 - blue), 0], [1, -2 * (1 - blue) * blue / green, -2 * (1 - red) * red / green], [1, 0, 2 * (1 - red)]]
    )
    white = 255 if bits == 8 else 65535
    (black, offset), (luma_range, chroma_range) = _range(colour.full, bits)
    inverse = inverse / [luma_range, chroma_range, chroma_range] * white
    image = cv2.transform(cv2.merge(planes), np.column_stack((inverse, -inverse @ [black, offset, offset])))
    return _rounded(image, bits)


def planes_of(image: np.ndarray, colour: Colour, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Convert a BGR image (H, W, 3), uint8 or uint16, H and W even, to luma (H, W) and left-sited chroma (H/2, W/2) of
    ``bits``; the way back from ``bgr_of``.
    """
    red, blue = WEIGHTS[colour.matrix]
    green = 1 - red - blue
    forward = np.array(
        [
            [blue, green, red],
            [0.5, -green / (2 * (1 - blue)), -red / (2 * (1 - blue))],
            [-blue / (2 * (1 - red)), -green / (2 * (1 - red)), 0.5],
        ]
    )
    (black, offset), (luma_range, chroma_range) = _range(colour.full, bits)
    forward *= np.array([[luma_range], [chroma_range], [chroma_range]]) / np.iinfo(image.dtype).max
    samples = cv2.transform(image.astype(np.float32), np.column_stack((forward, [black, offset, offset])))
    luma, *chroma = cv2.split(samples)
    planes = (_rounded(plane, bits) for plane in (luma, *map(_halved, chroma)))
    return tuple(np.minimum(plane, 2**bits - 1) for plane in planes)


def _range(full: bool, bits: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return black and the zero of chroma, and the spans of luma and chroma."""
    if full:
        return (0, 2 ** (bits - 1)), (2**bits - 1, 2**bits - 1)
    step = 2 ** (bits - 8)
    return (16 * step, 128 * step), (219 * step, 224 * step)


def _rounded(samples: np.ndarray, bits: int) -> np.ndarray:
    """Samples rounded and clamped to uint8 for 8 bits, otherwise to uint16; OpenCV does both in one pass."""
    return cv2.multiply(samples, 1.0, dtype=cv2.CV_8U if bits == 8 else cv2.CV_16U)


def _enlarged(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """A chroma plane at the size of luma: samples lie on even columns, and halfway between two rows."""
    if plane.shape[1] < width:
        wide = np.empty((plane.shape[0], 2 * plane.shape[1]), np.float32)
        wide[:, 0::2], wide[:, -1] = plane, plane[:, -1]
        wide[:, 1:-1:2] = (plane[:, :-1] + plane[:, 1:]) / 2
        plane = wide
    if plane.shape[0] < height:
        plane = cv2.resize(plane, (plane.shape[1], 2 * plane.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(plane[:height, :width])


def _halved(plane: np.ndarray) -> np.ndarray:
    """A chroma plane at half its size, by low-pass filters that nearly undo ``_enlarged``: a video that is read and written
    keeps its colours at edges, and hardly any ringing is added.
    """
    height, width = plane.shape
    wide = np.pad(plane, [(0, 0), (0, 2)], mode="edge")
    wide = np.concatenate((plane[:, 2:3], plane[:, 1:2], wide), 1)  # reflected on the left, where a sample lies
    narrow = (
        6 * wide[:, 2 : width + 2 : 2]
        + 2 * (wide[:, 1 : width + 1 : 2] + wide[:, 3 : width + 3 : 2])
        - wide[:, 0:width:2]
        - wide[:, 4 : width + 4 : 2]
    ) / 8
    tall = np.pad(narrow, [(1, 1), (0, 0)], mode="edge")
    return (9 * (tall[1 : height + 1 : 2] + tall[2 : height + 2 : 2]) - tall[0:height:2] - tall[3 : height + 3 : 2]) / 16
