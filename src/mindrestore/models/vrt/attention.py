"""Temporal mutual self-attention (TMSA): attention within shifted windows over frames, height and width.

Mutual attention lets the two frames of a window look at each other: each frame's queries meet the other's keys, which
aligns the other frame to it. It runs beside self-attention, which fuses all frames of its window.
Source: VRT (arXiv 2201.12288), sections 3.2 and 3.3. Features are channels last: (B, D, H, W, C).
"""
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.ops import constexpr

from mindrestore.models.vrt.layers import GatedMlp, LayerNorm, Linear, gated_mlp, normal
from mindrestore.ops import windows
from mindrestore.ops.half_precision import product
from mindrestore.ops.recomputation import Recomputed
from mindrestore.ops.rows import layer_norm, linear, repeated, scaled


class Group(nn.Cell):
    """Blocks of one window size, every second one with shifted windows."""

    def __init__(self, channels, depth, heads, window, mutual, drop_rates, options, rng):
        super().__init__()
        self.blocks = nn.CellList([Block(channels, heads, window, index % 2 == 1, mutual, drop_rates[index], options, rng)
                                   for index in range(depth)])

    def construct(self, x, kept=None):
        for block in self.blocks:
            x = block(x, kept)
        return x


class Block(nn.Cell):
    """x + attention(norm1 x), then x + mlp(norm2 x); in training either sum is now and then skipped a clip.

    ``number`` is its place among all blocks of the network, which gives it one.
    """

    def __init__(self, channels, heads, window, shifted, mutual, drop_rate, options, rng):
        super().__init__()
        self.window, self.shifted, self.mutual, self.drop_rate, self.number = window, shifted, mutual, drop_rate, 0
        self.norm1 = LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window, mutual, options, rng)
        self.norm2 = LayerNorm(channels)
        self.mlp = GatedMlp(channels, int(channels * options.mlp_ratio), channels, rng)
        scale = options.qk_scale or (channels // heads) ** -0.5
        self.attention_kind = heads, scale, window if mutual else None
        self.attend = windowed_function(window, shifted, *self.attention_kind)
        self.feed_forward = feed_forward

    def construct(self, x, kept=None):
        """x: (N, D, H, W, C); kept: (N, 2 · blocks), see ``VRT.construct``."""
        attended = self.attend(x, self.attn.relative_position_bias_table, *self.attention_weights())
        x = x + dropped(attended, kept, 2 * self.number)
        return x + dropped(self.feed_forward(x, *self.mlp_weights()), kept, 2 * self.number + 1)

    def recompute_parts(self, attention, mlp):
        """Let attention, MLP or both keep nothing for their gradients but what goes in (``ops.recomputation``)."""
        if attention:
            self.attend = Recomputed(self.attend)
        if mlp:
            self.feed_forward = Recomputed(self.feed_forward)

    def attention_weights(self):
        """Return the parameters that ``attend`` takes."""
        norm, attention = self.norm1, self.attn
        mutual = (attention.qkv_mut.weight, attention.qkv_mut.bias) if self.mutual else ()
        return (norm.weight, norm.bias, attention.qkv_self.weight, attention.qkv_self.bias,
                attention.proj.weight, attention.proj.bias, *mutual)

    def mlp_weights(self):
        """Return the parameters that ``feed_forward`` takes."""
        norm, mlp = self.norm2, self.mlp
        return (norm.weight, norm.bias, mlp.fc11.weight, mlp.fc11.bias, mlp.fc12.weight, mlp.fc12.bias,
                mlp.fc2.weight, mlp.fc2.bias)


class WindowAttention(nn.Cell):
    """The weights of self-attention and, where ``mutual``, of mutual attention."""

    def __init__(self, channels, heads, window, mutual, options, rng):
        super().__init__()
        self.window = window
        entries = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = normal(rng, (entries, heads), "relative_position_bias_table")
        self.qkv_self = Linear(channels, 3 * channels, rng, options.qkv_bias)
        self.proj = Linear((1 + mutual) * channels, channels, rng)
        if mutual:
            self.qkv_mut = Linear(channels, 3 * channels, rng, options.qkv_bias)

    def bias(self, window):
        """Return the relative position bias of ``window``: (heads, N, N)."""
        return position_bias(self.relative_position_bias_table, window, self.window)


def dropped(x, kept, column):
    """Stochastic depth (arXiv 1603.09382): multiply the features x (N, ...) of each clip by its number in a column of kept."""
    if kept is None:
        return x
    clips = kept.shape[0]
    return scaled(x.reshape(clips, -1), kept[:, column]).reshape(x.shape)


def attention_function(heads, scale, mutual_window=None):
    """Return attention of normalised tokens as a pure function of windows and weights; mutual too given its window.

    windows: (B, N, C); real: (B · N,) 0 for tokens that pad, or None; self_added: (B · heads, N, N); mutual_added: (B ·
    heads · 2, N / 2, N / 2) or None. Returns (B, N, C).
    """
    def self_attention(x, real, self_added, mutual_added, norm_weight, norm_bias, weight, bias, out_weight, out_bias):
        x = _normalised(x, real, norm_weight, norm_bias)
        return linear(_joined(_attention(*_split(linear(x, weight, bias), heads, scale), self_added), heads),
                      out_weight, out_bias)

    def both_attentions(x, real, self_added, mutual_added, norm_weight, norm_bias, weight, bias, out_weight, out_bias,
                        mutual_weight, mutual_bias):
        x = _normalised(x, real, norm_weight, norm_bias)
        fused = _joined(_attention(*_split(linear(x, weight, bias), heads, scale), self_added), heads)
        count, tokens, channels = x.shape
        positions = repeated(frame_positions(mutual_window[1:], channels), 2 * count).reshape(x.shape)
        query, key, value = _split(linear(x + positions, mutual_weight, mutual_bias), heads, scale)
        query = ops.cat((query[:, tokens // 2:], query[:, :tokens // 2]), 1)
        of_frames = (2 * count * heads, tokens // 2, channels // heads)
        aligned = _attention(query.reshape(of_frames), key.reshape(of_frames), value.reshape(of_frames), mutual_added)
        aligned = _joined(aligned.reshape(query.shape), heads)
        return linear(ops.cat((aligned, fused), -1), out_weight, out_bias)

    return both_attentions if mutual_window else self_attention


def windowed_function(window, shifted, heads, scale, mutual_window):
    """Return attention within windows of features (N, D, H, W, C), which it gives back in that order, as a pure function.

    It takes them, the table of relative position bias and ``Block.attention_weights``.
    """
    attend = attention_function(heads, scale, mutual_window)

    def of_features(x, bias_table, *weights):
        channels = x.shape[-1]
        cut = cut_of(x.shape, window, shifted)
        in_window = cut.window[0] * cut.window[1] * cut.window[2]
        tokens = windows.to_windows(x.reshape(-1, channels), cut).reshape(-1, in_window, channels)
        tables = score_tables(position_bias(bias_table, cut.window, window), cut.masks, mutual_window is not None)
        attended = attend(tokens, cut.real, *additives(*tables, cut.kinds, tokens.shape[0], in_window), *weights)
        return ops.gather(attended.reshape(-1, channels), cut.inverse, 0).reshape(x.shape)
    return of_features


def position_bias(table, window, table_window):
    """Return what relative positions add to the scores of a window, at most as large as the table's: (heads, N, N)."""
    tokens = window[0] * window[1] * window[2]
    return ops.gather(table.permute(1, 0), relative_positions(window, table_window), 1).reshape(-1, tokens, tokens)


def feed_forward(tokens, norm_weight, norm_bias, *weights):
    """The MLP of normalised tokens, (..., C) -> (..., C), as a pure function."""
    return gated_mlp(layer_norm(tokens, norm_weight, norm_bias), *weights)


def score_tables(bias, masks, mutual):
    """Return what every kind of window adds to its scores before softmax, for self- and for mutual attention.

    bias: (heads, N, N); masks: (kinds, N, N), None where windows are of one kind, without a mask. Returns (kinds, heads · N ·
    N) and (kinds, 2 · heads · N / 2 · N / 2), the latter None where there is no mask or no mutual attention.
    """
    heads, tokens, _ = bias.shape
    if masks is None:
        return bias.reshape(1, -1), None
    summed = (bias.unsqueeze(0) + masks.unsqueeze(1)).reshape(masks.shape[0], -1)
    if not mutual:
        return summed, None
    half = tokens // 2
    return summed, ops.tile(masks[:, :half, :half].unsqueeze(1), (1, 2 * heads, 1, 1)).reshape(masks.shape[0], -1)


def additives(self_table, mutual_table, kinds, count, tokens):
    """Return what is added to the scores of each of ``count`` windows and its heads; tables as ``score_tables`` makes them.

    kinds: (count,) or None. Returns (count · heads, N, N) and (count · heads · 2, N / 2, N / 2) or None.
    """
    to_self = repeated(self_table, count) if kinds is None else ops.gather(self_table, kinds, 0)
    to_mutual = None
    if mutual_table is not None:
        to_mutual = ops.gather(mutual_table, kinds, 0).reshape(-1, tokens // 2, tokens // 2)
    return to_self.reshape(-1, tokens, tokens), to_mutual


def _normalised(x, real, weight, bias):
    """Return layer-normalised windows, zero where a token pads."""
    y = layer_norm(x, weight, bias)
    return y if real is None else scaled(y.reshape(-1, y.shape[-1]), real).reshape(y.shape)


def _split(qkv, heads, scale):
    """(B, N, 3 C) -> scaled query, key, value of all heads, each (B · heads, N, C / heads)."""
    count, tokens, channels = qkv.shape
    rows = qkv.reshape(count * tokens * 3 * heads, -1)
    one = (count * heads, tokens, channels // heads // 3)
    query, key, value = [permuted(rows, (count, tokens, 3, heads), part).reshape(one) for part in range(3)]
    return scale * query, key, value


def _joined(x, heads):
    """Undo ``_split``: (B · heads, N, C / heads) -> (B, N, C)."""
    tokens, channels = x.shape[1:]
    count = x.shape[0] // heads
    rows = permuted(x.reshape(-1, channels), (count, heads, 1, tokens), 0)
    return rows.reshape(count, tokens, heads * channels)


def permuted(rows, sizes, part):
    """Rows numbered by (a, b, c, d) with c = ``part``, in the order (a, d, b): a gather, where a CPU transposes slowly."""
    return ops.gather(rows, _permutation(sizes, part), 0)


def _attention(query, key, value, added):
    """softmax(query @ key.T + added) @ value for each (tokens, channels)."""
    scores = product(ops.BatchMatMul(transpose_b=True), query, key)
    return product(ops.BatchMatMul(), ops.softmax(scores if added is None else scores + added, -1), value)


@constexpr
def cut_of(shape, window, shifted):
    """Return the ``Windows`` of features of ``shape`` (B, D, H, W, C)."""
    return windows.windows(shape[0], shape[1:4], window, shifted)


@constexpr
def relative_positions(window, table_window):
    """Return the row of the bias table for each pair of tokens: (N · N,)."""
    return Tensor(windows.relative_positions(window, table_window).reshape(-1))


@constexpr
def frame_positions(window, channels):
    """Return the position encoding of the tokens of one frame of a window: (h · w, C)."""
    return Tensor(windows.sine_positions(*window, channels))


@constexpr
def _permutation(sizes, part):
    numbers = np.arange(np.prod(sizes), dtype=np.int32).reshape(sizes)[:, :, part]
    return Tensor(np.transpose(numbers, (0, 2, 1)).reshape(-1))
