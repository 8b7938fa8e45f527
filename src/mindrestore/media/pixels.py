"""Frames of floats as the images that files store."""

import cv2
import numpy as np

WHITE = {8: 255, 16: 65535}
TYPES = {8: np.uint8, 16: np.uint16}


def to_image(frame: np.ndarray, bits: int = 8, grey: bool = False) -> np.ndarray:
    """Clamp and round a frame to an image of ``bits``.

    Args:
        frame: (H, W), (1, H, W) or RGB (3, H, W), float, white being 1.
        bits: 8 or 16.
        grey: keep the luma (BT.601) of a colour frame alone.

    Returns:
        (H, W) or BGR (H, W, 3), uint8 or uint16, as OpenCV writes them.
    """
    frame = np.asarray(frame, np.float32)
    frame = frame[0] if frame.ndim == 3 and len(frame) == 1 else frame
    if frame.ndim == 3:
        frame = frame.transpose(1, 2, 0)
        frame = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY if grey else cv2.COLOR_RGB2BGR)
    return np.rint(np.clip(frame, 0, 1) * WHITE[bits]).astype(TYPES[bits])


def in_8_bits(image: np.ndarray) -> np.ndarray:
    """An image of 8 or 16 bits in 8."""
    return image if image.dtype == np.uint8 else np.rint(image / (WHITE[16] / WHITE[8])).astype(np.uint8)


def in_16_bits(image: np.ndarray) -> np.ndarray:
    """An image of 8 or 16 bits in 16."""
    return image if image.dtype == np.uint16 else image * np.uint16(WHITE[16] // WHITE[8])


def in_colour(image: np.ndarray) -> np.ndarray:
    """A grey or BGR image as BGR (H, W, 3)."""
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image


stored = to_image  # its former name, which programs use
