"""VRT in compiled pieces: attention blocks a few windows at a time, by functions that all blocks of a kind share.

A block treats every window by itself, so a compiled function of a few windows, with the weights as arguments, serves
every block of its kind at every scale and every size of clip: whatever the frame size, a handful of functions is compiled
once. Memory does not grow with the frame.
"""
import itertools
from functools import lru_cache

from mindspore import Tensor, ops

from mindrestore.models.vrt.attention import additives, attention_function, feed_forward, score_tables
from mindrestore.ops import windows
from mindrestore.ops.deformable import deformable_conv2d_features
from mindrestore.runtime.execution import compiled, mode

TOKENS = 6144  # at a time


class Segments:
    """A VRT network that runs piece by piece; for inference.

    Args:
        network: ``VRT``; its parameters are read at every call; ``settings`` are its own.
        tokens: most tokens a call of a compiled function takes, at least one window.
    """

    def __init__(self, network, tokens=TOKENS):
        self.network = network
        self.tokens = tokens

    @property
    def settings(self):
        return self.network.settings

    def __call__(self, clip):
        """Restore a clip; argument and result as ``VRT.construct``."""
        return self.network(clip, run=self)

    def group(self, group, x):
        """Return group(x) for features (N, D, H, W, C)."""
        for block in group.blocks:
            x = self.block(block, x)
        return x

    def block(self, block, x):
        """Return block(x) for features (N, D, H, W, C)."""
        channels = x.shape[-1]
        size = x.shape[1:4]
        count, in_window = windows.counted(x.shape[0], size, block.window, block.shifted)
        at_once = min(count, max(1, self.tokens // in_window))
        cut = windows.windows(x.shape[0], size, block.window, block.shifted, at_once)
        tokens = windows.to_windows(x.reshape(-1, channels), cut)
        tables = score_tables(block.attn.bias(cut.window), cut.masks, block.mutual)
        weights = [None if weight is None else Tensor(weight) for weight in (
            *block.attention_weights(), *block.mlp_weights())]
        function = _shared_function(mode(), *block.attention_kind)
        parts, reals, kinds = (_split(each, piece) for each, piece in (
            (tokens, at_once * in_window), (cut.real, at_once * in_window), (cut.kinds, at_once)))
        done = [function(part.reshape(at_once, in_window, channels), real, kind, *tables, *weights)
                for part, real, kind in zip(parts, reals, kinds)]
        return ops.gather(ops.cat(done), cut.inverse, 0).reshape(x.shape)

    def deform(self, x, offset, mask, weight, bias):
        """``ops.deformable.deformable_conv2d_features``, compiled once for each shape."""
        return _shared_deformation(mode())(x, offset, mask, Tensor(weight), Tensor(bias))


def _split(x, length):
    """Return pieces of ``length``; for None, None as often as anyone asks."""
    return itertools.repeat(None) if x is None else ops.split(x, length)


@lru_cache(maxsize=None)
def _shared_function(execution_mode, heads, scale, mutual_window):
    """Return the function that all blocks of a kind share, of all networks, compiled where ``execution_mode`` says so."""
    return compiled(_block_function(heads, scale, mutual_window))


@lru_cache(maxsize=None)
def _shared_deformation(execution_mode):
    return compiled(_deform)


def _deform(x, offset, mask, weight, bias):
    return deformable_conv2d_features(x, offset, mask, weight, bias)


def _block_function(heads, scale, mutual_window):
    attend = attention_function(heads, scale, mutual_window)
    split = 8 if mutual_window else 6  # weights of attention, before those of the MLP

    def block(x, real, kinds, self_table, mutual_table, *weights):
        to_self, to_mutual = additives(self_table, mutual_table, kinds, x.shape[0], x.shape[1])
        x = x + attend(x, real, to_self, to_mutual, *weights[:split])
        tokens = x.reshape(-1, x.shape[-1])
        return tokens + feed_forward(tokens, *weights[split:])
    return block
