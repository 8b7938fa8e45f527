"""Temporal mutual self-attention (TMSA): attention within shifted windows over frames, height and width.

In mutual attention the queries of each of the two frames of a window attend to the keys of the other, which aligns the other
frame to it. Beside it, self-attention fuses all frames of the window.
Source: VRT (arXiv 2201.12288), sections 3.2 and 3.3. Features are channels last: (B, D, H, W, C).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.ops import constexpr

from mindrestore.models.piece import Itemwise, Section, Weights, named
from mindrestore.models.vrt.layers import GatedMlp, LayerNorm, Linear, gated_mlp, normal
from mindrestore.models.vrt.settings import Options
from mindrestore.native.attention_block import AttentionBlock
from mindrestore.ops import windows
from mindrestore.ops.half_precision import product
from mindrestore.ops.recomputation import Recomputed, evaluated
from mindrestore.ops.rows import Permuted, layer_norm, linear, repeated, scaled
from mindrestore.ops.windows import Sizes


class Group(Section):
    """Blocks of one window size; every second one has shifted windows.

    Args:
        channels: of the features.
        depth: number of blocks.
        heads: of attention.
        window: (frames, height, width).
        mutual: whether the blocks have mutual attention beside self-attention.
        drop_rates: of stochastic depth, one for each block.
        options: that all blocks of the network share.
        rng: of the first weights.
    """

    size = "group"

    def __init__(
        self,
        channels: int,
        *,
        depth: int,
        heads: int,
        window: Sizes,
        mutual: bool,
        drop_rates: Sequence[float],
        options: Options,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.blocks = nn.CellList(
            [
                Block(
                    channels,
                    heads=heads,
                    window=window,
                    shifted=index % 2 == 1,
                    mutual=mutual,
                    drop_rate=drop_rates[index],
                    options=options,
                    rng=rng,
                )
                for index in range(depth)
            ]
        )

    def construct(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x


class Block(nn.Cell):
    """x + attention(norm1 x), then x + mlp(norm2 x) of features (N, D, H, W, C); see ``WindowedBlock``."""

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        window: Sizes,
        shifted: bool,
        mutual: bool,
        drop_rate: float,
        options: Options,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.drop_rate = drop_rate
        self.norm1 = LayerNorm(channels)
        self.attn = WindowAttention(channels, heads=heads, window=window, mutual=mutual, options=options, rng=rng)
        self.norm2 = LayerNorm(channels)
        self.mlp = GatedMlp(channels, int(channels * options.mlp_ratio), channels, rng)
        self.of_windows = WindowedBlock(
            self,
            heads=heads,
            scale=options.qk_scale or (channels // heads) ** -0.5,
            window=window,
            shifted=shifted,
            mutual=mutual,
            qkv_bias=options.qkv_bias,
        )

    def construct(self, x: Tensor) -> Tensor:
        return self.of_windows(x)


class WindowAttention(nn.Cell):
    """The weights of self-attention and, where ``mutual``, of mutual attention."""

    def __init__(
        self, channels: int, *, heads: int, window: Sizes, mutual: bool, options: Options, rng: np.random.Generator
    ) -> None:
        super().__init__()
        entries = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = normal(rng, (entries, heads), "relative_position_bias_table")
        self.qkv_self = Linear(channels, 3 * channels, rng, options.qkv_bias)
        self.proj = Linear((1 + mutual) * channels, channels, rng)
        if mutual:
            self.qkv_mut = Linear(channels, 3 * channels, rng, options.qkv_bias)


class WindowedBlock(Itemwise):
    """A ``Block`` as a piece whose items are windows of tokens.

    Stochastic depth (arXiv 1603.09382): in training, attention and MLP of each clip are multiplied by ``multipliers``, 0
    (dropped) or 1 / keep probability: a parameter (clips, 2 · blocks of the network), columns ``2 · number`` and
    ``2 · number + 1`` for this block. None: nothing is dropped.
    """

    compiled = True

    def __init__(
        self, block: Block, *, heads: int, scale: float, window: Sizes, shifted: bool, mutual: bool, qkv_bias: bool
    ) -> None:
        super().__init__(
            (heads, scale, window, mutual, qkv_bias), norm1=block.norm1, attn=block.attn, norm2=block.norm2, mlp=block.mlp
        )
        self.heads, self.scale, self.window, self.shifted, self.mutual, self.qkv_bias = (
            heads,
            scale,
            window,
            shifted,
            mutual,
            qkv_bias,
        )
        self.number = 0
        self.__dict__["multipliers"] = None
        self.attend = self.feed_forward = None  # ``Recomputed`` attention and MLP, if they are

    def recompute_parts(self, attention: bool, mlp: bool) -> None:
        """In whole-graph training, store only the inputs of attention, of the MLP or of both, and recompute the rest."""
        of_mlp = [name for name in self.names if name.startswith(("norm2.", "mlp."))]
        if attention:
            self.attend = Recomputed(self.attention_part, [name for name in self.names if name not in of_mlp])
        if mlp:
            self.feed_forward = Recomputed(self.mlp_part, of_mlp)

    def construct(self, x: Tensor) -> Tensor:
        w = named(self.names, self.weights)
        cut = cut_of(x.shape, self.window, self.shifted)
        tokens = self.enter(cut, x)
        shared = self.shared(w, tokens.shape[0], *self.tables(cut))
        return self.leave(cut, self.compute(w, shared, self.constants(cut, x), tokens))

    def layout(self, x: Tensor) -> windows.Windows:
        return windows.windows(x.shape[0], x.shape[1:4], self.window, self.shifted)

    def cost(self, tokens: Tensor) -> int:
        _, count, channels = tokens.shape
        return 2 * count * (self.heads * count + 4 * channels)  # scores before and after softmax; queries, keys, values, result

    def enter(self, cut: windows.Windows, x: Tensor) -> Tensor:
        """(N, D, H, W, C) -> (windows, tokens, C)"""
        tokens = windows.to_windows(x.reshape(-1, x.shape[-1]), cut.order, cut.real is not None)
        return tokens.reshape(-1, cut.window[0] * cut.window[1] * cut.window[2], x.shape[-1])

    def leave(self, cut: windows.Windows, tokens: Tensor) -> Tensor:
        channels = tokens.shape[-1]
        return ops.gather(tokens.reshape(-1, channels), cut.inverse, 0).reshape(*cut.shape, channels)

    def constants(self, cut: windows.Windows, x: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return for each window which tokens are no padding, the index of its mask, and the multipliers of its clip."""
        of_windows = None
        if self.multipliers is not None:
            columns = self.multipliers[:, 2 * self.number : 2 * self.number + 2]
            of_windows = ops.tile(columns.unsqueeze(1), (1, cut.count // x.shape[0], 1)).reshape(-1, 2)
        return cut.real, cut.kinds, of_windows

    def tables(self, cut: windows.Windows) -> tuple[Tensor | None, Tensor]:
        return cut.masks, relative_positions(cut.window, self.window)

    def shared(self, w: Weights, items: int, masks: Tensor | None, positions: Tensor) -> tuple[Tensor, ...]:
        """Return the position biases of the scores, (items · heads, N, N); with masks, the ``score_tables`` instead."""
        bias = position_bias(w["attn.relative_position_bias_table"], positions)
        if masks is None:
            return (repeated(bias, items),)
        return score_tables(bias, masks, self.mutual)

    def compute(self, w: Weights, shared: Sequence[Tensor], constants: Sequence[Tensor | None], x: Tensor) -> Tensor:
        """x: (windows, N, C); shared, constants: as ``shared`` and ``constants`` return them."""
        real, kinds, multipliers = constants
        self_bias, mutual_bias = (shared[0], None) if kinds is None else score_biases(shared, kinds, x.shape[1])
        x = x + dropped(evaluated(self.attention_part, self.attend, w, x, real, self_bias, mutual_bias), multipliers, 0)
        return x + dropped(evaluated(self.mlp_part, self.feed_forward, w, x), multipliers, 1)

    def native(self, x: Tensor) -> AttentionBlock:
        cut = self.layout(x)
        encoding = windows.sine_positions(*self.window[1:], x.shape[-1]) if self.mutual else None
        return AttentionBlock(
            x,
            dict(zip(self.names, self.weights)),
            heads=self.heads,
            scale=self.scale,
            windows=cut.count,
            order=cut.order,
            positions=windows.relative_positions(cut.window, self.window),
            kinds=cut.kinds,
            masks=cut.masks,
            encoding=encoding,
            multipliers=self.constants(cut, x)[2],
        )

    def attention_part(
        self, w: Weights, x: Tensor, real: Tensor | None, self_bias: Tensor | None, mutual_bias: Tensor | None
    ) -> Tensor:
        """Normalise windows (B, N, C) and attend within them: (B, N, C).

        real: (B, N), 0 for padding tokens, or None; self_bias: (B · heads, N, N), added to the scores of self-attention;
        mutual_bias: (B · heads · 2, N / 2, N / 2), to those of mutual attention, or None.
        """
        heads, scale = self.heads, self.scale
        x = layer_norm(x, w["norm1.weight"], w["norm1.bias"])
        if real is not None:
            x = scaled(x.reshape(-1, x.shape[-1]), real.reshape(-1)).reshape(x.shape)
        qkv = linear(x, w["attn.qkv_self.weight"], w["attn.qkv_self.bias"] if self.qkv_bias else None)
        attended = _heads_merged(_attention(*_heads_split(qkv, heads, scale), self_bias), heads)
        if self.mutual:
            count, tokens, channels = x.shape
            positions = repeated(frame_positions(self.window[1:], channels), 2 * count).reshape(x.shape)
            qkv = linear(x + positions, w["attn.qkv_mut.weight"], w["attn.qkv_mut.bias"] if self.qkv_bias else None)
            query, key, value = _heads_split(qkv, heads, scale)
            query = ops.cat((query[:, tokens // 2 :], query[:, : tokens // 2]), 1)
            of_frames = (2 * count * heads, tokens // 2, channels // heads)
            aligned = _attention(query.reshape(of_frames), key.reshape(of_frames), value.reshape(of_frames), mutual_bias)
            attended = ops.cat((_heads_merged(aligned.reshape(query.shape), heads), attended), -1)
        return linear(attended, w["attn.proj.weight"], w["attn.proj.bias"])

    def mlp_part(self, w: Weights, x: Tensor) -> Tensor:
        """Normalise tokens and apply the MLP, (B, N, C) -> (B, N, C)."""
        return gated_mlp(w, "mlp", layer_norm(x, w["norm2.weight"], w["norm2.bias"]))


def dropped(x: Tensor, multipliers: Tensor | None, column: int) -> Tensor:
    """Multiply each window (B, N, C) by its entry in a column of ``multipliers`` (B, 2), unless these are None."""
    if multipliers is None:
        return x
    return scaled(x.reshape(x.shape[0], -1), multipliers[:, column]).reshape(x.shape)


def position_bias(table: Tensor, positions: Tensor) -> Tensor:
    """Return the relative position bias of the scores of a window: (heads, N, N).

    table: (entries, heads); positions: (N · N,), the row of the table for each pair of tokens.
    """
    bias = ops.gather(table.permute(1, 0), positions, 1)
    tokens = int(positions.shape[0] ** 0.5 + 0.5)
    return bias.reshape(-1, tokens, tokens)


def score_tables(bias: Tensor, masks: Tensor, mutual: bool) -> tuple[Tensor, ...]:
    """Return what is added to the scores before softmax for each kind of window: bias + mask in self-attention, the mask in
    mutual attention.

    bias: (heads, N, N); masks: (kinds, N, N). Returns (kinds, heads · N · N) and, where ``mutual``, (kinds, 2 · heads · N / 2 ·
    N / 2).
    """
    heads, tokens, _ = bias.shape
    masked_bias = (bias.unsqueeze(0) + masks.unsqueeze(1)).reshape(masks.shape[0], -1)
    if not mutual:
        return (masked_bias,)
    half = tokens // 2
    return masked_bias, ops.tile(masks[:, :half, :half].unsqueeze(1), (1, 2 * heads, 1, 1)).reshape(masks.shape[0], -1)


def score_biases(tables: Sequence[Tensor], kinds: Tensor, tokens: int) -> tuple[Tensor, Tensor | None]:
    """Look ``score_tables`` up for each window: (B · heads, N, N), and (B · heads · 2, N / 2, N / 2) or None without mutual
    attention.

    tables: of ``score_tables``; kinds: (B,), the kind of each window; tokens: N.
    """
    self_bias = ops.gather(tables[0], kinds, 0).reshape(-1, tokens, tokens)
    if len(tables) == 1:
        return self_bias, None
    return self_bias, ops.gather(tables[1], kinds, 0).reshape(-1, tokens // 2, tokens // 2)


def _heads_split(qkv: Tensor, heads: int, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """(B, N, 3 C) -> scaled query, key, value of all heads, each (B · heads, N, C / heads)."""
    count, tokens, channels = qkv.shape
    rows = qkv.reshape(count * tokens * 3 * heads, -1)
    parts = Permuted()(rows, *_parts_first(count, tokens, heads)).reshape(3, count * heads, tokens, channels // heads // 3)
    return scale * parts[0], parts[1], parts[2]


def _heads_merged(x: Tensor, heads: int) -> Tensor:
    """Undo ``_heads_split``: (B · heads, N, C / heads) -> (B, N, C)."""
    tokens, channels = x.shape[1:]
    count = x.shape[0] // heads
    rows = Permuted()(x.reshape(-1, channels), *_tokens_first(count, heads, tokens))
    return rows.reshape(count, tokens, heads * channels)


def _attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    """softmax(query @ key.T + bias) @ value for each (tokens, channels)."""
    scores = product(ops.BatchMatMul(transpose_b=True), query, key)
    return product(ops.BatchMatMul(), ops.softmax(scores if bias is None else scores + bias, -1), value)


@constexpr
def cut_of(shape: tuple[int, ...], window: Sizes, shifted: bool) -> windows.Windows:
    """Return the ``Windows`` of features of ``shape`` (B, D, H, W, C)."""
    return windows.windows(shape[0], shape[1:4], window, shifted)


@constexpr
def relative_positions(window: Sizes, table_window: Sizes) -> Tensor:
    """Return the row of the bias table for each pair of tokens: (N · N,)."""
    return Tensor(windows.relative_positions(window, table_window).reshape(-1))


@constexpr
def frame_positions(window: tuple[int, int], channels: int) -> Tensor:
    """Return the position encoding of the tokens of one frame of a window: (h · w, C)."""
    return Tensor(windows.sine_positions(*window, channels))


@constexpr
def _parts_first(count: int, tokens: int, heads: int) -> tuple[Tensor, Tensor]:
    """Return the ``_permutation`` of rows (B, N, 3, heads) to (3, B, heads, N)."""
    return _permutation((count, tokens, 3, heads), (2, 0, 3, 1))


@constexpr
def _tokens_first(count: int, heads: int, tokens: int) -> tuple[Tensor, Tensor]:
    """Return the ``_permutation`` of rows (B, heads, N) to (B, N, heads)."""
    return _permutation((count, heads, tokens), (0, 2, 1))


def _permutation(sizes: tuple[int, ...], axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return (order, inverse), as of ``Permuted``, that transposes rows of ``sizes`` by ``axes``."""
    order = np.arange(np.prod(sizes), dtype=np.int32).reshape(sizes).transpose(axes).reshape(-1)
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order), dtype=np.int32)
    return Tensor(order), Tensor(inverse)
