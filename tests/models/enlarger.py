"""A third network, as a user brings one: a clip enlarged by nearest neighbour, and a convolution that corrects it."""

from typing import ClassVar, Literal

import numpy as np
from mindspore import Tensor, nn, ops

from mindrestore.errors import UserError
from mindrestore.models.kind import VideoAbilities, VideoKind
from mindrestore.models.settings import Settings, Whole


class EnlargerSettings(Settings):
    title: ClassVar[str] = "Enlarger"

    name: Literal["enlarger"] = "enlarger"
    times: Literal[2, 3] = 2
    kernel: Whole = 3

    @property
    def abilities(self):
        return VideoAbilities(tasks=("sr",), scale=self.times, clip=(2, 24, 32))


class Enlarger(nn.Cell):
    """(N, D, 3, H, W) -> (N, D, 3, times · H, times · W)"""

    def __init__(self, settings, seed=0):
        super().__init__()
        self.times = settings.times
        weight = np.random.default_rng(seed).normal(0, 0.01, (3 * self.times**2, 3, settings.kernel, settings.kernel))
        self.conv = nn.Conv2d(
            3,
            3 * self.times**2,
            settings.kernel,
            has_bias=True,
            pad_mode="same",
            weight_init=Tensor(weight.astype(np.float32)),
            bias_init="zeros",
        )

    def construct(self, x):
        n, d, c, h, w = x.shape
        frames = x.reshape(n * d, c, h, w)
        corrections = ops.pixel_shuffle(self.conv(frames), self.times)
        enlarged = ops.repeat_interleave(ops.repeat_interleave(frames, self.times, 2), self.times, 3)
        return (enlarged + corrections).reshape(n, d, c, self.times * h, self.times * w)

    def multiply_adds(self, frames, height, width):
        return frames * height * width * self.conv.weight.size


class EnlargerKind(VideoKind):
    settings = EnlargerSettings

    def network(self, settings, seed=0):
        return Enlarger(settings, seed)

    def published_settings(self, shapes):
        if set(shapes) != {"conv.weight", "conv.bias"}:
            raise UserError("is no Enlarger: it has more than one convolution.")
        outputs, _, kernel, _ = shapes["conv.weight"]
        return {"times": round((outputs / 3) ** 0.5), "kernel": kernel}


KIND = EnlargerKind()
