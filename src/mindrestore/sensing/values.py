"""Numbers of masks, measurements and clips, checked where they enter: what is wrong is named with its file and place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mindrestore.errors import UserError, say_once
from mindrestore.files import PathLike

MOST_TRANSMISSION = 2  # of a calibrated mask, whose values are fractions about 1
MOST_WHOLE = 65535  # of a mask of whole numbers, those of 16 bits


def place_of(wrong: np.ndarray, part: str) -> str:
    """Say where the first true value of ``wrong``, ``(F, ..., H, W)`` or less, lies; ``part``: what F counts."""
    place = [int(index) for index in np.unravel_index(int(np.argmax(wrong)), wrong.shape)]
    names = [part, *["colour"] * (len(place) - 3), "row", "column"][-len(place) :]
    return ", ".join(f"{name} {index}" for name, index in zip(names, place)) + " (counted from 0)"


def refuse(array: np.ndarray, wrong: np.ndarray, what: str, part: str, *, expected: str) -> None:
    """Raise ``UserError`` that says value and place of the first of ``array`` that is ``wrong``, if any is.

    Args:
        array: ``(F, ..., H, W)``.
        wrong: of its shape.
        what: file and key that the error begins with.
        part: what F counts, such as ``"plane"``.
        expected: which values are right.
    """
    if wrong.any():
        value = array[np.unravel_index(int(np.argmax(wrong)), wrong.shape)]
        raise UserError(f"{what} is {value:g} at {place_of(wrong, part)}; expected {expected}.")


def finite(array: np.ndarray, what: str, part: str) -> np.ndarray:
    """Return ``array`` of real numbers if all are finite; ``UserError`` as of ``refuse`` if not."""
    if array.dtype.kind == "f":
        refuse(array, ~np.isfinite(array), what, part, expected="finite numbers")
    return array


def all_finite(restored: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield frames that a network restored; raise ``UserError`` with the number of the first that is not finite."""
    for number, frame in enumerate(restored):
        wrong = ~np.isfinite(frame)
        if wrong.any():
            raise UserError(
                f"restored frame {number} is {frame[np.unravel_index(int(np.argmax(wrong)), wrong.shape)]:g} at "
                f"{place_of(wrong, 'colour')}: the network computes no picture there; compute in float32, or give "
                "other weights."
            )
        yield frame


def as_mask(array: np.ndarray, path: PathLike) -> np.ndarray:
    """Check an array ``(T, H, W)`` of any number type and convert it to a mask.

    Numbers mean the same in every type. Whole numbers up to 1 and fractions up to ``MOST_TRANSMISSION``, as calibrated masks
    have them, keep their values. Whole numbers above, such as 0 and 255, are divided by their largest, and that is said.

    Returns:
        float32 ``(T, H, W)``.

    Raises:
        UserError: which names ``path``: not three axes of real numbers, one that is negative, not finite or larger than a mask
            can have, or no pixel that is ever open.
    """
    if array.ndim != 3 or not array.size or array.dtype.kind not in "buif":
        raise UserError(
            f"{path}: a mask has three axes (planes, height, width) of numbers, got shape {array.shape} of {array.dtype}."
        )
    what = f"{path}: the mask"
    finite(array, what, "plane")
    refuse(array, array < 0, what, "plane", expected="numbers of 0 or more")
    largest = array.max()
    if not largest:
        raise UserError(f"{what} is 0 everywhere, so that nothing passes it; give the mask that was measured through.")
    if largest > 1 and (array.dtype.kind != "f" or (array == np.rint(array)).all()):
        refuse(array, array > MOST_WHOLE, what, "plane", expected=f"whole numbers up to {MOST_WHOLE}, or fractions of 0 to 1")
        say_once(f"{what} holds whole numbers from 0 to {largest:g}; they are divided by {largest:g}, so that open is 1.")
        array = array / largest
    refuse(array, array > MOST_TRANSMISSION, what, "plane", expected="the part of the light that passes, about 0 to 1")
    return np.ascontiguousarray(array, np.float32)
