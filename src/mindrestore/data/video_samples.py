"""Training samples of video restoration: a low-quality clip and its ground truth, drawn as the published recipe does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mindrestore.data.degradation import degraded, with_noise
from mindrestore.data.passes import Passes

if TYPE_CHECKING:
    from mindrestore.data.subclips import SubclipSource

WHITE = 255
INTERPOLATED = 7  # frames of a subclip for interpolation: the middle one is made from every second of the others
JITTER = 0.05  # largest relative change of brightness, contrast and saturation, and largest turn of hue, of the whole circle
LUMA = np.array([0.2989, 0.587, 0.114], np.float32).reshape(3, 1, 1)  # weights of the grey of saturation and contrast


class VideoSample(NamedTuple):
    gt: np.ndarray  # (T, 3, H, W) float32 0–1; interpolation: T = 1
    lq: np.ndarray  # (T, C, h, w) float32; denoising: C = 4, the last is the noise level


class VideoSamples:
    """An endless sequence of samples, each decided by the seed and its number alone.

    Args:
        subclips: a ``mindrestore.data.subclips.SubclipSource``.
        task: ``"sr"``, ``"deblur"``, ``"denoise"`` or ``"interpolate"``.
        degradation: that makes low quality where subclips have none: ``"bicubic"``, ``"gaussian"`` or ``"blur"``.
        scale: of super-resolution.
        sigma: smallest and largest noise level for white = 255; each clip draws one, uniformly.
        time_reversal: whether half of the clips run backwards.
        colour_jitter: whether brightness, contrast, saturation and hue change by up to 5 %, the same for a whole clip.
        pad_frames: length that shorter clips are padded to by repeating the last frame, or ``None``.
        seed: of order, places, augmentation and noise.
    """

    columns = ("gt", "lq")

    def __init__(
        self,
        subclips: SubclipSource,
        task: str,
        degradation: str | None = None,
        scale: int = 1,
        sigma: tuple[float, float] = (0, 50),
        *,
        time_reversal: bool = False,
        colour_jitter: bool = False,
        pad_frames: int | None = None,
        seed: int = 0,
    ) -> None:
        self.subclips, self.task, self.degradation, self.scale, self.sigma = subclips, task, degradation, scale, sigma
        self.time_reversal, self.colour_jitter, self.pad_frames = time_reversal, colour_jitter, pad_frames
        self.seed, self.holds_lock = seed, subclips.holds_lock
        self._order = Passes(len(subclips), seed)

    def __len__(self) -> int:
        """Samples of one pass."""
        return len(self.subclips)

    def name(self, number: int) -> str:
        """What sample ``number`` is cut out of."""
        return self.subclips.name(self._order[number])

    def __getitem__(self, number: int) -> VideoSample:
        """Return sample ``number`` (0, 1, 2, ...) as a ``VideoSample``."""
        rng = np.random.default_rng([self.seed, number])
        gt, lq = self.subclips.subclip(self._order[number], rng)
        clips = [gt] if lq is None else [gt, lq]
        if self.time_reversal and rng.random() < 0.5:
            clips = [clip[::-1] for clip in clips]
        if self.colour_jitter:
            clips = jittered(clips, rng)
        clips = turned(clips, rng)
        if self.task == "interpolate":
            gt = clips[0]
            return _sample(gt[INTERPOLATED // 2 : INTERPOLATED // 2 + 1], gt[::2])
        if self.task == "denoise":
            return _sample(clips[0], noisy_with_level(clips[0], rng.uniform(*self.sigma) / WHITE, rng))
        gt = clips[0]
        lq = clips[1] if len(clips) > 1 else np.stack(list(degraded(gt, self.degradation, self.scale)))
        return _sample(*(filled(clip, self.pad_frames) for clip in (gt, lq)))


def turned(clips: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Mirror left-right, mirror top-bottom and transpose clips (T, C, H, W), each with probability 0.5, the same for all."""
    left_right, top_bottom, transposed = rng.random(3) < 0.5
    clips = [clip[..., :: -1 if top_bottom else 1, :: -1 if left_right else 1] for clip in clips]
    return [clip.swapaxes(-1, -2) for clip in clips] if transposed else clips


def jittered(clips: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Change brightness, contrast, saturation and hue of clips (T, 3, H, W), in random order, the same for all clips."""
    factors = rng.uniform(1 - JITTER, 1 + JITTER, len(CHANGES)).astype(np.float32)
    for number in rng.permutation(len(CHANGES)):
        clips = CHANGES[number](clips, factors[number])
    return clips


def _blended(clips: Iterable[np.ndarray], others: Iterable[np.ndarray | np.float32], factor: np.float32) -> list[np.ndarray]:
    """Interpolate, or extrapolate, linearly from others (0) to clips (1), clamped to 0–1."""
    return [np.clip(other + factor * (clip - other), 0, 1) for clip, other in zip(clips, others)]


def _brightness(clips: Sequence[np.ndarray], factor: np.float32) -> list[np.ndarray]:
    return _blended(clips, np.zeros(len(clips), np.float32), factor)


def _contrast(clips: Sequence[np.ndarray], factor: np.float32) -> list[np.ndarray]:
    """Around the mean grey of each frame of the first clip, which is ground truth."""
    return _blended(clips, [_grey(clips[0]).mean((1, 2, 3), keepdims=True)] * len(clips), factor)


def _saturation(clips: Sequence[np.ndarray], factor: np.float32) -> list[np.ndarray]:
    return _blended(clips, map(_grey, clips), factor)


def _hue(clips: Sequence[np.ndarray], factor: np.float32) -> list[np.ndarray]:
    """By ``factor`` - 1 of the circle of hues."""
    return [np.stack([_turned_hue(frame, 360 * (factor - 1)) for frame in clip]) for clip in clips]


CHANGES = (_brightness, _contrast, _saturation, _hue)


def _grey(clip: np.ndarray) -> np.ndarray:
    return (LUMA * clip).sum(1, keepdims=True)


def _turned_hue(frame: np.ndarray, degrees: float) -> np.ndarray:
    hsv = cv2.cvtColor(np.ascontiguousarray(frame.transpose(1, 2, 0), np.float32), cv2.COLOR_RGB2HSV)  # hue in degrees
    hsv[..., 0] = (hsv[..., 0] + degrees) % 360
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).transpose(2, 0, 1)


def noisy_with_level(clip: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of standard deviation ``level`` to (T, 3, H, W) and append the level: (T, 4, H, W)."""
    return np.concatenate([with_noise(clip, level, rng), np.full_like(clip[:, :1], level)], 1)


def filled(clip: np.ndarray, frames: int | None) -> np.ndarray:
    """Repeat the last frame of a clip until it has ``frames``."""
    missing = (frames or 0) - len(clip)
    return np.concatenate([clip, np.repeat(clip[-1:], missing, 0)]) if missing > 0 else clip


def _sample(gt: np.ndarray, lq: np.ndarray) -> VideoSample:
    return VideoSample(np.ascontiguousarray(gt, np.float32), np.ascontiguousarray(lq, np.float32))
