"""The image in the bytes of a picture file, which holds one; what a file holds beside it is refused, or said to be left out.

What a file is follows from its bytes, not from its name: animated PNG and WebP, TIFF of several pages, and TIFF whose
description announces more images than it has pages hold more than decoders give.
"""

from __future__ import annotations

import io
import logging
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import tifffile

from mindrestore.errors import UserError, say_once
from mindrestore.files import PathLike
from mindrestore.readers.untrusted import reading

AS_STORED = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH  # grey or colour, 8 or 16 bits
IN_COLOUR = cv2.IMREAD_COLOR  # BGR of 8 bits
EXPECTED = "one of 8 or 16 bits"
PAGES = "TIFF pages of 8 or 16 bits"
PAGES_AT_ONCE = 8

_PNG, _TIFF, _GIF = b"\x89PNG\r\n\x1a\n", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), b"GIF8"
_ANIMATED_WEBP, _TRANSPARENT_WEBP = 0x02, 0x10  # bits of a VP8X chunk
_TRANSPARENT_PNG = (4, 6)  # kinds of colour
_OME_LENGTH = re.compile(r'\bSize([CZT])="([0-9]{1,9})"')
_PLAIN_SAMPLES = {tifffile.PHOTOMETRIC.RGB: 3, tifffile.PHOTOMETRIC.MINISBLACK: 1, tifffile.PHOTOMETRIC.MINISWHITE: 1}
_MOST_DESCRIPTION = 2**16  # characters that are looked through

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it finds odd is ours to say
_transparent: set[str] = set()  # folders, and files of pages, of which that was said


def image_in(stored: np.ndarray, where: object, flags: int = AS_STORED) -> np.ndarray | None:
    """Decode the bytes of a picture file.

    Args:
        stored: of the file, uint8.
        where: what to call it in an error; a path, or a key of a database.
        flags: ``AS_STORED`` or ``IN_COLOUR``.

    Returns:
        (H, W) or BGR (H, W, 3), uint8 or uint16; None if the bytes do not decode.

    Raises:
        UserError: it holds more than one image, or what decodes has another type.
    """
    content = stored.tobytes()
    with reading(where, "image", EXPECTED):
        count, transparent, negative = _traits(content)
    if count > 1:
        raise UserError(
            f"{where}: holds {count} images, where a picture file is one frame; give a .tif of pages by itself, and of an "
            "animation make a video or a folder of frames."
        )
    with reading(where, "image", EXPECTED):
        image = cv2.imdecode(stored, flags) if stored.size else None
        if transparent and image is not None and (folder := str(where).rpartition("/")[0] or ".") not in _transparent:
            _say_transparent(cv2.imdecode(stored, cv2.IMREAD_UNCHANGED), where, folder)
    if image is not None and image.dtype not in (np.uint8, np.uint16):
        raise UserError(f"{where}: not a readable image; expected {EXPECTED}.")
    return _positive(image) if negative and image is not None else image


def pages(path: Path, first: int) -> Iterator[np.ndarray]:
    """Iterate over the pages of a TIFF file from number ``first`` on, as ``image_in`` gives them, a few at a time."""
    total = page_count(path)
    with tifffile.TiffFile(path) as file:
        for start in range(first, total, PAGES_AT_ONCE):
            count = min(PAGES_AT_ONCE, total - start)
            with reading(path, "picture", PAGES):
                read, images = cv2.imreadmulti(str(path), start, count, flags=AS_STORED)
                tags = [_tags(file.pages[number]) for number in range(start, start + count)]
            if not read or len(images) != count or any(image.dtype not in (np.uint8, np.uint16) for image in images):
                raise UserError(f"{path}: page {start + 1} or one soon after it is not readable; expected {PAGES}.")
            for number, (image, (transparent, negative)) in enumerate(zip(images, tags), start):
                if transparent and str(path) not in _transparent:
                    _, whole = cv2.imreadmulti(str(path), number, 1, flags=cv2.IMREAD_UNCHANGED)
                    _say_transparent(whole[0] if whole else None, path, str(path))
                yield _positive(image) if negative else image


def page_count(path: Path) -> int:
    """Count the pages of a TIFF file; ``UserError`` if it is none, or a stack whose pages are not its frames."""
    with reading(path, "picture", PAGES):
        count = cv2.imcount(str(path))
        with tifffile.TiffFile(path) as file:
            lengths, found = _stack(file), len(file.pages)
    if not count or found != count:
        raise UserError(f"{path}: not a readable picture; expected {PAGES}.")
    _refuse_stack(path, lengths, count)
    return count


def _refuse_stack(path: PathLike, lengths: list[int], count: int) -> None:
    """Raise ``UserError`` for a stack of more axes than one, or of more images than the ``count`` of its pages."""
    axes = [length for length in lengths if length > 1]
    if len(axes) > 1:
        raise UserError(
            f"{path}: is a stack of {' x '.join(map(str, axes))} images, of several channels or depths; save the frames of "
            "one of them as a TIFF of pages."
        )
    if math.prod(axes) > count:
        raise UserError(
            f"{path}: is a stack of {math.prod(axes)} images behind {count} of their directories, as programs write large "
            "ones; save it as a TIFF of pages, or its frames as a folder of pictures."
        )


# What a file says of itself


def _traits(content: bytes) -> tuple[int, bool, bool]:
    """Return (how many images a file holds, whether its pixels may be transparent, whether it is a negative of 16 bits)."""
    if content.startswith(_PNG):
        return *_png_traits(content), False
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return *_webp_traits(content), False
    if content.startswith(_TIFF):
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            return max(len(file.pages), math.prod(_stack(file))), *_tags(file.pages[0])
    if content.startswith(_GIF):
        raise ValueError("it is a GIF, which is read as a video if its name ends in .gif")
    if content[4:12] == b"ftypavis":
        raise ValueError("it is an AVIF animation")
    return 1, False, False


def _png_traits(content: bytes) -> tuple[int, bool]:
    count, transparent, place = 1, content[25:26] != b"" and content[25] in _TRANSPARENT_PNG, 8
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"IDAT":
            break
        if kind == b"acTL" and place + 12 <= len(content):
            count = max(1, struct.unpack_from(">I", content, place + 8)[0])
        transparent |= kind == b"tRNS"
        place += 12 + length
    return count, transparent


def _webp_traits(content: bytes) -> tuple[int, bool]:
    if content[12:16] == b"VP8L" and len(content) > 24:
        return 1, bool(content[24] & 0x10)  # the bit behind 14 of width and 14 of height
    if content[12:16] != b"VP8X" or len(content) < 21:
        return 1, False
    flags, count, place = content[20], 0, 12
    while flags & _ANIMATED_WEBP and place + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, place)
        count += kind == b"ANMF"
        place += 8 + length + length % 2
    return max(1, count), bool(flags & _TRANSPARENT_WEBP)


def _stack(file: tifffile.TiffFile) -> list[int]:
    """The lengths of a TIFF file's axes beside an image's, as the program that wrote it describes them; [] if none did."""
    page = file.pages[0]
    if file.is_imagej:
        described = file.imagej_metadata or {}
        lengths = [int(described.get(key, 1)) for key in ("channels", "slices", "frames")]
        images = int(described.get("images", 1))
        return lengths if math.prod(lengths) == images else [images]
    if file.is_shaped:
        shape = (file.shaped_metadata or ({},))[0].get("shape", ())
        return [int(length) for length in shape[: max(0, len(shape) - len(page.shape))]]
    if file.is_ome:
        lengths = dict(_OME_LENGTH.findall(page.description[:_MOST_DESCRIPTION]))
        return [int(length) for axis, length in lengths.items() if axis != "C" or page.samplesperpixel == 1]
    return []


def _tags(page: tifffile.TiffPage) -> tuple[bool, bool]:
    """Return (whether a page has a channel of opacity, whether it holds 16 bits of which 0 is white).

    OpenCV gives such bits as they are; where there are 8 it turns them round.
    """
    transparent = page.samplesperpixel == _PLAIN_SAMPLES.get(page.photometric, 0) + 1
    return transparent, page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and page.bitspersample == 16


def _positive(image: np.ndarray) -> np.ndarray:
    return np.iinfo(np.uint16).max - image if image.dtype == np.uint16 else image


def _say_transparent(whole: np.ndarray | None, where: object, others: str) -> None:
    """Say once for ``others``, what lies beside a picture, that transparency is left out, if this one is transparent.

    whole: the picture as OpenCV decodes it unchanged.
    """
    if whole is not None and whole.ndim == 3 and whole.shape[2] == 4 and whole[..., 3].min() < np.iinfo(whole.dtype).max:
        _transparent.add(others)
        say_once(
            f"{where}: is partly transparent; transparency is left out in all of {others}, pixels count as they are stored."
        )
