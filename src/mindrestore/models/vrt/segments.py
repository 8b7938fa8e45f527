"""VRT in compiled pieces: attention blocks a few windows at a time, by functions that all blocks of a kind share, and
alignment image by image.

A block treats every window by itself, so a compiled function of a few windows, with the weights as arguments, serves
every block of its kind at every scale and every size of clip: whatever the frame size, a handful of functions is compiled
once. Memory does not grow with the frame.
"""
import itertools
from functools import lru_cache

from mindspore import Tensor, ops

from mindrestore.models.vrt.alignment import align_function
from mindrestore.models.vrt.attention import additives, attention_function, feed_forward, score_tables
from mindrestore.models.vrt.layers import gated_mlp
from mindrestore.ops import windows
from mindrestore.runtime.execution import compiled, mode

TOKENS = 3072  # at a time


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
        weights = _values((*block.attention_weights(), *block.mlp_weights()))
        function = _shared(mode(), _block_function, *block.attention_kind)
        parts, reals = (_split(each, at_once * in_window) for each in (tokens, cut.real))
        if cut.kinds is None:  # all windows are of one kind
            added = itertools.repeat(additives(*tables, None, at_once, in_window))
        else:
            added = (additives(*tables, kinds, at_once, in_window) for kinds in ops.split(cut.kinds, at_once))
        done = [function(part.reshape(at_once, in_window, channels), real, *of_scores, *weights)
                for part, real, of_scores in zip(parts, reals, added)]
        return ops.gather(ops.cat(done), cut.inverse, 0).reshape(x.shape)

    def align(self, alignment, images):
        """Return ``alignment.align`` of images and flows, each (B, ...): one after the other, in less memory and faster."""
        function = _shared(mode(), align_function, alignment.neighbours, alignment.residue)
        weights = _values(alignment.weights())
        return ops.cat([function(*(each[index:index + 1] for each in images), *weights) for index in range(images[0].shape[0])])

    def tokens_apart(self, layer, x):
        """Return layer(x) for a ``GatedMlp`` and features (..., C), ``tokens`` at a time."""
        weights = _values((layer.fc11.weight, layer.fc11.bias, layer.fc12.weight, layer.fc12.bias,
                           layer.fc2.weight, layer.fc2.bias))
        rows = x.reshape(-1, x.shape[-1])
        function = _shared(mode(), _mlp_function)
        done = [function(part, *weights) for part in ops.split(rows, min(self.tokens, rows.shape[0]))]
        return ops.cat(done).reshape(*x.shape[:-1], -1)


def _values(weights):
    """Return the parameters' values as plain tensors: a compiled function takes a Parameter for a constant."""
    return [None if weight is None else Tensor(weight) for weight in weights]


def _split(x, length):
    """Return pieces of ``length``; for None, None as often as anyone asks."""
    return itertools.repeat(None) if x is None else ops.split(x, length)


@lru_cache(maxsize=None)
def _shared(execution_mode, make, *settings):
    """Return ``make(*settings)``, one function for all networks, compiled where ``execution_mode`` says so."""
    return compiled(make(*settings))


def _block_function(heads, scale, mutual_window):
    attend = attention_function(heads, scale, mutual_window)
    split = 8 if mutual_window else 6  # weights of attention, before those of the MLP

    def block(x, real, to_self, to_mutual, *weights):
        x = x + attend(x, real, to_self, to_mutual, *weights[:split])
        tokens = x.reshape(-1, x.shape[-1])
        return tokens + feed_forward(tokens, *weights[split:])
    return block


def _mlp_function():
    return gated_mlp
