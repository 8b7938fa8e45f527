"""Networks that need no training: they take and give what a VRT does and compute what a test can predict. Weights that stand in
for those of a trained SpyNet.
"""
import numpy as np
from mindspore import Tensor


class StandIn:
    """Repeats every pixel ``upscale`` times; with ``nonblind_denoising`` drops the level; with ``pa_frames`` 0 gives
    the mean of the middle two frames of four. ``shapes`` are those it was given.
    """

    def __init__(self, upscale=1, window_size=(2, 8, 8), pa_frames=2, nonblind_denoising=False):
        self.settings = dict(upscale=upscale, window_size=list(window_size), pa_frames=pa_frames,
                             nonblind_denoising=nonblind_denoising)
        self.shapes, self.inputs = [], []

    def __call__(self, x):
        x = x.asnumpy()
        self.shapes.append(x.shape)
        scale = self.settings["upscale"]
        self.last = x
        if self.settings["pa_frames"] == 0:
            assert x.shape[1] == 4
            return Tensor(x[:, 1:3].mean(1, keepdims=True))
        return Tensor(self.compute(x[:, :, :3]).repeat(scale, -1).repeat(scale, -2))

    def compute(self, x):
        return x

    def get_parameters(self):
        return []


class PlaceDependent(StandIn):
    """Adds to every pixel something that depends on where it lies in its tile, as a real network's border does."""

    def compute(self, x):
        depth, _, height, width = x.shape[1:]
        ramp = np.arange(depth)[:, None, None, None] + 0.1 * np.arange(height)[:, None] + 0.01 * np.arange(width)
        return x + ramp.astype(np.float32)


def flow_weights(folder):
    """Write weights for SpyNet into ``folder``, as a run that starts with it frozen is given them; return the path."""
    from mindrestore.models import create_model
    path = folder / "flow.npz"
    np.savez(path, **{parameter.name: parameter.asnumpy() for parameter in create_model("spynet", seed=9).get_parameters()})
    return str(path)
