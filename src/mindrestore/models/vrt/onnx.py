"""VRT as an ONNX graph of plain operators, for clips of one size and any number of them.

The network is called as it is, with values of the graph in the place of tensors: its pieces (``mindrestore.models.piece``) add
their nodes, each as it is drawn below, and what only rearranges draws itself. So the order of the network is written in
``mindrestore.models.vrt.network`` alone.

Warps and deformable convolution are samples of ``GridSample``; attention gathers rows into windows by the tables of
``mindrestore.ops.windows``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mindrestore.models.convolutions import Convolutions
from mindrestore.models.onnx_value import Drawn, joined
from mindrestore.models.piece import Piece, Rearrangement, Section, executor
from mindrestore.models.signature import OnnxGraph, Signature
from mindrestore.models.vrt import alignment, attention, ends, flows, layers, spynet
from mindrestore.ops import windows
from mindrestore.ops.deformable import KERNEL, TAPS
from mindrestore.ops.reflection import reflected
from mindrestore.ops.rows import EPSILON

if TYPE_CHECKING:
    from mindrestore.models.vrt.network import VRT

Arrays = dict[str, np.ndarray]  # weights by name


def drawn(network: VRT, signature: Signature, graph: OnnxGraph) -> OnnxGraph:
    """Add the nodes of a ``network`` with the input and output of ``signature`` to an empty ``graph``; return it."""
    (clip,), (restored,) = signature.inputs, signature.outputs
    x = Drawn(graph, graph.input(clip), (1, *clip.shape[1:]))
    for axis, longer in zip((1, 3, 4), network.whole_size(x.shape[1], *x.shape[3:])):
        if longer > x.shape[axis]:
            x = x.gathered(reflected(x.shape[axis], longer), axis)
    token = executor.set(Drawing())
    try:
        y = network.interpolate(x) if network.interpolates else network.restore(x)
    finally:
        executor.reset(token)
    frames, _, height, width = restored.shape[1:]
    graph.output(y[:, :frames, :, :height, :width].name, restored)
    return graph


class Drawing:
    """Executes pieces by drawing them; see ``mindrestore.models.piece.Executor``."""

    def execute(self, piece: Piece, inputs: Sequence[Any]) -> Any:
        """Add the nodes of a piece; return its results, each ``Drawn``."""
        draw = DRAWN_BY.get(type(piece))
        if draw is None and isinstance(piece, Rearrangement):
            return piece.compute({}, *inputs)
        return draw(piece, {name: weight.numpy() for name, weight in zip(piece.names, piece.weights)}, *inputs)

    def execute_section(self, section: Section, inputs: Sequence[Any]) -> Any:
        """Draw a section piece by piece."""
        return section.inside(*inputs)


# Layers


def _convolutions(piece: Convolutions, w: Arrays, x: Drawn) -> Drawn:
    layout = piece.layout(x)
    x = piece.enter(layout, x)
    for name, _, layer in piece.plan:
        x = _convolved(x, w[name + ".weight"], w[name + ".bias"])
        if layer.shuffle > 1:
            count, channels, height, width = x.shape
            shape = count, channels // layer.shuffle**2, layer.shuffle * height, layer.shuffle * width
            x = x.node("DepthToSpace", blocksize=layer.shuffle, mode="CRD", shape=shape)
        x = _leaky_relu(x, layer.slope)
    return piece.leave(layout, x)


def _convolved(x: Drawn, weight: np.ndarray, bias: np.ndarray, groups: int = 1, pads: bool = True) -> Drawn:
    """Convolve images by a kernel that may have a further axis of length 1; pads: by zeros, to their own size."""
    outputs, kernel = weight.shape[0], weight.shape[-1]
    margin = kernel // 2 if pads else 0
    height, width = (length + 2 * margin - kernel + 1 for length in x.shape[2:])
    weight = weight.reshape(*weight.shape[:2], kernel, kernel)
    return x.node("Conv", weight, bias, pads=[margin] * 4, group=groups, shape=(x.shape[0], outputs, height, width))


def _leaky_relu(x: Drawn, slope: float) -> Drawn:
    if slope == 1:
        return x
    return x.node("LeakyRelu", alpha=slope) if slope else x.node("Relu")


def _normalised(x: Drawn, w: Arrays, name: str = "norm") -> Drawn:
    return x.node("LayerNormalization", w[name + ".weight"], w[name + ".bias"], axis=-1, epsilon=EPSILON)


def _linear(x: Drawn, w: Arrays, name: str = "linear") -> Drawn:
    weight = w[name + ".weight"]
    product = x.node("MatMul", np.ascontiguousarray(weight.T), shape=(*x.shape[:-1], weight.shape[0]))
    return product + w[name + ".bias"] if name + ".bias" in w else product


def _normed_linear(piece: layers.NormedLinear, w: Arrays, x: Drawn) -> Drawn:
    x = _normalised(x, w)
    return x if piece.normalises_only else _linear(x, w)


def _residual_linear(piece: layers.ResidualLinear, w: Arrays, x: Drawn, y: Drawn) -> Drawn:
    return x + _linear(_normalised(y, w) if piece.normalises else y, w)


def _gated_mlp(piece: Piece, w: Arrays, x: Drawn) -> Drawn:
    hidden = _linear(x, w, "mlp.fc11")
    gelu = hidden * ((hidden / math.sqrt(2)).node("Erf") + 1) * 0.5
    return _linear(gelu * _linear(x, w, "mlp.fc12"), w, "mlp.fc2")


# Attention


def _windowed_block(piece: attention.WindowedBlock, w: Arrays, x: Drawn) -> Drawn:
    channels = x.shape[-1]
    cut = windows.windows(1, x.shape[1:4], piece.window, piece.shifted)
    rows = x.reshape(1, -1, channels)
    if cut.real is not None:
        rows = rows.with_zeros(1, 0, 1)
    tokens = rows.gathered(cut.order.numpy(), 1).reshape(1, cut.count, -1, channels)
    tokens = tokens + _attended(piece, w, cut, tokens)
    tokens = tokens + _gated_mlp(piece, w, _normalised(tokens, w, "norm2"))
    return tokens.reshape(1, -1, channels).gathered(cut.inverse.numpy(), 1).reshape(*x.shape)


def _attended(piece: attention.WindowedBlock, w: Arrays, cut: windows.Windows, x: Drawn) -> Drawn:
    """As ``WindowedBlock.attention_part``, of (1, windows, N, C)."""
    _, count, tokens, channels = x.shape
    x = _normalised(x, w, "norm1")
    if cut.real is not None:
        x = x * cut.real.numpy()[:, :, None]
    positions = windows.relative_positions(cut.window, piece.window)
    table = np.ascontiguousarray(w["attn.relative_position_bias_table"].T)
    bias = Drawn(x.graph, x.graph("Gather", table, positions, axis=1), (piece.heads, tokens, tokens))
    query, key, value = _heads_split(_linear(x, w, "attn.qkv_self"), piece)
    attended = _heads_merged(_attention(query, key, value, (bias, _masks(x, cut, tokens))))
    if piece.mutual:
        half = tokens // 2
        encoding = np.tile(windows.sine_positions(*piece.window[1:], channels), (2, 1))
        query, key, value = (
            part.reshape(1, count, piece.heads, 2, half, -1)  # by frame
            for part in _heads_split(_linear(x + encoding, w, "attn.qkv_mut"), piece)
        )
        masks = _masks(x, cut, half)
        if masks is not None:
            masks = masks.reshape(count, 1, 1, half, half)
        aligned = _attention(query.gathered([1, 0], 3), key, value, (masks,))
        attended = joined((_heads_merged(aligned.reshape(1, count, piece.heads, tokens, -1)), attended), 3)
    return _linear(attended, w, "attn.proj")


def _attention(query: Drawn, key: Drawn, value: Drawn, biases: Sequence[Drawn | None]) -> Drawn:
    """softmax(query @ key.T + biases) @ value for each (tokens, channels)."""
    last = len(key.shape) - 1
    transposed = key.permute(*range(last - 1), last, last - 1)
    scores = query.node("MatMul", transposed, shape=(*query.shape[:-1], key.shape[-2]))
    for bias in biases:
        if bias is not None:
            scores = scores + bias
    return scores.node("Softmax", axis=-1).node("MatMul", value, shape=query.shape)


def _heads_split(qkv: Drawn, piece: attention.WindowedBlock) -> tuple[Drawn, Drawn, Drawn]:
    """(1, windows, N, 3 C) -> scaled query, key, value, each (1, windows, heads, N, C / heads)."""
    _, count, tokens, channels = qkv.shape
    parts = qkv.reshape(1, count, tokens, 3, piece.heads, channels // 3 // piece.heads).permute(0, 1, 3, 4, 2, 5)
    query, key, value = (parts.gathered(index, 2) for index in range(3))
    return query * piece.scale, key, value


def _heads_merged(x: Drawn) -> Drawn:
    """(1, windows, heads, N, c) -> (1, windows, N, C)"""
    x = x.permute(0, 1, 3, 2, 4)
    return x.reshape(*x.shape[:3], -1)


def _masks(x: Drawn, cut: windows.Windows, tokens: int) -> Drawn | None:
    """Return the masks of the first ``tokens`` of every window, (windows, 1, tokens, tokens); None without any."""
    if cut.masks is None:
        return None
    masks = np.ascontiguousarray(cut.masks.numpy()[:, None, :tokens, :tokens])
    return Drawn(x.graph, x.graph("Gather", masks, cut.kinds.numpy(), axis=0), (cut.count, 1, tokens, tokens))


# Flows


def _sampled(x: Drawn, positions: Drawn, padding: str = "zeros", mode: str = "bilinear") -> Drawn:
    """Sample images (N, C, H, W) at positions (N, 2, H', W'), (x, y) in pixels: (N, C, H', W').

    Rounded as ``mindrestore.ops.warp.warp`` rounds: positions go through -1 ... 1.
    """
    largest = np.maximum(np.array(x.shape[:1:-1]) - 1, 1).reshape(2, 1, 1)
    grid = (positions * 2 / largest - 1).permute(0, 2, 3, 1)
    shape = (*x.shape[:2], *positions.shape[2:])
    return x.node("GridSample", grid, align_corners=1, mode=mode, padding_mode=padding, shape=shape)


def _warped(x: Drawn, flow: Drawn, padding: str = "zeros") -> Drawn:
    return _sampled(x, flow + _pixels(flow), padding)


def _pixels(flow: Drawn) -> np.ndarray:
    """Return x and y of every pixel: (2, H, W)."""
    return np.mgrid[: flow.shape[-2], : flow.shape[-1]][::-1].astype(np.float32)


def _frame_pairs(piece: flows.FramePairs, w: Arrays, clip: Drawn) -> tuple[Drawn, Drawn]:
    earlier, later = clip[:, :-1], clip[:, 1:]
    return tuple(_as_images(joined(pair, 1)) for pair in ((earlier, later), (later, earlier)))


def _flows_by_direction(
    piece: flows.FlowsByDirection, w: Arrays, batch: int, frames: int, *of_pairs: Drawn
) -> tuple[Drawn, ...]:
    clips = [flow.reshape(batch, -1, *flow.shape[1:]) for flow in of_pairs]
    return *(flow[:, : frames - 1] for flow in clips), *(flow[:, frames - 1 :] for flow in clips)


def _longer_flows(
    piece: flows.LongerFlows, w: Arrays, backward: Drawn, forward: Drawn, near_backward: Drawn, near_forward: Drawn
) -> tuple[Drawn, Drawn]:
    distance = near_backward.shape[1] - backward.shape[1] + 2
    shorter = joined((backward[:, :-1], forward[:, 1:]), 1)
    last = joined((near_backward[:, distance - 1 :], near_forward[:, : 1 - distance]), 1)
    first = _as_images(shorter)
    longer = (first + _warped(_as_images(last), first)).reshape(*shorter.shape)
    half = shorter.shape[1] // 2
    return longer[:, :half], longer[:, half:]


def _as_images(clip: Drawn) -> Drawn:
    """(1, D, C, H, W) -> (D, C, H, W)"""
    return clip.reshape(-1, *clip.shape[2:])


def _pyramid(piece: spynet.Pyramid, w: Arrays, images: Drawn) -> tuple[Drawn, ...]:
    mean, deviation = (np.reshape(values, (3, 1, 1)) for values in (spynet.MEAN, spynet.STD))
    size = spynet.whole_size(*images.shape[2:])
    images = (images - mean) / deviation
    levels = [images if images.shape[2:] == size else images.resized(*size)]
    for _ in range(spynet.LEVELS - 1):
        count, channels, height, width = levels[0].shape
        half = dict(kernel_shape=[2, 2], strides=[2, 2], shape=(count, channels, height // 2, width // 2))
        levels.insert(0, levels[0].node("AveragePool", **half))
    return tuple(levels)


def _no_flow(piece: spynet.NoFlow, w: Arrays, images: Drawn) -> Drawn:
    return images[:, :2] * 0


def _twice_as_fine(piece: spynet.TwiceAsFine, w: Arrays, flow: Drawn) -> Drawn:
    height, width = flow.shape[2:]
    return flow.resized(2 * height, 2 * width, "align_corners") * 2


def _warped_neighbour(piece: spynet.WarpedNeighbour, w: Arrays, image: Drawn, neighbour: Drawn, flow: Drawn) -> Drawn:
    return joined((image, _warped(neighbour, flow, "border"), flow), 1)


def _resized_flow(piece: spynet.ResizedFlow, w: Arrays, flow: Drawn, height: int, width: int) -> Drawn:
    old_height, old_width = flow.shape[2:]
    if (height, width) == (old_height, old_width):
        return flow
    return flow.resized(height, width) * np.reshape((width / old_width, height / old_height), (2, 1, 1))


# Alignment: features of frames become images, channels first


def _neighbour_pairs(piece: alignment.NeighbourPairs, w: Arrays, x: Drawn, *of_clip: Drawn) -> tuple[Drawn, ...]:
    clip, frames = layers.pixels_last(x), x.shape[1]
    images, paths = [], []
    for distance in range(1, piece.neighbours + 1):
        missing = distance - 1
        for values, later, earlier in (
            (images, clip[:, distance:], clip[:, : frames - distance]),
            (paths, of_clip[distance - 1], of_clip[piece.neighbours + distance - 1]),
        ):
            pairs = joined((later.with_zeros(1, 0, missing), earlier.with_zeros(1, missing, 0)), 1)
            values.append(_as_images(pairs))
    return _as_images(joined((clip[:, :-1], clip[:, 1:]), 1)), *images, *paths


def _warped_neighbours(piece: alignment.WarpedNeighbours, w: Arrays, current: Drawn, *inputs: Drawn) -> Drawn:
    images, paths = inputs[: piece.neighbours], inputs[piece.neighbours :]
    return joined((*map(_warped, images, paths), current, *paths), 1)


def _aligned_neighbours(piece: alignment.AlignedNeighbours, w: Arrays, offsets: Drawn, *inputs: Drawn) -> Drawn:
    images, paths = joined(inputs[: piece.neighbours], 1), inputs[piece.neighbours :]
    count, channels, height, width = images.shape
    groups = offsets.shape[1] // (3 * TAPS)
    residues = offsets[:, : 2 * TAPS * groups].node("Tanh") * piece.residue
    residues = residues.reshape(count * groups, TAPS, 2, height, width).gathered([1, 0], 2)  # (x, y), as flows are
    of_groups = joined([path for path in paths for _ in range(groups // piece.neighbours)], 1)  # (count, 2 · groups, H, W)
    steps = np.mgrid[:KERNEL, :KERNEL][::-1].reshape(2, TAPS).T[:, :, None, None] - KERNEL // 2
    positions = residues + of_groups.reshape(count * groups, 1, 2, height, width) + steps + _pixels(offsets)
    positions = positions.permute(0, 2, 1, 3, 4).reshape(-1, 2, TAPS * height, width)
    samples = _sampled(images.reshape(count * groups, -1, height, width), positions)
    factors = offsets[:, 2 * TAPS * groups :].node("Sigmoid").reshape(count * groups, 1, TAPS * height, width)
    samples = (samples * factors).reshape(count, channels * TAPS, height, width)
    weight = w["weight"].reshape(len(w["weight"]), -1, 1, 1)
    return _convolved(samples, weight, w["bias"], groups=channels // w["weight"].shape[1])


def _joined_by_neighbours(piece: alignment.JoinedByNeighbours, w: Arrays, x: Drawn, aligned: Drawn) -> Drawn:
    aligned = layers.channels_last(aligned.reshape(1, -1, *aligned.shape[1:]))
    return joined((x, *_by_frame(aligned)), 4)


def _by_frame(pairs: Drawn) -> tuple[Drawn, Drawn]:
    """Return what was made of the pairs of frames, (1, 2 (D - 1), ...): of later and of earlier ones, each (1, D, ...), zeros
    where a clip has no such frame.
    """
    half = pairs.shape[1] // 2
    return pairs[:, :half].with_zeros(1, 0, 1), pairs[:, half:].with_zeros(1, 1, 0)


# Ends


def _neighbours_joined(piece: ends.NeighboursJoined, w: Arrays, x: Drawn, backward: Drawn, forward: Drawn) -> Drawn:
    clip = x[:, :, : piece.colours]
    images = _as_images(joined((clip[:, 1:], clip[:, :-1]), 1))
    flow = _as_images(joined((backward, forward), 1))
    around = [(flow + _pixels(flow)).node(rounded) for rounded in ("Floor", "Ceil")]
    warped = [_sampled(images, joined((column[:, :1], row[:, 1:]), 1), mode="nearest") for column in around for row in around]
    pairs = joined(warped, 1)
    neighbours = _by_frame(pairs.reshape(1, -1, *pairs.shape[1:]))
    level = (x[:, :, piece.colours :],) if x.shape[2] > piece.colours else ()
    return joined((clip, *neighbours, *level), 2)


def _enlarged_clip(piece: ends.EnlargedClip, w: Arrays, clip: Drawn) -> Drawn:
    height, width = (piece.upscale * length for length in clip.shape[3:])
    return _as_images(clip).resized(height, width).reshape(*clip.shape[:3], height, width)


def _middle_frame(piece: ends.MiddleFrame, w: Arrays, features: Drawn, mean: Drawn) -> Drawn:
    fused = layers.pixels_last(features)
    fused = fused.reshape(1, -1, *fused.shape[3:])
    fused = _leaky_relu(_convolved(fused, w["linear_fuse.weight"], w["linear_fuse.bias"]), ends.FUSED_SLOPE)
    for axis in (2, 3):
        fused = fused.gathered(ends.with_margins(fused.shape[axis], ends.LAST_KERNEL // 2), axis)
    middle = _convolved(fused, w["conv_last.weight"], w["conv_last.bias"], pads=False)
    return middle.reshape(1, 1, *middle.shape[1:]) + mean


DRAWN_BY: dict[type[Piece], Callable[..., Any]] = {
    Convolutions: _convolutions,
    layers.NormedLinear: _normed_linear,
    layers.ResidualLinear: _residual_linear,
    layers.GatedMlpOfTokens: _gated_mlp,
    attention.WindowedBlock: _windowed_block,
    flows.FramePairs: _frame_pairs,
    flows.FlowsByDirection: _flows_by_direction,
    flows.LongerFlows: _longer_flows,
    spynet.Pyramid: _pyramid,
    spynet.NoFlow: _no_flow,
    spynet.TwiceAsFine: _twice_as_fine,
    spynet.WarpedNeighbour: _warped_neighbour,
    spynet.ResizedFlow: _resized_flow,
    alignment.NeighbourPairs: _neighbour_pairs,
    alignment.WarpedNeighbours: _warped_neighbours,
    alignment.AlignedNeighbours: _aligned_neighbours,
    alignment.JoinedByNeighbours: _joined_by_neighbours,
    ends.NeighboursJoined: _neighbours_joined,
    ends.EnlargedClip: _enlarged_clip,
    ends.MiddleFrame: _middle_frame,
}
"""What adds the nodes of a piece: (piece, weights, *inputs) -> results."""
