"""Training samples of video restoration: a low-quality clip and its ground truth, drawn as the published recipe does."""
from typing import NamedTuple

import numpy as np

from mindrestore.data.degradation import degraded, with_noise
from mindrestore.data.passes import Passes

WHITE = 255
INTERPOLATED = 7  # frames of a window for interpolation: the middle one is made from every second of the others
JITTER = 0.05  # largest part by which brightness, contrast and saturation change


class VideoSample(NamedTuple):
    gt: np.ndarray  # (T, 3, H, W) float32 0–1; interpolation: T = 1
    lq: np.ndarray  # (T, C, h, w) float32; denoising: C = 4, the last is the noise level


class VideoSamples:
    """An endless sequence of samples, each decided by the seed and its number alone.

    Args:
        windows: source of windows (``mindrestore.data.video_windows``).
        task: ``"sr"``, ``"deblur"``, ``"denoise"`` or ``"interpolate"``.
        degradation: how low quality is made where windows have none: ``"bicubic"``, ``"gaussian"`` or ``"blur"``.
        scale: of super-resolution.
        sigma: smallest and largest noise level for white = 255; one is drawn a clip, evenly.
        time_reversal: whether half of the clips run backwards.
        colour_jitter: whether brightness, contrast and saturation change by up to 5 %, the same for a whole clip.
        pad_frames: frames that clips are filled up to by repeating the last, or ``None``.
        seed: of order, places, augmentation and noise.
    """

    columns = ("gt", "lq")

    def __init__(self, windows, task, degradation=None, scale=1, sigma=(0, 50), time_reversal=False, colour_jitter=False,
                 pad_frames=None, seed=0):
        self.windows, self.task, self.degradation, self.scale, self.sigma = windows, task, degradation, scale, sigma
        self.time_reversal, self.colour_jitter, self.pad_frames = time_reversal, colour_jitter, pad_frames
        self.seed = seed
        self._order = Passes(len(windows), seed)

    def __len__(self):
        """Samples of one pass."""
        return len(self.windows)

    def name(self, number):
        """What sample ``number`` is cut out of."""
        return self.windows.name(self._order[number])

    def __getitem__(self, number):
        """Return sample ``number`` (0, 1, 2, ...) as a ``VideoSample``."""
        rng = np.random.default_rng([self.seed, number])
        gt, lq = self.windows.window(self._order[number], rng)
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
    """Change brightness, contrast and saturation of clips (T, 3, H, W) a little, all alike."""
    brightness, contrast, saturation = rng.uniform(1 - JITTER, 1 + JITTER, 3).astype(np.float32)
    middle = clips[0].mean()
    changed = []
    for clip in clips:
        clip = (brightness * clip - middle) * contrast + middle
        grey = clip.mean(1, keepdims=True)
        changed.append(np.clip(grey + (clip - grey) * saturation, 0, 1))
    return changed


def noisy_with_level(clip, level, rng):
    """Add Gaussian noise of standard deviation ``level`` to (T, 3, H, W) and append the level: (T, 4, H, W)."""
    return np.concatenate([with_noise(clip, level, rng), np.full_like(clip[:, :1], level)], 1)


def filled(clip, frames):
    """Repeat the last frame of a clip until it has ``frames``."""
    missing = (frames or 0) - len(clip)
    return np.concatenate([clip, np.repeat(clip[-1:], missing, 0)]) if missing > 0 else clip


def _sample(gt, lq):
    return VideoSample(np.ascontiguousarray(gt, np.float32), np.ascontiguousarray(lq, np.float32))
