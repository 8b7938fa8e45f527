"""What a rendered clip shows, and rendering it: a camera moving over a photograph, cut-outs of others moving in front.

Lengths are in pixels of the rendered clip with y downwards, times in frames counted from the middle of the clip, angles
in radians. Rendering is a pure function of the composition and the clip's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from mindrestore.data.photographs import photograph
from mindrestore.errors import UserError

Point = tuple[float, float]  # (x, y)
Size = tuple[int, int]  # (height, width)


@dataclass(frozen=True)
class Motion:
    """A smooth path: where something is, how it is turned and how much it is enlarged at time t."""

    position: Point = (0.0, 0.0)  # at t = 0
    velocity: Point = (0.0, 0.0)
    acceleration: Point = (0.0, 0.0)
    angle: float = 0.0
    turn: float = 0.0  # radians a frame
    growth: float = 0.0  # of the logarithm of the size, a frame

    def at(self, time: float) -> tuple[np.ndarray, np.ndarray]:
        """The turn and enlargement ``(2, 2)`` and the place ``(2,)`` at ``time``, float64."""
        angle, size = self.angle + self.turn * time, math.exp(self.growth * time)
        cosine, sine = size * math.cos(angle), size * math.sin(angle)
        paths = zip(self.position, self.velocity, self.acceleration)
        place = [start + pace * time + 0.5 * push * time * time for start, pace, push in paths]
        return np.array([[cosine, -sine], [sine, cosine]]), np.array(place)


@dataclass(frozen=True)
class Surface:
    """How one photograph looks: reduced, turned, its tones changed."""

    photograph: str
    scale: float = 1.0  # at most 1; reduced by area averaging, so that fine detail stays at pixel scale
    quarter_turns: int = 0
    mirrored: bool = False
    luma: tuple[float, float, float] = (0.299, 0.587, 0.114)  # weights of red, green, blue in a grey clip
    gamma: float = 1.0
    contrast: float = 1.0  # around 0.5
    brightness: float = 0.0

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in pixels, before rounding."""
        height, width = (self.scale * side for side in photograph(self.photograph).shape[:2])
        return (height, width) if self.quarter_turns % 2 else (width, height)


@dataclass(frozen=True)
class Foreground:
    """A cut-out: what a surface shows around one point, under a closed outline, moving on its own."""

    surface: Surface
    centre: Point  # on the surface, as parts 0..1 of its width and height
    outline: tuple[Point, ...]  # corners around (0, 0), within the unit circle
    radius: float  # of that circle
    motion: Motion  # position counted from the frame's centre
    softness: float = 0.7  # standard deviation of the edge


@dataclass(frozen=True)
class Composition:
    """Everything that decides a clip, apart from its size."""

    background: Surface
    camera: Motion  # position counted from the background's centre; what is beyond its edges is its reflection
    foregrounds: tuple[Foreground, ...] = ()
    exposure: float = 1.0  # brightness factor at t = 0
    exposure_drift: float = 0.0  # of its logarithm, a frame


def ellipse(aspect: float = 1.0, corners: int = 48) -> tuple[Point, ...]:
    """The outline of an ellipse ``aspect`` times as high as it is wide."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return tuple(zip(np.cos(angles).tolist(), (aspect * np.sin(angles)).tolist()))


def render(composition: Composition, frames: int, height: int, width: int, colour: bool = False) -> np.ndarray:
    """Render a clip.

    Returns:
        ``(T, H, W)`` or, colour, ``(3, T, H, W)``; float32 in 0..1.

    Raises:
        UserError: a size below 1, or an unknown photograph.
    """
    if min(frames, height, width) < 1:
        raise UserError(f"a clip needs at least one frame of one pixel, got {frames} x {height} x {width}.")
    background = _developed(composition.background, colour)
    cut_outs = [_cut_out(foreground, colour) for foreground in composition.foregrounds]
    clip = np.empty((frames, height, width) + ((3,) if colour else ()), np.float32)
    for index in range(frames):
        time = index - (frames - 1) / 2
        frame = _seen_by_camera(background, composition.camera, time, (height, width))
        for foreground, cut_out in zip(composition.foregrounds, cut_outs):
            frame = _laid_over(frame, cut_out, foreground.motion, time)
        clip[index] = frame * (composition.exposure * math.exp(composition.exposure_drift * time))
    np.clip(clip, 0, 1, out=clip)
    return np.ascontiguousarray(np.moveaxis(clip, -1, 0)) if colour else clip


def true_flow(composition: Composition, time: float, other: float, height: int, width: int) -> np.ndarray:
    """Where each pixel of the frame at ``time`` is found at time ``other``: ``(2, H, W)`` float32, x and y in pixels.

    A pixel belongs to the foremost object that covers more than half of it. Occlusion at ``other`` is not considered.
    """
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height))).reshape(2, -1).astype(np.float64)
    times, size = (time, other), (height, width)
    flow = _moved(pixels, camera_map, composition.camera, times=times, size=size)
    for foreground in composition.foregrounds:
        opacity = _opacity(foreground)
        matrix, start = cut_out_map(foreground.motion, time, height, width)
        covers = _sampled(opacity, matrix, start + _middle(*opacity.shape), size, border=cv2.BORDER_CONSTANT) > 0.5
        moved = _moved(pixels, cut_out_map, foreground.motion, times=times, size=size)
        flow = np.where(covers.reshape(-1), moved, flow)
    return flow.reshape(2, height, width).astype(np.float32)


MapAt = Callable[["Motion", float, int, int], "tuple[np.ndarray, np.ndarray]"]  # camera_map or cut_out_map


def _moved(pixels: np.ndarray, map_at: MapAt, motion: Motion, times: tuple[float, float], size: Size) -> np.ndarray:
    """The displacement (2, P) of pixels (2, P) of something that moves, from the first of two times to the second."""
    (matrix, start), (later_matrix, later_start) = (map_at(motion, time, *size) for time in times)
    return _inverse(later_matrix) @ (matrix @ pixels + (start - later_start)[:, None]) - pixels


def _developed(surface: Surface, colour: bool) -> np.ndarray:
    """A surface's pixels, ``(H, W, 3)`` or ``(H, W)`` float32."""
    image = photograph(surface.photograph)
    if not colour:
        image = image @ np.asarray(surface.luma, np.float32)
    if surface.scale < 1:
        image = cv2.resize(image, None, fx=surface.scale, fy=surface.scale, interpolation=cv2.INTER_AREA)
    image = np.rot90(image[:, ::-1] if surface.mirrored else image, surface.quarter_turns)
    image = np.power(image, np.float32(surface.gamma))
    return (image - np.float32(0.5)) * np.float32(surface.contrast) + np.float32(0.5 + surface.brightness)


def _cut_out(foreground: Foreground, colour: bool) -> tuple[np.ndarray, np.ndarray]:
    """The patch under the outline, its values multiplied by its opacity, and the opacity: squares of one side."""
    opacity = _opacity(foreground)
    image = _developed(foreground.surface, colour)
    centre = np.array(foreground.centre) * (image.shape[1] - 1, image.shape[0] - 1)
    start = np.rint(centre - _middle(*opacity.shape))
    patch = _sampled(image, np.eye(2), start, opacity.shape, border=cv2.BORDER_REFLECT_101)
    return patch * _for_channels(opacity, patch), opacity


def _opacity(foreground: Foreground) -> np.ndarray:
    """The opacity of each pixel of the cut-out, 0..1: a square."""
    side = 2 * math.ceil(foreground.radius + 3 * foreground.softness) + 2
    fraction_bits = 6  # fillPoly takes corners in fixed point
    radius = foreground.radius - 0.5  # fillPoly paints the outline too, half a pixel of it outside
    corners = np.array(foreground.outline) * radius + _middle(side, side)
    corners = np.rint(corners * 2**fraction_bits).astype(np.int32)
    opacity = cv2.fillPoly(np.zeros((side, side), np.uint8), [corners], 255, lineType=cv2.LINE_AA, shift=fraction_bits)
    return cv2.GaussianBlur(opacity.astype(np.float32) / 255, (0, 0), foreground.softness)


def _seen_by_camera(image: np.ndarray, motion: Motion, time: float, size: Size) -> np.ndarray:
    """The window of the background that the camera sees; a camera that grows comes nearer."""
    matrix, start = camera_map(motion, time, *size)
    return _sampled(image, matrix, start + _middle(*image.shape[:2]), size, border=cv2.BORDER_REFLECT_101)


def camera_map(motion: Motion, time: float, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the camera's pixels p = (x, y) lie on the background, from its centre: matrix @ p + start."""
    matrix, place = motion.at(time)
    matrix = _inverse(matrix)
    return matrix, place - matrix @ _middle(height, width)


def cut_out_map(motion: Motion, time: float, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a frame's pixels p = (x, y) lie on a cut-out that moves, from its centre: matrix @ p + start."""
    matrix, place = motion.at(time)
    matrix = _inverse(matrix)
    return matrix, -matrix @ (_middle(height, width) + place)


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a 2 x 2 matrix. ``numpy.linalg.inv`` wakes a thread on every core for it, and waits for the busy ones."""
    (a, b), (c, d) = matrix
    return np.array([[d, -b], [-c, a]]) / (a * d - b * c)


def _laid_over(frame: np.ndarray, cut_out: tuple[np.ndarray, np.ndarray], motion: Motion, time: float) -> np.ndarray:
    """The frame (H, W) or (H, W, 3) with a cut-out, (patch, opacity), composited over it."""
    size = frame.shape[:2]
    matrix, start = cut_out_map(motion, time, *size)
    start = start + _middle(*cut_out[1].shape)
    patch, opacity = (_sampled(image, matrix, start, size, border=cv2.BORDER_CONSTANT) for image in cut_out)
    return frame * (1 - _for_channels(opacity, frame)) + patch


def _sampled(image: np.ndarray, matrix: np.ndarray, start: np.ndarray, size: Size, *, border: int) -> np.ndarray:
    """``out[p] = image[matrix @ p + start]`` for points p = (x, y), bicubic."""
    affine = np.concatenate([matrix, start[:, None]], axis=1)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, affine, size[::-1], flags=flags, borderMode=border)


def _middle(height: int, width: int) -> np.ndarray:
    return np.array([(width - 1) / 2, (height - 1) / 2])


def _for_channels(opacity: np.ndarray, image: np.ndarray) -> np.ndarray:
    return opacity[..., None] if image.ndim == 3 else opacity
