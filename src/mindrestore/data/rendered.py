"""Clips rendered from photographs: a moving virtual camera over one of them, and cut-outs of others moving in front.

Drawing a scene (random) and rendering it (a pure function of the scene) are apart. Lengths are in pixels of the rendered
clip, times in frames counted from the middle of the clip, angles in radians.
"""
import math
from dataclasses import dataclass
from typing import NamedTuple, Tuple

import cv2
import numpy as np

from mindrestore.data.photographs import HELD_OUT_PHOTOGRAPHS, TRAIN_PHOTOGRAPHS, photograph
from mindrestore.errors import UserError

FASTEST = 6.0  # pixels a frame
_DEFAULT_SPEEDS = ((0.12, 0.0, 0.0), (0.33, 0.2, 1.0), (0.33, 1.0, 3.0), (0.22, 3.0, FASTEST))  # (share, from, to)


@dataclass(frozen=True)
class Motion:
    """A smooth path: where something is, how it is turned and how large it looks at time t."""
    position: Tuple[float, float]  # (x, y) at t = 0
    velocity: Tuple[float, float]
    acceleration: Tuple[float, float]
    angle: float
    turn: float  # radians a frame
    growth: float  # of the logarithm of the size, a frame

    def similarity(self, time):
        """The 2 x 2 turn-and-zoom and the place ``(2,)`` at ``time``, as float64 arrays."""
        angle, size = self.angle + self.turn * time, math.exp(self.growth * time)
        cosine, sine = size * math.cos(angle), size * math.sin(angle)
        place = [p + v * time + 0.5 * a * time * time
                 for p, v, a in zip(self.position, self.velocity, self.acceleration)]
        return np.array([[cosine, -sine], [sine, cosine]]), np.array(place)


@dataclass(frozen=True)
class Surface:
    """How one photograph is seen before it moves."""
    photograph: str
    scale: float  # its size relative to the file's; at most 1, reduced by area averaging
    quarter_turns: int
    mirrored: bool
    luma: Tuple[float, float, float]  # weights of red, green, blue in a grey clip
    gamma: float
    contrast: float
    brightness: float


@dataclass(frozen=True)
class Foreground:
    """A cut-out: a patch of a surface under a closed outline, moving on its own."""
    surface: Surface
    corner: Tuple[float, float]  # of the patch within the surface, as parts (0..1) of what there is to choose from
    outline: Tuple[Tuple[float, float], ...]  # polygon around (0, 0), within the unit circle
    radius: float
    softness: float  # standard deviation of the edge
    motion: Motion


@dataclass(frozen=True)
class Scene:
    """Everything that decides a clip, apart from its size."""
    background: Surface
    camera: Motion
    foregrounds: Tuple[Foreground, ...]
    exposure: float  # brightness factor at t = 0
    exposure_drift: float  # of its logarithm, a frame


def render_clip(rng=None, frames=8, height=256, width=256, photographs=TRAIN_PHOTOGRAPHS, colour=False, speed=None):
    """Draw a scene and render it.

    Args:
        rng: NumPy generator or seed; equal seeds give equal clips.
        frames, height, width: the clip's size.
        photographs: names to choose from, see ``mindrestore.data.photographs``.
        colour: RGB instead of grey.
        speed: typical motion in pixels a frame, 0 (everything stands still) to about 6; ``None`` draws one: still, slow,
            medium or fast.

    Returns:
        ``(T, H, W)`` or, colour, ``(3, T, H, W)``; float32 in 0..1.

    Raises:
        UserError: a size below 1, an unknown photograph, or a negative speed.
    """
    return render_scene(draw_scene(rng, height, width, photographs, speed), frames, height, width, colour)


def draw_scene(rng, height, width, photographs=TRAIN_PHOTOGRAPHS, speed=None):
    """Draw a ``Scene`` for clips of ``height`` x ``width``; arguments and errors as for ``render_clip``."""
    if not photographs:
        raise UserError("photographs must name at least one photograph, got none.")
    if speed is not None and not 0 <= speed < math.inf:
        raise UserError(f"speed must be 0 or more pixels a frame, got {speed}.")
    rng = np.random.default_rng(rng)
    if speed is None:
        shares = [share for share, _, _ in _DEFAULT_SPEEDS]
        speed = rng.uniform(*_DEFAULT_SPEEDS[rng.choice(len(shares), p=shares)][1:])
    camera_speed = speed * rng.choice([0.0, 0.3, 1.0], p=[0.25, 0.15, 0.6])  # often the camera rests and objects move
    background = _draw_surface(rng, photographs, max(height, width), smallest_part=1.3)
    room = [max(0.0, extent - seen) / 2 for extent, seen in zip(_extent(background), (width, height))]
    camera = _draw_motion(rng, tuple(rng.uniform(-1, 1) * part for part in room), camera_speed, reach=max(height, width) / 2)
    foregrounds = tuple(_draw_foreground(rng, photographs, height, width, speed) for _ in range(rng.integers(1, 4)))
    exposure = math.exp(rng.normal(0, 0.08))
    exposure_drift = rng.normal(0, 0.004)
    return Scene(background, camera, foregrounds, exposure, exposure_drift)


def render_scene(scene, frames, height, width, colour=False):
    """Render a scene: ``(T, H, W)`` or ``(3, T, H, W)`` float32 in 0..1."""
    if min(frames, height, width) < 1:
        raise UserError(f"a clip needs at least one frame of one pixel, got {frames} x {height} x {width}.")
    background = _developed(scene.background, colour)
    cut_outs = [_cut_out(foreground, colour) for foreground in scene.foregrounds]
    clip = np.empty((frames, height, width, 3) if colour else (frames, height, width), np.float32)
    for index in range(frames):
        time = index - (frames - 1) / 2
        frame = _camera_view(background, scene.camera, time, height, width)
        for foreground, cut_out in zip(scene.foregrounds, cut_outs):
            frame = _placed_over(frame, cut_out, foreground.motion, time)
        clip[index] = frame * (scene.exposure * math.exp(scene.exposure_drift * time))
    np.clip(clip, 0, 1, out=clip)
    return np.ascontiguousarray(np.moveaxis(clip, -1, 0)) if colour else clip


# Drawing


def _draw_surface(rng, photographs, extent, smallest_part):
    """A photograph, reduced at random but so that its shorter side keeps ``smallest_part * extent`` where it has that much."""
    name = photographs[rng.integers(len(photographs))]
    least = min(1.0, smallest_part * extent / min(photograph(name).shape[:2]))
    least = max(least, 0.25)
    return Surface(name, scale=float(math.exp(rng.uniform(math.log(least), 0))), quarter_turns=int(rng.integers(4)),
                   mirrored=bool(rng.integers(2)), luma=tuple(rng.dirichlet((3.0, 5.0, 2.0)).tolist()),
                   gamma=float(math.exp(rng.normal(0, 0.2))), contrast=float(rng.uniform(0.75, 1.1)),
                   brightness=float(rng.uniform(-0.05, 0.1)))


def _extent(surface):
    """Width and height of a surface in pixels."""
    height, width = (surface.scale * side for side in photograph(surface.photograph).shape[:2])
    return (height, width) if surface.quarter_turns % 2 else (width, height)


def _draw_motion(rng, position, speed, reach):
    """A path of about ``speed`` pixels a frame for something of ``reach`` pixels from its centre to its rim."""
    heading, bend = rng.uniform(0, 2 * math.pi, 2)
    pace = speed * rng.uniform(0.6, 1.0)
    push = speed * rng.uniform(0, 0.08)
    turn, growth = rng.normal(0, 0.3, 2) * speed / reach
    return Motion(position, (pace * math.cos(heading), pace * math.sin(heading)), (push * math.cos(bend), push * math.sin(bend)),
                  angle=float(rng.normal(0, 0.1)), turn=float(turn), growth=float(growth))


def _draw_foreground(rng, photographs, height, width, speed):
    radius = min(height, width) * rng.uniform(0.07, 0.3)
    position = (rng.uniform(-0.45, 0.45) * width, rng.uniform(-0.45, 0.45) * height)
    own_speed = speed * rng.uniform(0.3, 1.0)
    return Foreground(_draw_surface(rng, photographs, radius, smallest_part=3.0), corner=tuple(rng.random(2).tolist()),
                      outline=_draw_outline(rng), radius=float(radius), softness=float(rng.uniform(0.4, 1.2)),
                      motion=_draw_motion(rng, position, own_speed, radius))


def _draw_outline(rng):
    """An ellipse, a convex-ish polygon or a smooth blob, around (0, 0) within the unit circle."""
    kind = rng.integers(3)
    if kind == 1:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        radii = rng.uniform(0.7, 1.0, len(angles))
    else:
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        waves = sum(rng.normal(0, 0.12) * np.cos(n * angles + rng.uniform(0, 2 * np.pi)) for n in (2, 3, 4, 5)) if kind else 0
        radii = np.clip(0.75 + waves, 0.3, 1.0) * np.ones_like(angles)
    points = radii * np.stack([np.cos(angles), rng.uniform(0.45, 1.0) * np.sin(angles)])
    turn = rng.uniform(0, 2 * np.pi)
    points = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ points
    return tuple(map(tuple, points.T.tolist()))


# Rendering


def _developed(surface, colour):
    """A surface's pixels, ``(H, W, 3)`` or ``(H, W)`` float32."""
    image = photograph(surface.photograph)
    if not colour:
        image = image @ np.asarray(surface.luma, np.float32)
    if surface.scale < 1:
        image = cv2.resize(image, None, fx=surface.scale, fy=surface.scale, interpolation=cv2.INTER_AREA)
    image = np.rot90(image[:, ::-1] if surface.mirrored else image, surface.quarter_turns)
    image = np.power(image, np.float32(surface.gamma))
    return np.ascontiguousarray((image - np.float32(0.5)) * np.float32(surface.contrast) + np.float32(0.5 + surface.brightness))


def _cut_out(foreground, colour):
    """The patch under the outline, its colours multiplied by its opacity, and the opacity: both square."""
    side = 2 * math.ceil(foreground.radius + 3 * foreground.softness) + 2
    image = _developed(foreground.surface, colour)
    top, left = (int(part * max(0, extent - side)) for part, extent in zip(foreground.corner, image.shape))
    patch = image[top:top + side, left:left + side]
    patch = cv2.copyMakeBorder(patch, 0, side - patch.shape[0], 0, side - patch.shape[1], cv2.BORDER_REFLECT)
    bits = 6  # of a pixel, for the polygon's corners
    points = np.rint((np.array(foreground.outline) * foreground.radius + (side - 1) / 2) * 2**bits).astype(np.int32)
    opacity = cv2.fillPoly(np.zeros((side, side), np.uint8), [points], 255, cv2.LINE_AA, bits)
    opacity = cv2.GaussianBlur(opacity, (0, 0), foreground.softness).astype(np.float32) / 255
    return patch * (opacity[..., None] if colour else opacity), opacity


def _camera_view(image, motion, time, height, width):
    """What the camera sees: a window of the photograph around the motion's place, reflected beyond its edges.

    The camera's position is counted from the photograph's centre.
    """
    matrix, place = motion.similarity(time)
    centre = np.array([image.shape[1] - 1, image.shape[0] - 1]) / 2 + place
    return _sampled(image, matrix, centre - matrix @ _middle(height, width), height, width, cv2.BORDER_REFLECT_101)


def _placed_over(frame, cut_out, motion, time):
    """A frame with the cut-out laid over it, its place counted from the frame's centre."""
    patch, opacity = cut_out
    height, width = frame.shape[:2]
    matrix, place = motion.similarity(time)
    back = np.linalg.inv(matrix)
    start = _middle(*opacity.shape) - back @ (_middle(height, width) + place)
    patch, opacity = (_sampled(image, back, start, height, width, cv2.BORDER_CONSTANT) for image in (patch, opacity))
    return frame * (1 - (opacity[..., None] if frame.ndim == 3 else opacity)) + patch


def _sampled(image, matrix, start, height, width, border):
    """``out[p] = image[matrix @ p + start]`` for p = (x, y), bicubic against the background's finest detail."""
    affine = np.concatenate([matrix, start[:, None]], axis=1)
    interpolation = cv2.INTER_LINEAR if border == cv2.BORDER_CONSTANT else cv2.INTER_CUBIC
    return cv2.warpAffine(image, affine, (width, height), flags=interpolation | cv2.WARP_INVERSE_MAP, borderMode=border)


def _middle(height, width):
    return np.array([(width - 1) / 2, (height - 1) / 2])


# Held-out scenes to show


class DemoScene(NamedTuple):
    """A named clip of ``frames`` x 256 x 256 from held-out photographs."""
    name: str
    seed: int
    frames: int
    speed: float
    photographs: Tuple[str, ...] = HELD_OUT_PHOTOGRAPHS

    def render(self, colour=False):
        """``(frames, 256, 256)``, colour ``(3, frames, 256, 256)``; float32 in 0..1."""
        return render_clip(self.seed, self.frames, 256, 256, self.photographs, colour, self.speed)


def demo_scenes():
    """The held-out scenes that the demonstration reconstructs, always the same."""
    return (DemoScene("cat", 1, 16, 1.5), DemoScene("launch", 2, 8, 3.0), DemoScene("coins", 3, 8, 4.0),
            DemoScene("gravel", 4, 8, 2.0))
