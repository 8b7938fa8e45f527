"""What a mask is like, and what that means for clips seen through it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

ALIKE = 0.8  # correlation from which on one plane counts as another; those of random masks are within 0.1 at 24 x 24 pixels
FURTHEST = 0.5  # share of a side that a plane may have moved

Step = tuple[int, int]


@dataclass(frozen=True)
class MaskTraits:
    """What ``inspect_mask`` finds.

    Attributes:
        planes, height, width: of the mask.
        binary: whether it holds nothing but 0 and 1.
        density: mean transmission; of each plane in ``densities``.
        least, mean, most: of the sum over the planes at a pixel.
        blind: pixels that no plane opens.
        uncoded: pixels that every plane opens alike, so that their frames are added up unchanged.
        repeats: pairs of planes, from 0 on, that are alike where they lie.
        steps: for each plane but the first how far, in pixels (down, right), the plane before is moved to make it; None where
            it is another one.
    """

    planes: int
    height: int
    width: int
    binary: bool
    densities: tuple[float, ...]
    least: float
    mean: float
    most: float
    blind: int
    uncoded: int
    repeats: tuple[tuple[int, int], ...]
    steps: tuple[Step | None, ...]

    @property
    def density(self) -> float:
        return float(np.mean(self.densities))

    @property
    def step(self) -> Step | None:
        """How far every plane is moved from the one before; None unless they all are moved, and alike."""
        return self.steps[0] if len(set(self.steps)) == 1 and self.steps[0] != (0, 0) else None

    def lines(self) -> list[str]:
        """Return sentences that say it to a reader."""
        pixels, low, high = self.height * self.width, min(self.densities), max(self.densities)
        said = [
            f"{self.planes} planes of {self.width} x {self.height}, {'open or closed' if self.binary else 'grey'}; they let "
            f"{self.density:.1%} of the light through, single ones {low:.1%} to {high:.1%}.",
            f"Sum over the planes at a pixel: {self.least:g} to {self.most:g}, {self.mean:.2f} on average.",
        ]
        if self.blind:
            said.append(f"{self.blind} pixels ({self.blind / pixels:.2%}) are open in no plane: they measure nothing.")
        if self.uncoded:
            said.append(
                f"{self.uncoded} pixels ({self.uncoded / pixels:.2%}) are equally open in all planes: of them only the "
                "sum of the frames is measured."
            )
        if self.planes > 1:
            said.append(self._of_repeats() if self.repeats else "No two planes are alike.")
        if self.step:
            said.append(self._of_step())
        elif any(step not in (None, (0, 0)) for step in self.steps):
            moved = ", ".join(
                f"{number + 2} ({_way(step)})" for number, step in enumerate(self.steps) if step not in (None, (0, 0))
            )
            said.append(f"These planes are the one before, moved: {moved}.")
        return said

    def _of_repeats(self) -> str:
        named = ", ".join(f"{one + 1} and {other + 1}" for one, other in self.repeats[:6])
        more = f" and {len(self.repeats) - 6} more pairs" if len(self.repeats) > 6 else ""
        return f"Planes that repeat: {named}{more}. Frames behind them cannot be told apart, only their sum is measured."

    def _of_step(self) -> str:
        return (
            f"It is one mask moved {_way(self.step)} a frame. What moves the same way stays behind the same part of it: "
            f"{1 - self.density:.0%} of it is never seen, and the rest is added up as without a mask."
        )


def inspect_mask(mask: np.ndarray) -> MaskTraits:
    """Look at a mask ``(T, H, W)``: density, sum over the planes, planes that repeat, whether planes are one that moves."""
    total = mask.sum(0, dtype=np.float64)
    repeats = tuple(
        (one, other)
        for one, other in itertools.combinations(range(len(mask)), 2)
        if _correlation(mask[one], mask[other]) >= ALIKE
    )
    return MaskTraits(
        *mask.shape,
        binary=bool(np.isin(mask, (0, 1)).all()),
        densities=tuple(mask.mean((1, 2), np.float64).tolist()),
        least=float(total.min()),
        mean=float(total.mean()),
        most=float(total.max()),
        blind=int((total == 0).sum()),
        uncoded=int(((mask.max(0) == mask.min(0)) & (total > 0)).sum()) if len(mask) > 1 else 0,
        repeats=repeats,
        steps=tuple(_step(before, after) for before, after in itertools.pairwise(mask)),
    )


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of two planes over their pixels, -1..1; 1 for equal ones, 0 where one of them alone is even."""
    if np.array_equal(one, other):
        return 1.0
    one, other = one - one.mean(dtype=np.float64), other - other.mean(dtype=np.float64)
    size = np.sqrt((one**2).sum() * (other**2).sum())
    return float((one * other).sum() / size) if size else 0.0


def _step(before: np.ndarray, after: np.ndarray) -> Step | None:
    """How far (down, right) ``before`` is moved to make ``after``, by the peak of their cross-correlation."""
    shape = tuple(2 * size for size in before.shape)  # what is moved out on one side must not come in on the other
    spectra = [np.fft.rfft2(plane - plane.mean(dtype=np.float64), shape) for plane in (before, after)]
    correlation = np.fft.irfft2(spectra[0].conj() * spectra[1], shape)
    peak = np.unravel_index(correlation.argmax(), shape)
    step = tuple(int(at) if at < size else int(at) - 2 * size for at, size in zip(peak, before.shape))
    if any(abs(move) > FURTHEST * size for move, size in zip(step, before.shape)):
        return None
    kept = [
        (slice(max(0, -move), size - max(0, move)), slice(max(0, move), size - max(0, -move)))
        for move, size in zip(step, before.shape)
    ]
    overlap = _correlation(before[kept[0][0], kept[1][0]], after[kept[0][1], kept[1][1]])
    return step if overlap >= ALIKE else None


def _way(step: Step) -> str:
    down, right = step
    parts = [f"{'down' if down > 0 else 'up'} by {abs(down)}"] * bool(down)
    parts += [f"{'right' if right > 0 else 'left'} by {abs(right)}"] * bool(right)
    return " and ".join(parts) + f" pixel{'s' * (max(abs(down), abs(right)) > 1)}"
