"""Head and tail of RevSCI in bands of rows, so that their full-resolution activations are a band's and not a clip's.

What lies in a band depends on a few rows beside it, the halo, which is computed along and dropped. All bands of a clip have
one size, so one compiled function serves them.
"""
from typing import NamedTuple

import mindspore as ms
from mindspore import Tensor, ops

from mindrestore.ops.activations import LeakyReLU, leaky_relu
from mindrestore.runtime.execution import compiled

HALO = 4  # full-resolution rows: head 2 + 1 + 0 + 1, tail 2 (one of half resolution) + 1 + 0 + 1
PIXELS = 2**17  # of all frames in a band and its halo, about: a clip of 2^16 is quick in one piece, 2^19 needs its memory cut


class Band(NamedTuple):
    """Rows of full resolution: the band with its halo starts at ``start``, the band itself is ``first`` to ``last``."""

    start: int
    first: int
    last: int


def bands(height, pixels_a_row):
    """Return (rows of a band with its halo, the bands that make up ``height`` rows); all numbers are even.

    Args:
        height: of the clip, even.
        pixels_a_row: pixels of one row in all frames of all clips.
    """
    rows = max(PIXELS // pixels_a_row // 2 * 2, 4 * HALO)
    if rows >= height:
        return height, [Band(0, 0, height)]
    inner = rows - 2 * HALO
    found = [Band(0, 0, rows - HALO)]  # the first and the last have no halo at the clip's edge
    while found[-1].last < height:
        first = found[-1].last
        start = min(first - HALO, height - rows)
        found.append(Band(start, first, height if start == height - rows else first + inner))
    return rows, found


class BandedChain:
    """The convolutions of a ``SequentialCell`` and their activations, band by band.

    Args:
        cells: the ``SequentialCell``.
        rows_in, rows_out: rows of its input and output for two rows of full resolution.
        frames_axis: of the features (5 axes, the last two height and width).
    """

    def __init__(self, cells, rows_in, rows_out, frames_axis):
        cells = list(cells)
        layers = [cell for cell in cells if not isinstance(cell, LeakyReLU)]
        self.weights = [weight for layer in layers for weight in (layer.weight, layer.bias)]
        self.rows_in, self.rows_out, self.frames_axis = rows_in, rows_out, frames_axis
        followers = dict(zip(cells, cells[1:]))
        run = _chain_function([_activated(layer.function) if isinstance(followers.get(layer), LeakyReLU)
                               else layer.function for layer in layers])
        self._run, self._pull_back = compiled(run), compiled(_gradient_function(run))

    def __call__(self, x):
        """Return what the cells make of the features ``x`` (..., H, W)."""
        rows, pieces = self._bands(x)
        weights = self._values()
        if len(pieces) == 1:
            return self._run(x, *weights)
        made = []
        for start, first, last in pieces:
            y = self._run(_rows(x, self._in(start), self._in(rows)), *weights)
            made.append(_rows(y, self._out(first - start), self._out(last - first)))
        return ops.cat(made, -2)

    def pull_back(self, x, gradient, gradients):
        """Return the gradient of ``x``, given that of the output; put the weights' into ``gradients`` by name."""
        rows, pieces = self._bands(x)
        weights = self._values()
        of_x, totals = None, None
        for start, first, last in pieces:
            of_band = _rows(gradient, self._out(first), self._out(last - first))
            of_band = _with_zeros(of_band, self._out(first - start), self._out(start + rows - last))
            of_rows, *of_weights = self._pull_back(_rows(x, self._in(start), self._in(rows)), of_band, *weights)
            of_rows = _with_zeros(of_rows, self._in(start), x.shape[-2] - self._in(start + rows))
            of_x = of_rows if of_x is None else of_x + of_rows
            totals = of_weights if totals is None else [one + other for one, other in zip(totals, of_weights)]
        gradients.update(zip((weight.name for weight in self.weights), totals))
        return of_x

    def _bands(self, x):
        height = x.shape[-2] * 2 // self.rows_in
        pixels_a_row = x.shape[0] * x.shape[self.frames_axis] * x.shape[-1] * 2 // self.rows_in
        return bands(height, pixels_a_row)

    def _in(self, rows):
        return rows * self.rows_in // 2

    def _out(self, rows):
        return rows * self.rows_out // 2

    def _values(self):
        return [Tensor(weight) for weight in self.weights]  # a compiled function takes a Parameter for a constant


def _activated(function):
    def activated(x, weight, bias):
        return leaky_relu(function(x, weight, bias))
    return activated


def _chain_function(functions):
    def chain(x, *weights):
        for index, function in enumerate(functions):
            x = function(x, weights[2 * index], weights[2 * index + 1])
        return x
    return chain


def _gradient_function(run):
    def pull(x, gradient, *weights):
        _, pull_back = ms.vjp(run, x, *weights)
        return pull_back(gradient)
    return pull


def _rows(x, start, count):
    """Return ``count`` rows of ``x`` (..., H, W)."""
    return x if count == x.shape[-2] else x[..., start:start + count, :]


def _with_zeros(x, above, below):
    """Return ``x`` (..., H, W) with rows of zeros around it."""
    if not above and not below:
        return x
    *outer, _, width = x.shape
    around = [ops.zeros((*outer, rows, width), x.dtype) for rows in (above, below) if rows]
    return ops.cat([around[0], x, *around[1:]] if above else [x, *around], -2)
