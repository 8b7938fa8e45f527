"""A web page to look at frames and clips, which needs no other file and no internet: its parts, and the page around them."""

from __future__ import annotations

import base64
import html
import string
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from mindrestore.files import PathLike, write_text
from mindrestore.media.pixels import to_image

TEMPLATE = Path(__file__).resolve().parent.parent / "assets" / "page.html"


def write_page(path: PathLike, title: str, body: str) -> None:
    """Write a page to ``path``: ``title`` as text, ``body`` as HTML."""
    page = string.Template(TEMPLATE.read_text(encoding="utf-8"))
    write_text(path, page.substitute(title=html.escape(title), body=body))


def divided_frames(images: Mapping[str, np.ndarray], judged: str) -> str:
    """Return the part that shows two of the images (H, W) or (3, H, W), 0–1, by heading, under a divider that can be dragged.

    ``judged`` is the heading of the right one at first; the reader chooses which two.
    """
    pictures = (
        f'<img data-name="{html.escape(heading)}" alt="{html.escape(heading)}" src="{_png(image)}">'
        for heading, image in images.items()
    )
    return f'<div class="pair">{divided(list(images), judged, pictures)}</div>'


def divided(headings: Iterable[str], judged: str, elements: Iterable[str]) -> str:
    """Return a divider over ``elements``, one a heading and with it as ``data-name``, and the choice of two of them."""
    headings = list(headings)
    left = next((heading for heading in headings if heading != judged), judged)
    options = {
        side: "".join(
            f"<option{' selected' if heading == selected else ''}>{html.escape(heading)}</option>" for heading in headings
        )
        for side, selected in (("left", left), ("right", judged))
    }
    return (
        f'<div class="choice"><select class="left" aria-label="left">{options["left"]}</select>'
        f'<span>drag the line</span><select class="right" aria-label="right">{options["right"]}</select></div>'
        f'<div class="divided" style="--at:50%">{"".join(elements)}'
        '<div class="line"></div><input type="range" min="0" max="100" step="0.1" value="50" aria-label="divider">'
        "</div>"
    )


def figures(images: Mapping[str, np.ndarray]) -> str:
    """Return images side by side, each above its heading."""
    cells = "".join(
        f'<figure><img src="{_png(image)}" alt=""><figcaption>{html.escape(heading)}</figcaption></figure>'
        for heading, image in images.items()
    )
    return f'<div class="figures">{cells}</div>'


def data_address(kind: str, content: bytes) -> str:
    """Return ``content``, of the MIME type ``kind``, as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _png(image: np.ndarray) -> str:
    return data_address("image/png", cv2.imencode(".png", to_image(image))[1].tobytes())
