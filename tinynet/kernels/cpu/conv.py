"""Two-dimensional convolution and its gradients, as tables of rows for the loops in contract.py.

Forward: a row is an output pixel, its elements are its patch: for each line of the kernel one run of consecutive elements (kw · c of
them, c with dilation). Padding is the only case that copies: the picture into a larger one with zeros around.

Gradient of the input: rows are the pixels of dz; for each tap of the kernel those whose target lies inside the picture add dz Wᵀ there.
This does no work for the zeros that the usual form, a convolution of the padded dz, multiplies: 100 instead of 169 pixels a tap
for a 13 × 13 picture whose last row and column are cropped.

Gradient of the kernel: rows are the kernel's (u, v, c); the sum runs over the output pixels.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from . import contract, memory
from .activation import finish, fused_slope
from .contract import Plan, whole_tiles
from .flat import flat
from .tile import ROWS, WIDTH

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
CHUNKS = 8
"""Partial sums of a kernel gradient: a fixed number, so that it is the same on any number of threads."""
FEW_ROWS = 128
"""Up to so many output rows the kernel is read where it lies: packing it costs more than it saves."""


def conv2d(
    x: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None,
    strides: Pair,
    pads: Pads,
    dilation: Pair,
    activation: str = "linear",
) -> np.ndarray:
    """y[n, i, j, o] = b[o] + Σ_{u, v, c} x[n, i·sy + u·dy, j·sx + v·dx, c] · W[u, v, c, o] on the padded input.

    x (n, h, w, c), kernel W (kh, kw, c, o), bias (o,) or None, pads ((top, bottom), (left, right)), which crop where negative;
    `activation` is one of those that are fused. Returns (n, height, width, o).
    """
    x, pads = _with_zeros_around(x, pads)
    n, height, width = (len(x), *_output_size(x.shape, kernel.shape, strides, pads, dilation))
    columns = kernel.shape[3]
    y = memory.empty((n, height, width, columns))
    if y.size:
        plan = _forward_plan(x.shape, kernel.shape, strides, pads, dilation)
        depth = kernel.size // columns
        packed = columns % WIDTH != 0 or n * height * width > FEW_ROWS
        w = flat(kernel)
        if packed:
            w = contract.packed_panels(w, 1, depth, columns, columns, 1)
        bias = contract.padded_bias(bias, columns)
        contract.run(plan, flat(x), w, bias, y.reshape(-1), columns, packed, fused_slope(activation))
    return finish(y, activation)


def conv2d_input_gradient(
    dz: np.ndarray,
    kernel: np.ndarray,
    input_shape: tuple[int, ...],
    strides: Pair,
    pads: Pads,
    dilation: Pair,
) -> np.ndarray:
    """dx: each output pixel adds dz Wᵀ to the input pixels that it read; 0 where the input was cropped.

    dz (n, height, width, o), kernel (kh, kw, c, o). Returns an array of input_shape (n, h, w, c).
    """
    if not dz.size:
        return np.zeros(input_shape, np.float32)
    dx = memory.empty(input_shape)
    if not dx.size:
        return dx
    kh, kw, channels, filters = kernel.shape
    plan = _input_gradient_plan(dz.shape, kernel.shape, tuple(input_shape), strides, pads, dilation)
    w = contract.packed_panels(flat(kernel), kh * kw, filters, channels, 1, filters)
    contract.run(plan, flat(dz), w, contract.padded_bias(None, channels), dx.reshape(-1), channels, True)
    return dx


def conv2d_kernel_gradient(
    x: np.ndarray, dz: np.ndarray, kernel_shape: tuple[int, ...], strides: Pair, pads: Pads, dilation: Pair
) -> np.ndarray:
    """dW[u, v, c, o] = Σ x[n, i·sy + u·dy, j·sx + v·dx, c] · dz[n, i, j, o] over pictures and output pixels."""
    if not dz.size or not x.size:
        return np.zeros(kernel_shape, np.float32)
    x, pads = _with_zeros_around(x, pads)
    positions, in_rows = _kernel_gradient_tables(x.shape, kernel_shape, dz.shape, strides, pads, dilation)
    return correlated(x, dz, positions, in_rows, kernel_shape, min(len(x), CHUNKS))


def correlated(x, dz, positions, in_rows, shape: tuple[int, ...], chunks: int) -> np.ndarray:
    """Σ over pictures and positions of x[row + position] · dz[position]; rows and columns make an array of `shape`."""
    images, columns = len(x), shape[-1]
    size = math.prod(shape)
    dz = contract.packed_panels(flat(dz), images, positions.size, columns, columns, 1)
    row_parts = min(in_rows.size // ROWS, max(1, CHUNKS // chunks))
    partial = memory.empty((chunks, size))
    sizes = np.array([images, x.size // images, chunks, row_parts, columns, size], np.int64)
    work = images * positions.size * size // 16
    out_rows = _out_rows(size // columns, columns)
    contract.correlate(
        chunks * row_parts, work, flat(x), dz, partial.reshape(-1), positions, in_rows, out_rows, sizes
    )
    return (partial.sum(axis=0) if chunks > 1 else partial).reshape(shape)


@functools.lru_cache(maxsize=64)
def _out_rows(rows: int, columns: int) -> np.ndarray:
    return whole_tiles(np.arange(rows) * columns)


def _output_size(input_shape, kernel_shape, strides, pads, dilation) -> Pair:
    return tuple(
        max(
            (input_shape[1 + i] + sum(pads[i]) - dilation[i] * (kernel_shape[i] - 1) - 1) // strides[i] + 1, 0
        )
        for i in range(2)
    )


def _with_zeros_around(x: np.ndarray, pads: Pads) -> tuple[np.ndarray, Pads]:
    """Put positive padding into the picture; what is left of the pads is ≤ 0."""
    (top, bottom), (left, right) = pads
    if max(top, bottom, left, right) <= 0:
        return x, pads
    grow = (max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0))
    n, h, w, c = x.shape
    padded = np.zeros((n, h + sum(grow[0]), w + sum(grow[1]), c), np.float32)
    padded[:, grow[0][0] : grow[0][0] + h, grow[1][0] : grow[1][0] + w] = x
    return padded, tuple((min(a, 0), min(b, 0)) for a, b in pads)


@functools.lru_cache(maxsize=256)
def _forward_plan(input_shape, kernel_shape, strides, pads, dilation) -> Plan:
    n, h, w, c = input_shape
    kh, kw, _, columns = kernel_shape
    height, width = _output_size(input_shape, kernel_shape, strides, pads, dilation)
    in_rows = whole_tiles(_pixels(height, width, strides, pads, w * c, c))
    out_rows = whole_tiles(np.arange(height * width) * columns)
    lines = np.arange(kh) * dilation[0] * w * c
    if dilation[1] == 1:
        segments, length = lines, kw * c
    else:
        segments, length = lines[:, None] + np.arange(kw) * dilation[1] * c, c
    segments = np.ascontiguousarray(segments, np.int64).reshape(-1)
    count = in_rows.size // ROWS
    row_parts = min(count, -(-CHUNKS // n)) if n < CHUNKS else 1
    tiles = np.array([0, count], np.int64)
    return Plan(
        in_rows, out_rows, tiles, segments, length, n, h * w * c, height * width * columns, row_parts, 1
    )


def _pixels(height, width, strides, pads, line, pixel):
    """Offsets of the first input elements of all output pixels; pads are ≤ 0."""
    rows = np.arange(height) * strides[0] - pads[0][0]
    columns = np.arange(width) * strides[1] - pads[1][0]
    return (rows[:, None] * line + columns * pixel).reshape(-1)


@functools.lru_cache(maxsize=256)
def _input_gradient_plan(dz_shape, kernel_shape, input_shape, strides, pads, dilation) -> Plan:
    n, height, width, filters = dz_shape
    _, h, w, c = input_shape
    kh, kw = kernel_shape[:2]
    in_rows, out_rows, tiles = [], [], [0]
    for u in range(kh):
        for v in range(kw):
            row = np.arange(height) * strides[0] + u * dilation[0] - pads[0][0]
            column = np.arange(width) * strides[1] + v * dilation[1] - pads[1][0]
            i, j = np.nonzero((row >= 0) & (row < h))[0], np.nonzero((column >= 0) & (column < w))[0]
            in_rows.append(whole_tiles((i[:, None] * width + j) * filters))
            out_rows.append(whole_tiles((row[i][:, None] * w + column[j]) * c))
            tiles.append(tiles[-1] + in_rows[-1].size // ROWS)
    if kh * kw == 1:  # an empty second tap: `contract` adds to y only where there are several
        tiles.append(tiles[-1])
    parts = min(-(-c // WIDTH), -(-CHUNKS // n))
    in_rows, out_rows = np.concatenate(in_rows), np.concatenate(out_rows)
    segments = np.zeros(1, np.int64)
    return Plan(
        in_rows,
        out_rows,
        np.array(tiles, np.int64),
        segments,
        filters,
        n,
        height * width * filters,
        h * w * c,
        1,
        parts,
    )


@functools.lru_cache(maxsize=256)
def _kernel_gradient_tables(input_shape, kernel_shape, dz_shape, strides, pads, dilation):
    _, _, w, c = input_shape
    kh, kw = kernel_shape[:2]
    positions = np.ascontiguousarray(_pixels(*dz_shape[1:3], strides, pads, w * c, c), np.int64)
    taps = np.arange(kh)[:, None] * dilation[0] * w * c + np.arange(kw) * dilation[1] * c
    return positions, whole_tiles(taps[:, :, None] + np.arange(c))
