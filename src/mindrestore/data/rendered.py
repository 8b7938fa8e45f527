"""Training clips without a data set: compositions of photographs drawn at random, and the clips they render to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from mindrestore.data.composition import Composition, Foreground, Motion, Point, Surface, ellipse, render
from mindrestore.data.photographs import TRAIN_PHOTOGRAPHS, photograph
from mindrestore.errors import UserError

RENDERED = "rendered"  # the name of every clip: they differ by their generators alone
_SPEEDS = ((0.08, 0.0, 0.0), (0.22, 0.2, 1.0), (0.35, 1.0, 3.0), (0.35, 3.0, 7.0))  # share, from, to: pixels a frame


class RenderedClips:
    """An endless source of clips, each decided by its generator alone.

    Args:
        frames, height, width: size of a clip.
        photographs: names to choose from, see ``mindrestore.data.photographs``.
        colour: RGB instead of grey.
        speed: as for ``render_clip``.
        length: clips of one pass.
        defocus: half of the clips are blurred as by a lens out of focus, by a Gaussian of a standard deviation up to this, in
            pixels: most photographs that clips are rendered from are sharper than most videos.
    """

    notes = ()

    def __init__(
        self,
        frames: int,
        height: int,
        width: int,
        photographs: Sequence[str] = TRAIN_PHOTOGRAPHS,
        colour: bool = False,
        speed: float | None = None,
        length: int = 1000,
        defocus: float = 0.0,
    ) -> None:
        self.frames, self.height, self.width, self.length, self.defocus = frames, height, width, length, defocus
        self.photographs, self.colour, self.speed = tuple(photographs), colour, speed
        for name in self.photographs:
            photograph(name)  # a wrong name fails here, and reading is paid once

    def __len__(self) -> int:
        """Clips of one pass."""
        return self.length

    def name(self, index: int) -> str:
        """Where a clip is from: ``RENDERED`` for all."""
        return RENDERED

    def clip(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """A clip ``(T, H, W)`` or ``(3, T, H, W)`` drawn from ``rng``; ``index`` changes nothing."""
        clip = render_clip(
            rng, self.frames, self.height, self.width, photographs=self.photographs, colour=self.colour, speed=self.speed
        )
        if self.defocus and rng.random() < 0.5:
            deviation = rng.uniform(0, self.defocus)
            clip = gaussian_filter(clip, (*(0 for _ in clip.shape[:-2]), deviation, deviation))
        return clip


def render_clip(
    rng: np.random.Generator | int | None = None,
    frames: int = 8,
    height: int = 256,
    width: int = 256,
    photographs: Sequence[str] = TRAIN_PHOTOGRAPHS,
    colour: bool = False,
    speed: float | None = None,
) -> np.ndarray:
    """Draw a composition and render it.

    Args:
        rng: NumPy generator or seed; equal seeds give equal clips.
        frames, height, width: the clip's size.
        photographs: names to choose from.
        colour: RGB instead of grey.
        speed: typical motion in pixels a frame, 0 (everything stands still) to about 7; ``None`` draws one: still,
            slow, medium or fast.

    Returns:
        ``(T, H, W)`` or, colour, ``(3, T, H, W)``; float32 in 0..1.

    Raises:
        UserError: a size below 1, an unknown photograph, or a negative speed.
    """
    composition = draw_composition(rng, height, width, photographs, speed=speed)
    return render(composition, frames, height, width, colour=colour)


def draw_composition(
    rng: np.random.Generator | int | None,
    height: int,
    width: int,
    photographs: Sequence[str] = TRAIN_PHOTOGRAPHS,
    speed: float | None = None,
) -> Composition:
    """Draw a ``Composition`` that suits clips of ``height`` x ``width``; arguments and errors as for
    ``render_clip``.
    """
    if not photographs:
        raise UserError("photographs must name at least one photograph, got none.")
    if speed is not None and not 0 <= speed < math.inf:
        raise UserError(f"speed must be 0 or more pixels a frame, got {speed}.")
    rng = np.random.default_rng(rng)
    speed = _draw_speed(rng) if speed is None else speed
    camera_speed = speed * rng.choice([0.0, 0.3, 1.0], p=[0.2, 0.1, 0.7])  # often the camera rests and objects move
    background = _draw_surface(rng, photographs, shortest_side=1.3 * max(height, width))
    margins = [max(0.0, extent - seen) / 2 for extent, seen in zip(background.extent, (width, height))]
    camera = _draw_motion(rng, rng.uniform(-1, 1, 2) * margins, camera_speed, reach=max(height, width) / 2)
    foregrounds = tuple(
        _draw_foreground(rng, photographs, height=height, width=width, speed=speed) for _ in range(rng.integers(1, 4))
    )
    return Composition(
        background, camera, foregrounds, exposure=math.exp(rng.normal(0, 0.08)), exposure_drift=rng.normal(0, 0.004)
    )


def _draw_speed(rng: np.random.Generator) -> float:
    _, slowest, fastest = _SPEEDS[rng.choice(len(_SPEEDS), p=[share for share, _, _ in _SPEEDS])]
    return rng.uniform(slowest, fastest)


def _draw_surface(rng: np.random.Generator, photographs: Sequence[str], shortest_side: float) -> Surface:
    """A photograph in random tones, reduced at random, its shorter side to ``shortest_side`` at least where it is as long."""
    name = photographs[rng.integers(len(photographs))]
    least = np.clip(shortest_side / min(photograph(name).shape[:2]), 0.25, 1.0)
    return Surface(
        name,
        scale=math.exp(rng.uniform(math.log(least), 0)),
        quarter_turns=int(rng.integers(4)),
        mirrored=bool(rng.integers(2)),
        luma=tuple(rng.dirichlet((3.0, 5.0, 2.0))),
        gamma=math.exp(rng.normal(0, 0.2)),
        contrast=rng.uniform(0.75, 1.1),
        brightness=rng.uniform(-0.05, 0.1),
    )


def _draw_motion(rng: np.random.Generator, position: Sequence[float], speed: float, reach: float) -> Motion:
    """A path of about ``speed`` pixels a frame for an object of radius ``reach`` in pixels."""
    heading, bend = rng.uniform(0, 2 * math.pi, 2)
    pace, push = speed * rng.uniform(0.6, 1.0), speed * rng.uniform(0, 0.08)
    turn, growth = rng.normal(0, 0.3, 2) * speed / reach
    return Motion(
        tuple(position),
        (pace * math.cos(heading), pace * math.sin(heading)),
        (push * math.cos(bend), push * math.sin(bend)),
        angle=rng.normal(0, 0.1),
        turn=turn,
        growth=growth,
    )


def _draw_foreground(
    rng: np.random.Generator, photographs: Sequence[str], *, height: int, width: int, speed: float
) -> Foreground:
    radius = min(height, width) * rng.uniform(0.07, 0.3)
    position = rng.uniform(-0.45, 0.45, 2) * (width, height)
    return Foreground(
        _draw_surface(rng, photographs, shortest_side=3 * radius),
        centre=tuple(rng.uniform(0.1, 0.9, 2)),
        outline=_draw_outline(rng),
        radius=radius,
        softness=rng.uniform(0.4, 1.2),
        motion=_draw_motion(rng, position, speed * rng.uniform(0.3, 1.0), reach=radius),
    )


def _draw_outline(rng: np.random.Generator) -> tuple[Point, ...]:
    """An ellipse, a polygon of three to seven corners, or a smooth blob, turned at random."""
    kind = rng.choice(["ellipse", "polygon", "blob"])
    if kind == "ellipse":
        points = np.array(ellipse(rng.uniform(0.45, 1.0)))
    elif kind == "polygon":
        corners = rng.integers(3, 8)
        points = _polar(rng.uniform(0.7, 1.0, corners), np.sort(rng.uniform(0, 2 * np.pi, corners)))
    else:
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        points = _polar(_wavy(rng, angles), angles)
    turn = rng.uniform(0, 2 * np.pi)
    points = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return tuple(map(tuple, points))


def _polar(radii: np.ndarray, angles: np.ndarray) -> np.ndarray:
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def _wavy(rng: np.random.Generator, angles: np.ndarray) -> np.ndarray:
    waves = [rng.normal(0, 0.12) * np.cos(n * angles + rng.uniform(0, 2 * np.pi)) for n in (2, 3, 4, 5)]
    return np.clip(0.75 + sum(waves), 0.3, 1.0)
