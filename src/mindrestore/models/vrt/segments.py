"""VRT in compiled pieces: attention blocks a few windows at a time, by functions that all blocks of a kind share.

A block treats every window by itself, so a compiled function of a few windows, with the weights as arguments, serves
every block of its kind at every scale and every size of clip: whatever the frame size, a handful of functions is compiled
once. The scores of a few windows fit the processor's cache, and memory does not grow with the frame.
"""
import math

from mindspore import Tensor, ops

from mindrestore.models.vrt.attention import additives, attention_function, cut_of, feed_forward
from mindrestore.ops import windows
from mindrestore.runtime.execution import compiled

TOKENS = 1024  # at a time


class Segments:
    """A VRT network that runs piece by piece; for inference.

    Args:
        network: ``VRT``; its parameters are read at every call, stochastic depth is left out.
        tokens: most tokens a call of a compiled function takes, at least one window.
    """

    def __init__(self, network, tokens=TOKENS):
        self.network = network
        self.tokens = tokens
        self._functions = {}  # by kind of attention

    def __call__(self, clip):
        """Restore a clip; argument and result as ``VRT.construct``."""
        return self.network(clip, run=self.run_group)

    def run_group(self, group, x):
        """Return group(x) for features (N, D, H, W, C)."""
        for block in group.blocks:
            x = self.run_block(block, x)
        return x

    def run_block(self, block, x):
        """Return block(x) for features (N, D, H, W, C)."""
        channels = x.shape[-1]
        cut = cut_of(x.shape, block.window, block.shifted)
        in_window = math.prod(cut.window)
        count = cut.order.shape[0] // in_window
        at_once = min(count, max(1, self.tokens // in_window))
        tokens = windows.to_windows(x.reshape(-1, channels), cut)
        bias = block.attn.bias(cut.window)
        added = None if cut.kinds is not None else additives(bias, None, None, at_once, block.mutual)
        weights = [None if weight is None else Tensor(weight) for weight in (
            *block.attention_weights(), *block.mlp_weights())]
        function = self._function(block)
        done = []
        for first in range(0, count, at_once):
            start = min(first, count - at_once)  # the last call repeats some windows, so that all calls are alike
            rows = slice(start * in_window, (start + at_once) * in_window)
            part = tokens[rows].reshape(at_once, in_window, channels)
            real = None if cut.real is None else cut.real[rows]
            kinds = None if cut.kinds is None else cut.kinds[start: start + at_once]
            to_self, to_mutual = added or additives(bias, cut.masks, kinds, at_once, block.mutual)
            result = function(part, real, to_self, to_mutual, *weights)
            done.append(result[(first - start) * in_window:])
        return ops.gather(ops.cat(done), cut.inverse, 0).reshape(x.shape)

    def _function(self, block):
        """Return the compiled function that blocks of this one's kind share."""
        kind = block.attention_kind
        if kind not in self._functions:
            self._functions[kind] = compiled(_block_function(*kind))
        return self._functions[kind]


def _block_function(heads, scale, mutual_window):
    attend = attention_function(heads, scale, mutual_window)
    split = 8 if mutual_window else 6  # weights of attention, before those of the MLP

    def block(x, real, to_self, to_mutual, *weights):
        x = x + attend(x, real, to_self, to_mutual, *weights[:split])
        tokens = x.reshape(-1, x.shape[-1])
        return tokens + feed_forward(tokens, *weights[split:])
    return block
