"""Convolutions: both implementations against NumPy and SciPy, values and gradients."""

from functools import partial

import mindspore as ms
import numpy as np
import pytest
import scipy.signal
from mindspore import Tensor, ops

from mindrestore.ops import convolution, convolution_frames, convolution_native, temporal_winograd
from mindrestore.ops.activations import leaky_relu

pytestmark = pytest.mark.usefixtures("prepared")

BOTH = pytest.mark.parametrize("using", [convolution_frames, convolution_native], ids=["frames", "native"])


def arrays(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def close(found, expected, tolerance=1e-5, what=""):
    """Agreement to ``tolerance`` of the largest value: the rounding of float32 sums, nothing more."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max(), err_msg=what)


# Convolution as its definition says, in float64


def windows_of_taps(x, weight_shape, stride):
    """(tap, the part of padded x that it multiplies) for every tap of the kernel; x (B, C, T, H, W)."""
    size = weight_shape[2:]
    frames, height, width = x.shape[2:]
    for tap in np.ndindex(*size):
        ends = (tap[0] + frames, tap[1] + height + size[1] // 2 * 2, tap[2] + width + size[2] // 2 * 2)
        rows = slice(tap[1], min(ends[1], tap[1] + height), stride)
        columns = slice(tap[2], min(ends[2], tap[2] + width), stride)
        yield tap, (slice(None), slice(None), slice(tap[0], ends[0]), rows, columns)


def padded(x, weight_shape):
    margins = [(size // 2, size // 2) for size in weight_shape[2:]]
    return np.pad(x.astype(np.float64), [(0, 0), (0, 0), *margins])


def conv3d(x, weight, bias, stride):
    wide = padded(x, weight.shape)
    return bias[:, None, None, None] + sum(
        np.einsum("bcthw,oc->bothw", wide[window], weight[(..., *tap)].astype(np.float64))
        for tap, window in windows_of_taps(x, weight.shape, stride)
    )


def conv3d_gradients(x, weight, stride, gradient):
    """Gradients of <gradient, conv3d(x, weight, bias)> to x, weight and bias."""
    gradient = gradient.astype(np.float64)
    wide, of_weight = padded(x, weight.shape), np.zeros(weight.shape)
    of_wide = np.zeros_like(wide)
    for tap, window in windows_of_taps(x, weight.shape, stride):
        of_wide[window] += np.einsum("bothw,oc->bcthw", gradient, weight[(..., *tap)].astype(np.float64))
        of_weight[(..., *tap)] = np.einsum("bothw,bcthw->oc", gradient, wide[window])
    inner = tuple(slice(size // 2, size // 2 + extent) for size, extent in zip(weight.shape[2:], x.shape[2:]))
    return of_wide[(..., *inner)], of_weight, gradient.sum((0, 2, 3, 4))


def conv3d_transpose(x, weight, bias):
    """The adjoint of the strided convolution that takes an image of twice the size to x's."""
    batch, _, frames, height, width = x.shape
    wide = np.zeros((batch, weight.shape[1], frames, 2 * height, 2 * width), np.float32)
    return conv3d_gradients(wide, weight, 2, x)[0] + bias[:, None, None, None]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [(1, 1, 1), (3, 3, 3), (5, 5, 5), (1, 3, 3)])
def test_the_definition_is_scipys_correlation(kernel, stride):
    x, weight, bias = arrays((2, 3, 4, 7, 6), (2, 3, *kernel), (2,))
    pad = [(0, 0), *((size // 2, size // 2) for size in kernel)]
    expected = [
        [
            sum(scipy.signal.correlate(plane, taps, "valid") for plane, taps in zip(np.pad(clip, pad), filters))
            for filters in weight
        ]
        for clip in x
    ]
    close(conv3d(x, weight, bias, stride), np.array(expected)[..., ::stride, ::stride] + bias[:, None, None, None])


# The two implementations


def values_and_gradients(using, function, x, weight, bias, gradient_of):
    """Return (y, gradients to x, weight and bias); features in and out as (B, C, T, H, W)."""

    def forward(x, weight, bias):
        return using.from_features(function(using.to_features(x), weight, bias))

    y, pull = ms.vjp(forward, *map(Tensor, (x, weight, bias)))
    (gradient,) = arrays(y.shape, seed=1)
    found = pull(Tensor(gradient))
    return [y.asnumpy(), *(item.asnumpy() for item in found)], gradient_of(gradient)


@BOTH
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("outputs", [3, 4], ids="{}_outputs".format)  # fewer than 4 take another way
@pytest.mark.parametrize("kernel", [(1, 1, 1), (3, 3, 3), (5, 5, 5), (1, 3, 3)], ids=str)
def test_conv3d_is_its_definition_at_any_length(using, kernel, outputs, stride):
    for frames in range(1, 10):
        x, weight, bias = arrays((2, 3, frames, 4, 6), (outputs, 3, *kernel), (outputs,), seed=frames)

        def convolve(x, weight, bias):
            return using.conv3d(x, weight, bias, stride)

        found, of_definition = values_and_gradients(
            using, convolve, x, weight, bias, partial(conv3d_gradients, x, weight, stride)
        )
        for what, one, other in zip("yxwb", found, [conv3d(x, weight, bias, stride), *of_definition]):
            close(one, other, what=f"{what} at {frames} frames")


@BOTH
@pytest.mark.parametrize("size", [(5, 7), (4, 9), (1, 2)])
def test_conv3d_takes_odd_heights_and_widths(using, size):
    x, weight, bias = arrays((1, 4, 5, *size), (4, 4, 3, 3, 3), (4,))
    y = using.from_features(using.conv3d(using.to_features(Tensor(x)), Tensor(weight), Tensor(bias)))
    close(y.asnumpy(), conv3d(x, weight, bias, 1))


@BOTH
def test_gradients_are_the_slopes_of_the_values(using):
    """Convolution is linear in each argument alone, so a finite difference is exact at any step."""
    x, weight, bias = arguments = arrays((1, 4, 5, 4, 6), (4, 4, 3, 3, 3), (4,))
    found, gradient = values_and_gradients(using, using.conv3d, x, weight, bias, lambda gradient: gradient)
    for index, of_argument in enumerate(found[1:]):
        (direction,) = arrays(arguments[index].shape, seed=5)
        there = [Tensor(argument + direction if at == index else argument) for at, argument in enumerate(arguments)]
        moved = using.from_features(using.conv3d(using.to_features(there[0]), *there[1:])).asnumpy()
        slope = np.sum(gradient * (moved - found[0]), dtype=np.float64)
        np.testing.assert_allclose(np.sum(of_argument * direction, dtype=np.float64), slope, rtol=1e-4)


@BOTH
def test_compiled_is_the_same(using):
    for kernel, outputs, frames in (((3, 3, 3), 4, 7), ((5, 5, 5), 4, 3), ((3, 3, 3), 1, 3)):
        x, weight, bias = arrays((2, 4, frames, 6, 8), (outputs, 4, *kernel), (outputs,))

        @ms.jit
        def pulled(x, weight, bias, gradient):
            y, pull = ms.vjp(using.conv3d, x, weight, bias)
            return (y, *pull(gradient))

        (gradient,) = arrays((2, outputs, frames, 6, 8), seed=1)
        features = [using.to_features(Tensor(item)) for item in (x, gradient)]
        y, of_x, *others = pulled(features[0], Tensor(weight), Tensor(bias), features[1])
        found = [using.from_features(y), using.from_features(of_x), *others]
        expected = [conv3d(x, weight, bias, 1), *conv3d_gradients(x, weight, 1, gradient)]
        for one, other in zip(found, expected):
            close(one.asnumpy(), other)


@BOTH
@pytest.mark.parametrize("outputs", [1, 5])
@pytest.mark.parametrize("frames", [1, 4])
def test_conv3d_transpose_is_its_definition(using, frames, outputs):
    x, weight, bias = arrays((2, 4, frames, 3, 5), (4, outputs, 1, 3, 3), (outputs,))

    def gradients(gradient):
        zero = np.zeros(4, np.float32)
        of_weight = conv3d_gradients(gradient, weight, 2, x)[1]
        return conv3d(gradient, weight, zero, 2), of_weight, gradient.sum((0, 2, 3, 4))

    found, of_definition = values_and_gradients(using, using.conv3d_transpose, x, weight, bias, gradients)
    for what, one, other in zip("yxwb", found, [conv3d_transpose(x, weight, bias), *of_definition]):
        close(one, other, what=what)


def test_the_device_in_use_decides(monkeypatch):
    chosen = []
    for name in ("cpu", "gpu", "ascend"):
        monkeypatch.setattr(convolution.device, "name", lambda name=name: name)
        chosen.append(convolution.implementation())
    assert chosen == [convolution_frames, convolution_native, convolution_native]


def test_ascend_convolves_in_half_precision_and_gives_back_single(monkeypatch):
    x, weight, bias = arrays((1, 4, 3, 4, 6), (4, 4, 3, 3, 3), (4,))
    seen = []
    monkeypatch.setattr(convolution_native.device, "name", lambda: "ascend")
    monkeypatch.setattr(
        convolution_native.ops, "Conv3D", lambda *_, **__: lambda x, weight: seen.extend((x.dtype, weight.dtype)) or x
    )
    y = convolution_native.conv3d(Tensor(x), Tensor(weight), Tensor(bias))
    assert seen == [ms.float16, ms.float16] and y.dtype == ms.float32


# Winograd's filtering along time


@pytest.mark.parametrize("outputs", sorted(temporal_winograd.POINTS))
def test_winograd_matrices_filter(outputs):
    output, kernel, data = temporal_winograd.matrices(temporal_winograd.POINTS[outputs])
    products = outputs + 2
    assert (output.shape, kernel.shape, data.shape) == ((outputs, products), (products, 3), (products, products))
    rng = np.random.default_rng(outputs)
    for _ in range(20):
        taps, samples = rng.standard_normal(3), rng.standard_normal(products)
        np.testing.assert_allclose(
            output @ ((kernel @ taps) * (data @ samples)), np.correlate(samples, taps, "valid"), rtol=0, atol=1e-12
        )
    np.testing.assert_array_equal(output[:, temporal_winograd.POINT_ONE], 1)  # where the bias is added


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 8, 9, 13, 24, 50])
def test_winograd_matrices_of_all_frames_filter_with_zeros_around_them(frames):
    output, kernel, data = temporal_winograd.of_frames(frames)
    taps, samples = arrays((3,), (frames,), seed=frames)
    of_taps = np.tile(kernel @ taps, len(data) // len(kernel))
    close(output @ (of_taps * (data @ samples)), np.convolve(samples, taps[::-1], "full")[1:-1], 3e-6)


def test_winograd_tiles_cost_the_fewest_products():
    for frames in range(1, 50):
        products = {outputs: -(-frames // outputs) * (outputs + 2) for outputs in temporal_winograd.POINTS}
        assert products[temporal_winograd.tile_frames(frames)] == min(products.values()), frames


def test_winograd_points_keep_rounding_small():
    """The points used give an error of 5.3e-7 of the output's size; the familiar 0, 1, -1, 2, -2 give 6.6e-7."""
    x, weight, bias = arrays((1, 32, 8, 12, 12), (32, 32, 3, 3, 3), (32,))
    weight, bias = weight / np.sqrt(np.float32(32 * 27)), 0 * bias
    features = convolution_frames.conv3d(convolution_frames.to_features(Tensor(x)), Tensor(weight), Tensor(bias))
    expected = conv3d(x, weight, bias, 1)
    error = convolution_frames.from_features(features).asnumpy() - expected
    assert np.sqrt(np.mean(error**2) / np.mean(expected**2)) < 6e-7


# Layers


def test_leaky_relu_and_its_gradient():
    x = np.array([-300, -1, -1e-6, 0, 1e-6, 1, 300], np.float32)
    y, pull = ms.vjp(leaky_relu, Tensor(x))
    np.testing.assert_allclose(y.asnumpy(), np.where(x > 0, x, 0.01 * x), rtol=3e-7)
    np.testing.assert_allclose(pull(ops.ones_like(y))[0].asnumpy(), np.where(x > 0, 1, 0.01), rtol=3e-7)


@pytest.mark.parametrize(
    "layer, fan_in",
    [
        (lambda rng: convolution.Conv3d(8, 16, (5, 3, 3), rng), 8 * 45),
        (lambda rng: convolution.Conv3dTranspose(8, 16, rng), 16 * 9),
    ],
    ids=["Conv3d", "Conv3dTranspose"],
)
def test_first_weights_are_as_wide_as_the_published_layers(layer, fan_in):
    layer, again, other = (layer(np.random.default_rng(seed)) for seed in (3, 3, 4))
    for name in ("weight", "bias"):
        first = getattr(layer, name).asnumpy()
        assert 0.8 < np.abs(first).max() * np.sqrt(fan_in) <= 1
        np.testing.assert_array_equal(first, getattr(again, name).asnumpy())
        assert not np.array_equal(first, getattr(other, name).asnumpy())
