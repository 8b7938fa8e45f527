"""Training samples of video restoration: a low-quality clip and its ground truth, drawn as the published recipe does."""
from typing import NamedTuple

import cv2
import numpy as np

from mindrestore.data.degradation import degraded, with_noise
from mindrestore.data.passes import Passes

WHITE = 255
INTERPOLATED = 7  # frames of a subclip for interpolation: the middle one is made from every second of the others
JITTER = 0.05  # largest part by which brightness, contrast and saturation change, and of the circle by which hue turns
LUMA = np.array([0.2989, 0.587, 0.114], np.float32).reshape(3, 1, 1)  # weights of what saturation and contrast take for grey


class VideoSample(NamedTuple):
    gt: np.ndarray  # (T, 3, H, W) float32 0–1; interpolation: T = 1
    lq: np.ndarray  # (T, C, h, w) float32; denoising: C = 4, the last is the noise level


class VideoSamples:
    """An endless sequence of samples, each decided by the seed and its number alone.

    Args:
        subclips: source of subclips (``mindrestore.data.subclips``).
        task: ``"sr"``, ``"deblur"``, ``"denoise"`` or ``"interpolate"``.
        degradation: how low quality is made where subclips have none: ``"bicubic"``, ``"gaussian"`` or ``"blur"``.
        scale: of super-resolution.
        sigma: smallest and largest noise level for white = 255; one is drawn a clip, evenly.
        time_reversal: whether half of the clips run backwards.
        colour_jitter: whether brightness, contrast, saturation and hue change by up to 5 %, the same for a whole clip.
        pad_frames: frames that clips are filled up to by repeating the last, or ``None``.
        seed: of order, places, augmentation and noise.
    """

    columns = ("gt", "lq")

    def __init__(self, subclips, task, degradation=None, scale=1, sigma=(0, 50), time_reversal=False, colour_jitter=False,
                 pad_frames=None, seed=0):
        self.subclips, self.task, self.degradation, self.scale, self.sigma = subclips, task, degradation, scale, sigma
        self.time_reversal, self.colour_jitter, self.pad_frames = time_reversal, colour_jitter, pad_frames
        self.seed = seed
        self._order = Passes(len(subclips), seed)

    def __len__(self):
        """Samples of one pass."""
        return len(self.subclips)

    def name(self, number):
        """What sample ``number`` is cut out of."""
        return self.subclips.name(self._order[number])

    def __getitem__(self, number):
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
            return _sample(gt[INTERPOLATED // 2:INTERPOLATED // 2 + 1], gt[::2])
        if self.task == "denoise":
            return _sample(clips[0], noisy_with_level(clips[0], rng.uniform(*self.sigma) / WHITE, rng))
        gt = clips[0]
        lq = clips[1] if len(clips) > 1 else np.stack(list(degraded(gt, self.degradation, self.scale)))
        return _sample(*(filled(clip, self.pad_frames) for clip in (gt, lq)))


def turned(clips, rng):
    """Mirror left-right, mirror top-bottom and transpose clips (T, C, H, W), each with probability 0.5, all alike."""
    left_right, top_bottom, transposed = rng.random(3) < 0.5
    clips = [clip[..., ::-1 if top_bottom else 1, ::-1 if left_right else 1] for clip in clips]
    return [clip.swapaxes(-1, -2) for clip in clips] if transposed else clips


def jittered(clips, rng):
    """Change brightness, contrast, saturation and hue of clips (T, 3, H, W) a little, in random order, all alike."""
    factors = rng.uniform(1 - JITTER, 1 + JITTER, len(CHANGES)).astype(np.float32)
    for number in rng.permutation(len(CHANGES)):
        clips = CHANGES[number](clips, factors[number])
    return clips


def _blended(clips, others, factor):
    """Clips, ``factor`` times as far from others as they were."""
    return [np.clip(other + factor * (clip - other), 0, 1) for clip, other in zip(clips, others)]


def _brightness(clips, factor):
    return _blended(clips, np.zeros(len(clips), np.float32), factor)


def _contrast(clips, factor):
    """Around the mean grey of each frame, for all clips that of the first."""
    return _blended(clips, [_grey(clips[0]).mean((1, 2, 3), keepdims=True)] * len(clips), factor)


def _saturation(clips, factor):
    return _blended(clips, map(_grey, clips), factor)


def _hue(clips, factor):
    """By ``factor`` - 1 of the circle of colours."""
    return [np.stack([_turned_hue(frame, 360 * (factor - 1)) for frame in clip]) for clip in clips]


CHANGES = (_brightness, _contrast, _saturation, _hue)


def _grey(clip):
    return (LUMA * clip).sum(1, keepdims=True)


def _turned_hue(frame, degrees):
    hsv = cv2.cvtColor(np.ascontiguousarray(frame.transpose(1, 2, 0), np.float32), cv2.COLOR_RGB2HSV)  # hue in degrees
    hsv[..., 0] = (hsv[..., 0] + degrees) % 360
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).transpose(2, 0, 1)


def noisy_with_level(clip, level, rng):
    """Add Gaussian noise of standard deviation ``level`` to (T, 3, H, W) and append the level: (T, 4, H, W)."""
    return np.concatenate([with_noise(clip, level, rng), np.full_like(clip[:, :1], level)], 1)


def filled(clip, frames):
    """Repeat the last frame of a clip until it has ``frames``."""
    missing = (frames or 0) - len(clip)
    return np.concatenate([clip, np.repeat(clip[-1:], missing, 0)]) if missing > 0 else clip


def _sample(gt, lq):
    return VideoSample(np.ascontiguousarray(gt, np.float32), np.ascontiguousarray(lq, np.float32))
